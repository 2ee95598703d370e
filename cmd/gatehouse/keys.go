package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
)

func (c *cli) keys() *cobra.Command {
	return group("keys", "Work on a realm's signing keys", c.keysList(), c.keysRotate(), c.keysRevoke())
}

func (c *cli) keysList() *cobra.Command {
	return &cobra.Command{
		Use:   "list REALM",
		Short: "List the keys that a realm has or had, and since when each is next, active, retired or revoked",
		Args:  exactly(1, "REALM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			keys, err := c.Do.KeysList(cmd.Context(), p, args[0])
			if err != nil {
				return err
			}
			views, rows := make([]keyView, 0, len(keys)), make([][]string, 0, len(keys))
			for _, k := range keys {
				views = append(views, keyView{k.KID, k.Alg, k.State, k.Since.UTC(), k.CreatedAt.UTC()})
				rows = append(rows, []string{k.KID, k.Alg, k.State, k.Since.UTC().Format("2006-01-02 15:04:05 MST")})
			}
			return c.print(views, []string{"KID", "ALGORITHM", "STATE", "SINCE"}, rows)
		},
	}
}

func (c *cli) keysRotate() *cobra.Command {
	var alg string
	var now bool
	cmd := &cobra.Command{
		Use:   "rotate REALM",
		Short: "Publish a realm's next keys before their time",
		Long: fmt.Sprintf(`Publish a realm's next keys before their time.

Keys rotate by themselves, every 90 days unless the realm's lifetimes.signing_key says otherwise. This begins it now:
the next key is published at once and signs after %d hours, when every application has read it. A key that waits already
is kept. What the old key signed stays good.

With --now, for an emergency, the next key signs at once. That costs something: whoever keeps the key set as its headers
allow refuses every new token until they read it again, at most five minutes later. The old key stays published and its
tokens good: when others may know its private half, end it by gatehouse keys revoke instead.`, keyset.Ahead/time.Hour),
		Args: exactly(1, "REALM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			kids, err := c.Do.KeysRotate(cmd.Context(), p, args[0], alg, now)
			if err != nil {
				return err
			}
			state, text := keyset.Next, fmt.Sprintf("is published now and signs in %d hours.", keyset.Ahead/time.Hour)
			if now {
				state, text = keyset.Active, "signs now. Applications may refuse its tokens for up to five minutes, until they read the key set again."
			}
			if c.output == outputJSON {
				return c.printJSON(map[string][]string{state: kids})
			}
			_, err = fmt.Fprintln(c.Stdout, strings.Join(kids, ", "), text)
			return err
		},
	}
	cmd.Flags().StringVar(&alg, "alg", "", "only the key of this `ALGORITHM`, such as ES256")
	cmd.Flags().BoolVar(&now, "now", false, "let the next key sign at once; tokens may be refused for up to five minutes")
	return cmd
}

func (c *cli) keysRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke REALM KID",
		Short: "End a key at once, in an emergency",
		Long: `End a key at once, in an emergency: when others may know its private half.

It leaves the key set, and nothing that it signed is accepted here any more. Applications that keep the key set accept
its tokens until they read it again, at most five minutes later. If it signed, another key does from now on.`,
		Args: exactly(2, "REALM and KID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			successor, err := c.Do.KeysRevoke(cmd.Context(), p, args[0], args[1])
			if err != nil {
				return err
			}
			if c.output == outputJSON {
				return c.printJSON(map[string]string{"revoked": args[1], "successor": successor})
			}
			text := args[1] + " is revoked"
			if successor != "" {
				text += "; " + successor + " signs from now on"
			}
			_, err = fmt.Fprintln(c.Stdout, text+".")
			return err
		},
	}
}

// keyView is a key as JSON shows it.
type keyView struct {
	KID       string    `json:"kid"`
	Alg       string    `json:"alg"`
	State     string    `json:"state"`
	Since     time.Time `json:"since"`
	CreatedAt time.Time `json:"created_at"`
}
