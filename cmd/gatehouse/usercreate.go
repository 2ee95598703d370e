package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
)

func (c *cli) userCreate() *cobra.Command {
	var n app.NewUser
	var once oneTimeFlags
	var withPassword bool
	cmd := &cobra.Command{
		Use:   "create REALM",
		Short: "Make an account",
		Long: `Make an account, which can be used at once.

With --password-stdin the password is standard input without its last line break, or at a terminal asked for twice and not
shown; the realm's policy applies. With --temporary a password is made and shown once, which must be changed at the first
sign-in. With --invite the person is mailed a link, good for seven days, by which they choose one. Without any of these
the account has no password.`,
		Example: `  gatehouse user create acme --email ann@example.org --name Ann --password-stdin < password.txt
  gatehouse user create acme --email ann@example.org --invite`,
		Args: exactly(1, "REALM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if n.OneTime, err = once.life(cmd); err != nil {
				return err
			}
			if err := checkNewUser(cmd, n, withPassword); err != nil {
				return err
			}
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			if withPassword {
				if n.Password, err = c.readPassword(cmd); err != nil {
					return err
				}
				if n.Password == "" {
					return &failure{exitUsage, "there is no password on standard input", "", "give one, or leave --password-stdin out", nil}
				}
			}
			made, err := c.Do.UserCreate(cmd.Context(), p, args[0], n)
			if err != nil {
				return err
			}
			return c.printMade(p, made)
		},
	}
	cmd.Flags().StringVar(&n.Email, "email", "", "`ADDRESS` to sign in with")
	cmd.Flags().BoolVar(&n.Verified, "email-verified", false, "the address is known to be the person's")
	cmd.Flags().StringVar(&n.Username, "username", "", "`NAME` to sign in with")
	cmd.Flags().StringVar(&n.Name, "name", "", "the person's full `NAME`")
	cmd.Flags().BoolVar(&withPassword, "password-stdin", false, "read a password")
	cmd.Flags().BoolVar(&n.Invite, "invite", false, "mail the person a link to choose their password")
	once.add(cmd)
	return cmd
}

func checkNewUser(cmd *cobra.Command, n app.NewUser, withPassword bool) error {
	ways := 0
	for _, given := range []bool{withPassword, n.OneTime > 0, n.Invite} {
		if given {
			ways++
		}
	}
	switch {
	case n.Email == "" && n.Username == "":
		return usage(cmd, "the account needs a name to sign in with", "Give --email, --username or both.")
	case ways > 1:
		return usage(cmd, "the person gets one password", "Give one of --password-stdin, --temporary and --invite.")
	case n.Invite && n.Email == "":
		return usage(cmd, "an invitation needs an address", "Give --email.")
	}
	return nil
}

func (c *cli) printMade(p app.Process, made app.MadeUser) error {
	if c.output == outputJSON {
		return c.printJSON(madeView{made.Subject, oneTimeOf(made.OneTime), mailedOf(made.Invitation)})
	}
	if _, err := fmt.Fprintf(c.Stdout, "Made an account with subject %s.\n", made.Subject); err != nil {
		return err
	}
	if !made.OneTime.Until.IsZero() {
		return c.printOneTime(made.OneTime)
	}
	if made.Invitation.To == "" {
		return nil
	}
	return c.printMailed(p, "An invitation", made.Invitation)
}

// madeView is a new account as JSON shows it.
type madeView struct {
	Subject    string       `json:"subject"`
	OneTime    *oneTimeView `json:"one_time_password,omitempty"`
	Invitation *mailedView  `json:"invitation,omitempty"`
}

type oneTimeView struct {
	Password  string    `json:"password"`
	ExpiresAt time.Time `json:"expires_at"`
}
