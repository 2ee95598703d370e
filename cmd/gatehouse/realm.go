package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

func (c *cli) realm() *cobra.Command {
	return group("realm", "Work on realms", c.realmApply(), c.realmList())
}

func (c *cli) realmApply() *cobra.Command {
	var files []string
	var options realmfile.ApplyOptions
	cmd := &cobra.Command{
		Use:   "apply -f FILE [FILE…]",
		Short: "Make realms be as realm files say",
		Long: `Make realms be as realm files say, each file in one transaction.

What a file does not name stays as it is, and applying a file twice changes nothing the second time. Secrets that a file
asks to be generated are printed once, here, and cannot be shown again.`,
		Example: `  gatehouse realm apply -f acme.yaml --dry-run
  gatehouse realm apply -f acme.yaml`,
		RunE: func(cmd *cobra.Command, more []string) error {
			all := append(files, more...) // a shell's *.yaml leaves all but the first behind the flag
			if len(all) == 0 {
				return usage(cmd, "no realm file was given", "Give one: gatehouse realm apply -f FILE.")
			}
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			// What was done before a file failed is shown all the same: generated secrets are known to nobody else.
			reports, err := c.Do.RealmApply(cmd.Context(), p, all, options)
			return firstError(err, c.printReports(reports))
		},
	}
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "apply this realm `FILE`; may be repeated")
	cmd.Flags().BoolVar(&options.DryRun, "dry-run", false, "show what would change and change nothing")
	cmd.Flags().BoolVar(&options.Prune, "prune", false, "delete applications and secrets that a file's lists lack")
	return cmd
}

func (c *cli) realmList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the realms",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.process(cmd, config.ModeRealm)
			if err != nil {
				return err
			}
			realms, err := c.Do.RealmList(cmd.Context(), p)
			if err != nil {
				return err
			}
			views, rows := make([]realmView, 0, len(realms)), make([][]string, 0, len(realms))
			for _, r := range realms {
				views = append(views, realmView{r.Slug, r.Name, r.Issuer, r.Enabled})
				state := "enabled"
				if !r.Enabled {
					state = "disabled"
				}
				rows = append(rows, []string{r.Slug, r.Name, r.Issuer, state})
			}
			return c.print(views, []string{"SLUG", "NAME", "ISSUER", "STATE"}, rows)
		},
	}
}

// realmView is a realm as JSON shows it.
type realmView struct {
	Slug    string `json:"slug"`
	Name    string `json:"name"`
	Issuer  string `json:"issuer"`
	Enabled bool   `json:"enabled"`
}

// reportView is what applying a file did, as JSON shows it.
type reportView struct {
	Realm     string          `json:"realm"`
	DryRun    bool            `json:"dry_run"`
	Changes   []changeView    `json:"changes"`
	Generated []generatedView `json:"generated"`
}

type changeView struct {
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	Action string   `json:"action"`
	Fields []string `json:"fields,omitempty"`
}

type generatedView struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

func (c *cli) printReports(reports []realmfile.Report) error {
	if c.output == outputJSON {
		views := make([]reportView, 0, len(reports))
		for _, r := range reports {
			views = append(views, viewOf(r))
		}
		return c.printJSON(views)
	}
	var text strings.Builder
	for _, r := range reports {
		writeReport(&text, r)
	}
	_, err := io.WriteString(c.Stdout, text.String())
	return err
}

func viewOf(r realmfile.Report) reportView {
	view := reportView{Realm: r.Realm, DryRun: r.DryRun, Changes: []changeView{}, Generated: []generatedView{}}
	for _, change := range r.Changes {
		view.Changes = append(view.Changes, changeView{string(change.Kind), change.Name, string(change.Action), change.Fields})
	}
	for _, g := range r.Generated {
		view.Generated = append(view.Generated, generatedView{string(g.Kind), g.Name, g.Value.Reveal()})
	}
	return view
}

func writeReport(text *strings.Builder, r realmfile.Report) {
	heading := "Realm " + r.Realm
	switch {
	case len(r.Changes) == 0:
		heading += ": nothing to change."
	case r.DryRun:
		heading += ", dry run; this would change:"
	default:
		heading += ", changed:"
	}
	_, _ = fmt.Fprintln(text, heading) // a Builder takes everything
	for _, change := range r.Changes {
		_, _ = fmt.Fprintf(text, "  %s\n", change)
	}
	for _, g := range r.Generated {
		if r.DryRun {
			_, _ = fmt.Fprintf(text, "  %s %s: would be generated\n", g.Kind, g.Name)
			continue
		}
		_, _ = fmt.Fprintf(text, "  %s %s, shown this once: %s\n", g.Kind, g.Name, g.Value.Reveal())
	}
}
