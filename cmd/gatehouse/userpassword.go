package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// longestOneTime bounds how long a password may work that somebody else knows.
const longestOneTime = 30 * 24 * time.Hour

// oneTimeFlags ask for a password that is made for the person.
type oneTimeFlags struct {
	temporary bool
	validFor  string
}

func (f *oneTimeFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.temporary, "temporary", false, "make a password, show it once, and have it changed at the first sign-in")
	cmd.Flags().StringVar(&f.validFor, "valid-for", "3d", "with --temporary: it works for so `LONG`, at most 30d")
}

// life is how long the password is to work, zero when none is wanted.
func (f *oneTimeFlags) life(cmd *cobra.Command) (time.Duration, error) {
	if !f.temporary {
		if cmd.Flags().Changed("valid-for") {
			return 0, usage(cmd, "--valid-for is about a temporary password", "Give --temporary too.")
		}
		return 0, nil
	}
	d, err := realm.ParseDuration(f.validFor)
	if err != nil {
		return 0, usage(cmd, "--valid-for: %v", "", err)
	}
	if life := time.Duration(d); life >= time.Minute && life <= longestOneTime {
		return life, nil
	}
	return 0, usage(cmd, "--valid-for %s is out of range", "Give 1m to 30d.", f.validFor)
}

func (c *cli) userSetPassword() *cobra.Command {
	var once oneTimeFlags
	cmd := &cobra.Command{
		Use:   "set-password REALM NAME",
		Short: "Give a person another password and sign them out everywhere",
		Long: `Give a person another password and sign them out everywhere.

It is standard input without its last line break, or at a terminal asked for twice and not shown. The realm's policy applies.
With --temporary one is made and shown once, which must be changed at the first sign-in.

` + nameHelp,
		Example: "  gatehouse user set-password acme ann@example.org < password.txt",
		Args:    exactly(2, "REALM and NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			life, err := once.life(cmd)
			if err != nil {
				return err
			}
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			if life > 0 {
				given, done, err := c.Do.UserSetOneTimePassword(cmd.Context(), p, args[0], args[1], life)
				if err != nil {
					return err
				}
				return c.printReset(args[1], given, done)
			}
			plain, err := c.readPassword(cmd)
			if err != nil {
				return err
			}
			done, err := c.Do.UserSetPassword(cmd.Context(), p, args[0], args[1], plain)
			if err != nil {
				return err
			}
			return c.printResult(args[1]+" has a new password", done)
		},
	}
	once.add(cmd)
	return cmd
}

func (c *cli) printReset(name string, given app.OneTimePassword, done lifecycle.Result) error {
	if c.output == outputJSON {
		return c.printJSON(resetView{resultView{done.Changed, done.Sessions, done.Grants}, oneTimeOf(given)})
	}
	if err := c.printResult(name+" has a new password", done); err != nil {
		return err
	}
	return c.printOneTime(given)
}

func (c *cli) printOneTime(given app.OneTimePassword) error {
	_, err := fmt.Fprintf(c.Stdout, "One-time password, shown this once: %s\nIt works until %s and must be changed at the first sign-in.\n",
		given.Password.Reveal(), date(given.Until))
	return err
}

func oneTimeOf(given app.OneTimePassword) *oneTimeView {
	if given.Until.IsZero() {
		return nil
	}
	return &oneTimeView{given.Password.Reveal(), given.Until.UTC()}
}

// resetView is a password that was made, with what setting it came to.
type resetView struct {
	resultView
	OneTime *oneTimeView `json:"one_time_password"`
}

func (c *cli) userForcePasswordChange() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "force-password-change REALM NAME",
		Short: "Have a person choose another password at the next sign-in",
		Long: `Have a person choose another password at the next sign-in, and wherever they are signed in when an application asks next.
The page tells them why. Sessions and what applications were allowed stay.

` + nameHelp,
		Example: "  gatehouse user force-password-change acme ann@example.org --reason breach",
		Args:    exactly(2, "REALM and NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			known := []string{string(password.ByAdmin), string(password.Breached), string(password.ByPolicy)}
			if !slices.Contains(known, reason) {
				return usage(cmd, "there is no reason %q", "Give admin, breach or policy.", reason)
			}
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			done, err := c.Do.UserDo(cmd.Context(), p, args[0], args[1], app.DemandPassword, reason)
			if err != nil {
				return err
			}
			text := args[1] + " must choose another password"
			if !done.Changed {
				text = args[1] + " has no password, or was to choose another one already"
			}
			return c.printResult(text, done)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", string(password.ByAdmin), "`WHY`: admin, breach (it is known to others) or policy (the realm asks for more)")
	return cmd
}
