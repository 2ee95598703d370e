package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

func (c *cli) config() *cobra.Command {
	return group("config", "Look at the configuration", c.configCheck(), c.configShow())
}

func (c *cli) configCheck() *cobra.Command {
	var purpose string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with the configuration",
		Long: `Say everything that is wrong with the configuration, at once.

It reads the same settings as the command that it checks for and connects to nothing.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mode, err := modeOf(cmd, purpose)
			if err != nil {
				return err
			}
			if _, err := c.load(cmd, mode); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.Stdout, "The configuration is good for %q.\n", commandOf(mode))
			return err
		},
	}
	addPurpose(cmd, &purpose)
	return cmd
}

func (c *cli) configShow() *cobra.Command {
	var purpose string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "List every setting, its value and where that came from",
		Long: `List every setting, its value and where that came from. Secrets are masked.

Showing judges nothing: what is wrong is said beside the list, and the status is 0. "gatehouse config check" judges.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mode, err := modeOf(cmd, purpose)
			if err != nil {
				return err
			}
			loaded, err := c.load(cmd, mode)
			if err != nil {
				report(c.Stderr, err)
			}
			return c.printSettings(loaded.Settings())
		},
	}
	addPurpose(cmd, &purpose)
	return cmd
}

// settingView is a setting as JSON shows it.
type settingView struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
	From   string `json:"from,omitempty"`
}

func (c *cli) printSettings(settings []config.Setting) error {
	views, rows := make([]settingView, 0, len(settings)), make([][]string, 0, len(settings))
	for _, s := range settings {
		views = append(views, settingView{s.Name, s.Value, string(s.Source), s.From})
		source := string(s.Source)
		if s.From != "" {
			source += " (" + s.From + ")"
		}
		rows = append(rows, []string{s.Name, s.Value, source})
	}
	return c.print(views, []string{"SETTING", "VALUE", "SOURCE"}, rows)
}

// modes are what a configuration can be checked for, by the word after --for.
func modes() []string {
	return []string{string(config.ModeServe), string(config.ModeDev), string(config.ModeRealm), string(config.ModeMigrate)}
}

func addPurpose(cmd *cobra.Command, purpose *string) {
	cmd.Flags().StringVar(purpose, "for", string(config.ModeServe), "the `COMMAND` that will use it: "+strings.Join(modes(), ", "))
}

func modeOf(cmd *cobra.Command, purpose string) (config.Mode, error) {
	if !slices.Contains(modes(), purpose) {
		return "", usage(cmd, "--for %q is not a command that uses the configuration", "Give one of: "+strings.Join(modes(), ", ")+".", purpose)
	}
	return config.Mode(purpose), nil
}

func commandOf(mode config.Mode) string { return "gatehouse " + string(mode) }
