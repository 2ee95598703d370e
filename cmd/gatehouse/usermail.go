package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
)

const queueHelp = `The mail waits in the database for a server or worker that has a mail server.`

func (c *cli) userInvite() *cobra.Command {
	return c.userMail("An invitation", c.Do.UserInvite, &cobra.Command{
		Use:   "invite REALM NAME",
		Short: "Mail a person without a password a link to choose one",
		Long: `Mail a person without a password a link to choose one. It works once, for seven days, and proves their address. A link that
was mailed before stops working.`,
		Example: "  gatehouse user invite acme ann@example.org",
	})
}

func (c *cli) userResendVerification() *cobra.Command {
	return c.userMail("A link to confirm the address", c.Do.UserSendVerification, &cobra.Command{
		Use:   "resend-verification REALM NAME",
		Short: "Mail a person a link to confirm their address",
		Long:  "Mail a person a link to confirm their address. It works once, for a day. A link that was mailed before stops working.",
	})
}

// userMail makes a command that leaves a mail to a person.
func (c *cli) userMail(what string, do func(context.Context, app.Process, string, string) (lifecycle.Mailed, error), cmd *cobra.Command) *cobra.Command {
	cmd.Long += "\n\n" + queueHelp + "\n\n" + nameHelp
	cmd.Args = exactly(2, "REALM and NAME")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := c.process(cmd, config.ModeRealm)
		if err != nil {
			return err
		}
		mailed, err := do(cmd.Context(), p, args[0], args[1])
		if err != nil {
			return err
		}
		if c.output == outputJSON {
			return c.printJSON(mailedOf(mailed))
		}
		return c.printMailed(p, what, mailed)
	}
	return cmd
}

// printMailed says what waits for whom, and when this command's settings know of nobody who would send it.
func (c *cli) printMailed(p app.Process, what string, mailed lifecycle.Mailed) error {
	if _, err := fmt.Fprintf(c.Stdout, "%s to %s is queued; its link works until %s.\n", what, shown(mailed.To), date(mailed.Until)); err != nil {
		return err
	}
	if !p.Config.MailServers.IsZero() {
		return nil
	}
	_, err := fmt.Fprintln(c.Stderr, "No mail server is configured here (GATEHOUSE_SMTP_URL): the mail waits for a server or worker that has one.")
	return err
}

func mailedOf(mailed lifecycle.Mailed) *mailedView {
	if mailed.To == "" {
		return nil
	}
	return &mailedView{mailed.To, mailed.Until.UTC()}
}

// mailedView is a mailed link as JSON shows it.
type mailedView struct {
	To        string    `json:"to"`
	ExpiresAt time.Time `json:"expires_at"`
}

// unmailable recognises why somebody is mailed no link.
func unmailable(err error) *failure {
	for reason, how := range map[error]string{
		lifecycle.ErrInactive:    `make it active first: "gatehouse user enable" or "gatehouse user unlock"`,
		lifecycle.ErrNoAddress:   "give them one in the realm file",
		lifecycle.ErrHasPassword: `whoever has forgotten theirs asks for a link on the login page, or is given one by "gatehouse user set-password"`,
		lifecycle.ErrVerified:    "there is nothing to do",
	} {
		if errors.Is(err, reason) {
			return &failure{exitFailed, reason.Error(), "", how, nil}
		}
	}
	return nil
}
