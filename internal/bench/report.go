package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// report writes what was measured for people.
type report struct {
	t                     *target
	s                     settings
	rows                  []row
	loadBefore, loadAfter string
}

func (r report) write(out io.Writer) error {
	w := &printer{out: out}
	w.printf("\n%s, %s/%s, %d processors, PostgreSQL %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), r.t.version)
	w.printf("load of the machine: %s before, %s after; cheapest of %d rounds of %s; server µs and database µs are processor time per operation\n",
		r.loadBefore, r.loadAfter, r.s.Rounds, r.s.Window)
	if r.t.noDatabaseCPU {
		w.printf("this system does not tell what PostgreSQL used: database µs are left out\n")
	}
	for _, workers := range r.s.Workers {
		rows := slices.DeleteFunc(slices.Clone(r.rows), func(x row) bool { return x.Workers != workers })
		w.printf("\n%d workers\n", workers)
		r.table(w, rows)
		goals(w, rows)
	}
	for _, x := range r.rows {
		if x.Errors > 0 {
			w.printf("\n%s with %d workers failed %d times, first: %s\n", x.Op, x.Workers, x.Errors, x.failure)
		}
	}
	return w.err
}

func (r report) table(w *printer, rows []row) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...string) { _, _ = fmt.Fprintln(tab, strings.Join(cells, "\t")+"\t") } // the printer keeps the error
	line("operation", "server µs", "database µs", "together", "its floor", "statements", "commits", "1/s", "p50 ms", "p99 ms", "errors")
	f := floorsOf(rows)
	for _, x := range rows {
		line(x.Op, micros(x.CPU), micros(x.DBCPU), micros(x.total()), floorText(x.Op, f), fmt.Sprintf("%.2f", x.Statements),
			fmt.Sprintf("%.2f", x.Commits), fmt.Sprintf("%.0f", x.Rate), fmt.Sprintf("%.2f", x.P50), fmt.Sprintf("%.2f", x.P99), fmt.Sprint(x.Errors))
	}
	_ = tab.Flush()
}

func micros(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func floorText(op string, f floors) string {
	for _, o := range operations() {
		if o.name == op && o.parts != nil && f.complete() {
			return micros(o.parts(f))
		}
	}
	return ""
}

func floorsOf(rows []row) (f floors) {
	return floors{http: totalOf(rows, "floor_http"), es256: totalOf(rows, "floor_es256"), read: totalOf(rows, "floor_read"), commit: totalOf(rows, "floor_commit")}
}

func (f floors) complete() bool { return f.http > 0 && f.es256 > 0 && f.read > 0 && f.commit > 0 }

// totalOf is 0 for what was not measured.
func totalOf(rows []row, ops ...string) float64 { return sumOf(rows, row.total, ops...) }

// sumOf adds up a figure of operations; it is 0 when one of them was not measured.
func sumOf(rows []row, figure func(row) float64, ops ...string) (sum float64) {
	for _, op := range ops {
		at := slices.IndexFunc(rows, func(r row) bool { return r.Op == op })
		if at < 0 {
			return 0
		}
		sum += figure(rows[at])
	}
	return sum
}

// goal is what the project has set itself for the sum of some operations.
type goal struct {
	text string
	ops  []string
	// unit are the floors whose sum the cost may be a multiple of, which is named.
	unit  []string
	most  float64
	named string
	// server leaves the database out of the cost and of the unit.
	server bool
	// statements is the most that the operation may send to the database; nil is no goal.
	statements *float64
}

func goalList() []goal {
	none, single := 0.0, 1.0
	es256, empty := []string{"floor_es256"}, []string{"floor_http"}
	return []goal{
		{text: "refresh", ops: []string{"refresh"}, unit: es256, most: 16, named: "ES256 signatures"},
		{text: "authorize + code_exchange", ops: []string{"authorize", "code_exchange"}, unit: es256, most: 32, named: "ES256 signatures"},
		{text: "userinfo", ops: []string{"userinfo"}, unit: es256, most: 5, named: "ES256 signatures"},
		{
			text: "client_credentials_es256", ops: []string{"client_credentials_es256"}, unit: []string{"floor_http", "floor_es256"}, most: 1.5,
			named: "× (the empty handler + an ES256 signature), server alone,", server: true, statements: &none,
		},
		{text: "introspection", ops: []string{"introspection"}, unit: es256, most: 4.5, named: "ES256 signatures", statements: &single},
		{text: "discovery", ops: []string{"discovery"}, unit: empty, most: 1.6, named: "× the empty handler"},
		{text: "jwks", ops: []string{"jwks"}, unit: empty, most: 1.6, named: "× the empty handler"},
	}
}

// statementSlack is the share of a statement that background work may add to each operation.
const statementSlack = 0.05

// goals compares with what the project has set itself.
func goals(w *printer, rows []row) {
	for _, g := range goalList() {
		figure := row.total
		if g.server {
			figure = func(r row) float64 { return r.CPU }
		}
		cost, unit := sumOf(rows, figure, g.ops...), sumOf(rows, figure, g.unit...)
		if cost == 0 || unit == 0 {
			continue
		}
		w.printf("  %-26s %7s µs = %5.1f %s of %.1f µs; goal %g: %s\n", g.text, micros(cost), cost/unit, g.named, unit, g.most, verdict(cost/unit <= g.most))
		if g.statements != nil {
			sent := sumOf(rows, func(r row) float64 { return r.Statements }, g.ops...)
			w.printf("  %-26s %7.2f statements; goal %g: %s\n", g.text, sent, *g.statements, verdict(sent <= *g.statements+statementSlack))
		}
	}
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// printer keeps the first error.
type printer struct {
	out io.Writer
	err error
}

// Write implements io.Writer.
func (p *printer) Write(b []byte) (int, error) {
	if p.err == nil {
		_, p.err = p.out.Write(b)
	}
	return len(b), p.err
}

func (p *printer) printf(format string, args ...any) { _, _ = fmt.Fprintf(p, format, args...) }

func writeJSON(path string, rows []row) error {
	content, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o600); err != nil { //nolint:gosec // G703: whoever runs this names the folder
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

// load is the machine's load average, "unknown" where there is none.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(text)); err == nil && len(fields) > 0 {
		return fields[0]
	}
	return "unknown"
}
