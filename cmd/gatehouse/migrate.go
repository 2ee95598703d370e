package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

func (c *cli) migrate() *cobra.Command {
	up := &cobra.Command{
		Use:   "up",
		Short: "Make the database roles and apply the migrations that the database lacks",
		Long: `Make the database roles and apply the migrations that the database lacks.

It may be run at any time and from several machines at once: only one works, the others find everything done. The login
role needs to own the database and, unless the roles exist, CREATEROLE. GATEHOUSE_MIGRATION_DATABASE_URL gives it another
login than the server's.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.process(cmd, config.ModeMigrate)
			if err != nil {
				return err
			}
			applied, err := c.Do.MigrateUp(cmd.Context(), p)
			if len(applied) == 0 && err == nil && c.output == outputTable {
				_, err := fmt.Fprintln(c.Stdout, "The database is up to date.")
				return err
			}
			if len(applied) == 0 && err != nil {
				return err
			}
			return firstError(err, c.printMigrations(applied))
		},
	}
	status := &cobra.Command{
		Use:   "status",
		Short: "List the migrations and whether the database has them",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.process(cmd, config.ModeMigrate)
			if err != nil {
				return err
			}
			known, err := c.Do.Migrations(cmd.Context(), p)
			if err != nil {
				return err
			}
			return c.printMigrations(known)
		},
	}
	return group("migrate", "Change the database schema", up, status)
}

// migrationView is a migration as JSON shows it.
type migrationView struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

func (c *cli) printMigrations(list []postgres.Migration) error {
	views, rows := make([]migrationView, 0, len(list)), make([][]string, 0, len(list))
	for _, m := range list {
		views = append(views, migrationView(m))
		state := "pending"
		if m.Applied {
			state = "applied"
		}
		rows = append(rows, []string{strconv.FormatInt(m.Version, 10), m.Name, state})
	}
	return c.print(views, []string{"VERSION", "NAME", "STATE"}, rows)
}
