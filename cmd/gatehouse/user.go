package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

const nameHelp = `NAME is what the person signs in with, in any spelling, or their subject.`

func (c *cli) user() *cobra.Command {
	return group("user", "Work on a realm's people", c.userList(), c.userShow(), c.userCreate(), c.userInvite(), c.userResendVerification(),
		c.userSetPassword(), c.userForcePasswordChange(), c.userSessions(),
		c.userAct(act{
			do: app.DisableUser, use: "disable", short: "Sign a person out everywhere and let them sign in no more", reason: true,
			long: "Their sessions end and what applications were allowed is revoked, at once, for offline access too.",
			done: "%s is disabled", undone: "%s was disabled already",
		}),
		c.userAct(act{
			do: app.EnableUser, use: "enable", short: "Let a disabled person sign in again",
			long: "What ended when they were disabled stays ended.", done: "%s is enabled", undone: "%s was not disabled",
		}),
		c.userAct(act{
			do: app.LockUser, use: "lock", short: "Lock an account that may be abused", reason: true,
			long: "It does what disable does, and says that somebody else may be at fault. A disabled account stays disabled.",
			done: "%s is locked", undone: "%s was locked or disabled already",
		}),
		c.userAct(act{
			do: app.UnlockUser, use: "unlock", short: "Let the person of a locked account sign in again",
			long: "What ended when it was locked stays ended.", done: "%s is unlocked", undone: "%s was not locked",
		}),
		c.userAct(act{
			do: app.UnthrottleUser, use: "unthrottle", short: "Forget the failed attempts of an account",
			long: `Wrong passwords and codes, and the mails that were sent, are counted from zero again: for the person, who need not wait any
longer, and for whoever guesses. It acts at once on every server, with Redis or without. Attempts from one address at several
accounts stay counted; so do the five tries of a code that was mailed.`,
			done: "the failed attempts at %s are forgotten",
		}),
		c.userAct(act{
			do: app.DeleteUser, use: "delete", short: "Delete a person and all that is theirs", reason: true, final: true,
			long: `Names, claims, password, sessions, consents and the addresses in the log are deleted, and what applications were allowed
is revoked. The log keeps an id that leads to nobody. The subject is never given again. This cannot be undone.`,
			done: "%s is deleted",
		}),
	)
}

func (c *cli) userList() *cobra.Command {
	var q user.Query
	cmd := &cobra.Command{
		Use:   "list REALM",
		Short: "List people, those made first at the top",
		Long: `List people, those made first at the top.

With --search those whose e-mail address or username begins so, in any spelling, by name. When there are more than --limit,
the place to go on from is named.`,
		Example: "  gatehouse user list acme --search ann --status disabled",
		Args:    exactly(1, "REALM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Most < 1 || q.Most > 1000 {
				return usage(cmd, "--limit %d is out of range", "Give 1 to 1000.", q.Most)
			}
			switch q.Status {
			case "", user.Active, user.Disabled, user.Locked:
			default:
				return usage(cmd, "there is no status %q", "Give active, disabled or locked.", q.Status)
			}
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			page, err := c.Do.UserList(cmd.Context(), p, args[0], q)
			if err != nil {
				return err
			}
			return c.printPeople(page)
		},
	}
	cmd.Flags().StringVar(&q.Search, "search", "", "only those whose name begins with this `TEXT`")
	cmd.Flags().StringVar(&q.Status, "status", "", "only those of this `STATUS`: active, disabled or locked")
	cmd.Flags().StringVar(&q.After, "after", "", "go on after this `PLACE`, which the list before named")
	cmd.Flags().Int32Var(&q.Most, "limit", 100, "list at most this `NUMBER`")
	return cmd
}

func (c *cli) printPeople(page user.Page) error {
	views, rows := make([]personView, 0, len(page.People)), make([][]string, 0, len(page.People))
	for _, u := range page.People {
		views = append(views, personView{u.Subject, u.Status, u.Email, u.Username, u.Name, u.CreatedAt.UTC()})
		rows = append(rows, []string{orDash(u.Email), orDash(u.Username), orDash(u.Name), u.Status, date(u.CreatedAt), u.Subject})
	}
	if c.output == outputJSON {
		return c.printJSON(peopleView{views, page.Next})
	}
	if err := c.print(nil, []string{"EMAIL", "USERNAME", "NAME", "STATUS", "CREATED", "SUBJECT"}, rows); err != nil {
		return err
	}
	if page.Next == "" {
		return nil
	}
	_, err := fmt.Fprintf(c.Stderr, "There are more: go on with --after %s\n", page.Next)
	return err
}

// act is a command that does one thing to an account.
type act struct {
	do               app.UserAct
	use, short, long string
	done, undone     string
	// reason offers --reason, final demands --yes.
	reason, final bool
}

func (c *cli) userAct(a act) *cobra.Command {
	var reason string
	var yes bool
	cmd := &cobra.Command{
		Use:   a.use + " REALM NAME",
		Short: a.short,
		Long:  a.short + ".\n\n" + a.long + "\n\n" + nameHelp,
		Args:  exactly(2, "REALM and NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.final && !yes {
				return usage(cmd, "%q cannot be undone", "Give --yes when you mean it.", cmd.CommandPath())
			}
			if !fitsLog(reason) {
				return usage(cmd, "the reason cannot be kept", "Give one line of at most 200 characters.")
			}
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			done, err := c.Do.UserDo(cmd.Context(), p, args[0], args[1], a.do, reason)
			if err != nil {
				return err
			}
			text := a.done
			if !done.Changed {
				text = a.undone
			}
			return c.printResult(fmt.Sprintf(text, args[1]), done)
		},
	}
	if a.reason {
		cmd.Flags().StringVar(&reason, "reason", "", "`WHY`, for the log, which keeps it for good: name nobody")
	}
	if a.final {
		cmd.Flags().BoolVar(&yes, "yes", false, "do it: without this flag nothing happens")
	}
	return cmd
}

// fitsLog tells whether a reason is one line of bearable length.
func fitsLog(reason string) bool {
	return utf8.ValidString(reason) && utf8.RuneCountInString(reason) <= 200 && strings.IndexFunc(reason, unicode.IsControl) < 0
}

func (c *cli) userSessions() *cobra.Command {
	var end bool
	cmd := &cobra.Command{
		Use:   "sessions REALM NAME",
		Short: "List where a person is signed in, or sign them out everywhere",
		Long: `List where a person is signed in, or with --end sign them out everywhere: their sessions end and what applications were
allowed is revoked, for offline access too.

` + nameHelp,
		Args: exactly(2, "REALM and NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			if end {
				done, err := c.Do.UserDo(cmd.Context(), p, args[0], args[1], app.SignOutUser, "")
				if err != nil {
					return err
				}
				return c.printResult(args[1]+" is signed out everywhere", done)
			}
			d, err := c.Do.UserShow(cmd.Context(), p, args[0], args[1])
			if err != nil {
				return err
			}
			views, rows := sessionViews(d)
			return c.print(views, sessionHeader(), rows)
		},
	}
	cmd.Flags().BoolVar(&end, "end", false, "end all of them")
	return cmd
}

// printResult says what an act came to.
func (c *cli) printResult(text string, done lifecycle.Result) error {
	if c.output == outputJSON {
		return c.printJSON(resultView{done.Changed, done.Sessions, done.Grants})
	}
	if done.Sessions+done.Grants > 0 {
		text += "; " + counted(done.Sessions, "session") + " and " + counted(done.Grants, "authorization") + " ended"
	}
	_, err := fmt.Fprintln(c.Stdout, text+".")
	return err
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
