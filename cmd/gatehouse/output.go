package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// The forms of output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

func checkOutput(cmd *cobra.Command, output string) error {
	if output == outputTable || output == outputJSON {
		return nil
	}
	return usage(cmd, "there is no output %q", "Give -o table or -o json.", output)
}

// print shows data in the form that was asked for: the views as JSON, or the rows as a table.
func (c *cli) print(views any, header []string, rows [][]string) error {
	if c.output == outputJSON {
		return c.printJSON(views)
	}
	w := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (c *cli) printJSON(v any) error {
	encoder := json.NewEncoder(c.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
