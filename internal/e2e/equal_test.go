package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

// asked is what a form cost the database: what was sent to it, and how many rows its last transaction wrote to each table.
type asked struct {
	Stats postgres.Stats
	Rows  map[string]int
}

// TestLG08_KnownAndUnknownNamesCostTheSame compares what is asked of the database. BenchmarkLG06_LG08_KnownAndUnknownNames
// has the clock.
func TestLG08_KnownAndUnknownNamesCostTheSame(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), patient)
	forms := map[string][]string{"recover": {"username"}, "email-code": {"username"}, "signup": {"new-password", chosenPassword, "email"}}
	ask := func(step, name string) asked {
		b := newBrowser(t)
		page, fields := b.from(i, step), append(append([]string{}, forms[step]...), name)
		before := i.DB.Stats()
		answer := b.answer(page, fields...)
		cost := asked{i.DB.Stats().Sub(before), map[string]int{}}
		require.Equal(t, step+" 303", step+" "+answer.Status[:3])
		for _, table := range []string{"challenges", "deliveries", "events", "event_personal", "flows", "users", "identifiers"} {
			cost.Rows[table] = one[int](t, i, "one", `SELECT count(*)::int FROM `+table+` t WHERE t.xmin = (SELECT c.xmin FROM challenges c ORDER BY c.id DESC LIMIT 1)`)
		}
		i.Clock.Advance(time.Minute)
		return cost
	}
	for step := range forms {
		ask(step, "warm@example.test") // caches and statements
		for _, when := range []string{"once", "again"} {
			known, unknown := ask(step, "ana@example.test"), ask(step, "nobody@example.test")
			require.Equal(t, known, unknown, "%s %s", step, when)
			require.Positive(t, known.Rows["challenges"])
		}
	}
}
