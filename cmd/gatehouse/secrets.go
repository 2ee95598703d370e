package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

func (c *cli) secrets() *cobra.Command {
	return group("secrets", "Work on the secret key that seals the database", c.secretsRotateMaster())
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
