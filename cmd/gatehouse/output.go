package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"

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
		cells := make([]string, 0, len(row))
		for _, cell := range row {
			cells = append(cells, shown(cell))
		}
		if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// shown replaces what could make a terminal do something: people choose some of these texts themselves.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

func (c *cli) printJSON(v any) error {
	encoder := json.NewEncoder(c.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
