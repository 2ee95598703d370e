package main

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

func (c *cli) secrets() *cobra.Command {
	return group("secrets", "Work on the keys that the operator keeps", c.secretsRotateMaster(), c.secretsPeppers())
}

func (c *cli) secretsRotateMaster() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-master",
		Short: "Seal everything by the first key of GATEHOUSE_SECRET_KEY, so that the others can go",
		Long: `Seal everything by the first key of GATEHOUSE_SECRET_KEY, so that the others can go.

Put a new key in front of the list, start every process again with it, run this, and take the old key out of the list.
Nothing stops meanwhile: every key of the list opens what it sealed. It can be repeated.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			resealed, err := c.Do.SecretsRotate(cmd.Context(), p)
			if err != nil {
				return err
			}
			said := "Everything was sealed by the first key already."
			if len(resealed) > 0 {
				said = "Sealed anew: " + strings.Join(resealed, ", ") + ". The other keys can leave the list."
			}
			_, err = cmd.OutOrStdout().Write([]byte(said + "\n"))
			return err
		},
	}
}

func (c *cli) secretsPeppers() *cobra.Command {
	return &cobra.Command{
		Use:   "peppers",
		Short: "Count the passwords of every realm by the pepper of their hashes",
		Long: `Count the passwords of every realm by the pepper of their hashes.

A pepper can leave GATEHOUSE_PASSWORD_PEPPER when no password has it any more: one is given the first of the list at its
owner's next sign-in. Those whose pepper is not in the list cannot be compared with anything until it is back.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			uses, err := c.Do.Peppers(cmd.Context(), p)
			if err != nil {
				return err
			}
			views, rows := make([]pepperView, 0, len(uses)), make([][]string, 0, len(uses))
			for _, u := range uses {
				views = append(views, pepperView{u.Realm, u.Pepper, u.Configured, u.Passwords})
				rows = append(rows, []string{u.Realm, cmp.Or(u.Pepper, "none"), yesNo(u.Configured), strconv.FormatInt(u.Passwords, 10)})
			}
			return c.print(views, []string{"REALM", "PEPPER", "CONFIGURED", "PASSWORDS"}, rows)
		},
	}
}

// pepperView is a row as JSON shows it.
type pepperView struct {
	Realm string `json:"realm"`
	// Pepper is "" for hashes without one.
	Pepper     string `json:"pepper"`
	Configured bool   `json:"configured"`
	Passwords  int64  `json:"passwords"`
}
