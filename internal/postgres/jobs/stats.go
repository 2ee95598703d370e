package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Stats is what waits in a queue.
type Stats struct {
	Queue string
	// Available can begin now, Scheduled later, Retryable again later.
	Available, Scheduled, Retryable int64
	Running                         int64
	// Discarded were given up within the last seven days.
	Discarded int64
	// Oldest is for how long the oldest job that can begin has been able to.
	Oldest time.Duration
}

// Stats counts the jobs of all queues that this runner works or that hold any, by queue. All runners of a database
// count the same.
func (r *Runner) Stats(ctx context.Context) ([]Stats, error) {
	const query = `SELECT queue,
		count(*) FILTER (WHERE state = 'available' AND scheduled_at <= now()),
		count(*) FILTER (WHERE state = 'scheduled'),
		count(*) FILTER (WHERE state = 'retryable' OR state = 'available' AND scheduled_at > now()),
		count(*) FILTER (WHERE state = 'running'),
		count(*) FILTER (WHERE state IN ('cancelled', 'discarded')),
		coalesce(extract(epoch FROM now() - min(scheduled_at) FILTER (WHERE state = 'available' AND scheduled_at <= now())), 0)::float8
		FROM river_job WHERE state IN ('available', 'scheduled', 'retryable', 'running', 'cancelled', 'discarded') GROUP BY queue`
	all := map[string]Stats{}
	for name := range r.config.Queues {
		all[name] = Stats{Queue: name}
	}
	rows, err := r.pool.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			s   Stats
			age float64
		)
		if err := rows.Scan(&s.Queue, &s.Available, &s.Scheduled, &s.Retryable, &s.Running, &s.Discarded, &age); err != nil {
			return nil, fmt.Errorf("count jobs: %w", err)
		}
		s.Oldest = time.Duration(age * float64(time.Second))
		all[s.Queue] = s
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count jobs: %w", err)
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Stats) int { return strings.Compare(a.Queue, b.Queue) }), nil
}
