package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/internal/limit/redis"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// reading is a metric whose value is read when somebody asks for it. Labels name kinds of things of this program and
// never hold an id, a name or an address (SECURITY.md AU-05).
type reading struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	read       func(report func(value float64, labels ...string))
}

// readings is a collector of them.
type readings []reading

// Describe implements prometheus.Collector.
func (rs readings) Describe(out chan<- *prometheus.Desc) {
	for _, r := range rs {
		out <- r.desc()
	}
}

// Collect implements prometheus.Collector.
func (rs readings) Collect(out chan<- prometheus.Metric) {
	for _, r := range rs {
		r.read(func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(r.desc(), r.kind, value, labels...)
		})
	}
}

func (r reading) desc() *prometheus.Desc { return prometheus.NewDesc(r.name, r.help, r.labels, nil) }

// register puts the readings of this process into its registry.
func (s *System) register(all ...readings) error {
	for _, r := range all {
		if err := s.Registry.Register(r); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

func (s *System) databaseReadings() readings {
	pool := func(pick func(inUse, open, limit int32, waits int64) float64) func(func(float64, ...string)) {
		return func(report func(float64, ...string)) { report(pick(s.DB.PoolStats())) }
	}
	return readings{
		{
			"gatehouse_database_connections_in_use", "Connections of the pool that are at work.", prometheus.GaugeValue, nil,
			pool(func(inUse, _, _ int32, _ int64) float64 { return float64(inUse) }),
		},
		{
			"gatehouse_database_connections_open", "Connections of the pool, at work or idle.", prometheus.GaugeValue, nil,
			pool(func(_, open, _ int32, _ int64) float64 { return float64(open) }),
		},
		{
			"gatehouse_database_connections_max", "Connections that the pool may open.", prometheus.GaugeValue, nil,
			pool(func(_, _, limit int32, _ int64) float64 { return float64(limit) }),
		},
		{
			"gatehouse_database_waits_total", "How often a connection had to be waited for.", prometheus.CounterValue, nil,
			pool(func(_, _, _ int32, waits int64) float64 { return float64(waits) }),
		},
		{
			"gatehouse_database_statements_total", "Statements sent, without transaction control.", prometheus.CounterValue, nil,
			func(report func(float64, ...string)) { report(float64(s.DB.Stats().Statements)) },
		},
		{
			"gatehouse_database_transactions_total", "Transactions and single statements begun.", prometheus.CounterValue, nil,
			func(report func(float64, ...string)) { report(float64(s.DB.Stats().Transactions)) },
		},
	}
}

// cacheReadings describe the caches that these report by name.
func (s *System) cacheReadings(caches ...func() map[string]realm.CacheStats) readings {
	each := func(report func(name string, c realm.CacheStats)) {
		for _, stats := range caches {
			for name, c := range stats() {
				report(name, c)
			}
		}
	}
	return readings{
		{
			"gatehouse_cache_requests_total", "Questions to a cache, by cache and result (hit, miss).",
			prometheus.CounterValue,
			[]string{"cache", "result"},
			func(report func(float64, ...string)) {
				each(func(name string, c realm.CacheStats) {
					report(float64(c.Hits), name, "hit")
					report(float64(c.Misses), name, "miss")
				})
			},
		},
		{
			"gatehouse_cache_entries", "What a cache holds.", prometheus.GaugeValue,
			[]string{"cache"},
			func(report func(float64, ...string)) {
				each(func(name string, c realm.CacheStats) { report(float64(c.Entries), name) })
			},
		},
		{
			"gatehouse_cache_listening", "1 while this process hears of changes in the database; while it is 0 cached entries live half a second.",
			prometheus.GaugeValue, nil,
			func(report func(float64, ...string)) { report(one(s.changes.Listening())) },
		},
	}
}

func (s *System) passwordReadings() readings {
	return readings{
		{
			"gatehouse_password_hashes_in_flight", "Password hashes being computed.", prometheus.GaugeValue, nil,
			func(report func(float64, ...string)) { report(float64(s.Hasher.Stats().InFlight)) },
		},
		{
			"gatehouse_password_waits_total", "Password hashes that had to wait for memory.", prometheus.CounterValue, nil,
			func(report func(float64, ...string)) { report(float64(s.Hasher.Stats().Waited)) },
		},
		{
			"gatehouse_password_rejected_total", "Password hashes that were refused because no memory came free in time.",
			prometheus.CounterValue, nil,
			func(report func(float64, ...string)) { report(float64(s.Hasher.Stats().Rejected)) },
		},
		{
			"gatehouse_password_breach_checks_total", "New passwords that were looked up in breaches, by outcome: unknown, found, failed.",
			prometheus.CounterValue,
			[]string{"outcome"},
			func(report func(float64, ...string)) {
				c := s.Passwords.Stats()
				report(float64(c.Unknown), "unknown")
				report(float64(c.Found), "found")
				report(float64(c.Failed), "failed")
			},
		},
	}
}

// backlogWait bounds what a question for metrics may cost the database.
const backlogWait = 2 * time.Second

// eventReadings say how far consumers are behind. While the database does not answer they are absent.
func (s *System) eventReadings() readings {
	return readings{{
		"gatehouse_event_backlog", "Events that a consumer has yet to read, counted up to 10,000.", prometheus.GaugeValue,
		[]string{"consumer"},
		func(report func(float64, ...string)) {
			ctx, cancel := context.WithTimeout(context.Background(), backlogWait)
			defer cancel()
			for _, r := range s.readers {
				if n, err := r.Backlog(ctx); err == nil {
					report(float64(n), r.Consumer.Name())
				}
			}
		},
	}}
}

// jobReadings say what waits in the queues, which all processes that work them see alike. While the database does not
// answer they are absent.
func (s *System) jobReadings() readings {
	each := func(report func(jobs.Stats)) {
		ctx, cancel := context.WithTimeout(context.Background(), backlogWait)
		defer cancel()
		stats, err := s.jobs.Stats(ctx)
		if err != nil {
			return
		}
		for _, q := range stats {
			report(q)
		}
	}
	return readings{
		{
			"gatehouse_jobs", "Jobs in a queue by state: available, scheduled, running, retryable, discarded (given up, for seven days).",
			prometheus.GaugeValue,
			[]string{"queue", "state"},
			func(report func(float64, ...string)) {
				each(func(q jobs.Stats) {
					report(float64(q.Available), q.Queue, "available")
					report(float64(q.Scheduled), q.Queue, "scheduled")
					report(float64(q.Running), q.Queue, "running")
					report(float64(q.Retryable), q.Queue, "retryable")
					report(float64(q.Discarded), q.Queue, "discarded")
				})
			},
		},
		{
			"gatehouse_job_oldest_seconds", "For how long the oldest available job of a queue could have begun.", prometheus.GaugeValue,
			[]string{"queue"},
			func(report func(float64, ...string)) {
				each(func(q jobs.Stats) { report(q.Oldest.Seconds(), q.Queue) })
			},
		},
	}
}

// limitReadings say whether limits are shared. Without Redis nothing is shared and nothing has fallen back.
func (s *System) limitReadings(shared *redis.Source) readings {
	return readings{
		{
			"gatehouse_limit_fallback_active", "1 while Redis is away and this process counts limits by itself.", prometheus.GaugeValue, nil,
			func(report func(float64, ...string)) { report(one(shared != nil && shared.Away())) },
		},
		{
			"gatehouse_limit_fallbacks_total", "How often Redis has gone away since the start.", prometheus.CounterValue, nil,
			func(report func(float64, ...string)) {
				if shared == nil {
					report(0)
					return
				}
				report(float64(shared.Falls()))
			},
		},
	}
}

// mailReadings say which mail servers are being passed over, by their place in GATEHOUSE_SMTP_URL.
func (s *System) mailReadings() readings {
	return readings{{
		"gatehouse_mail_server_passed_over", "1 while the mail server of that place in the list, from 1, is left alone because it failed repeatedly.",
		prometheus.GaugeValue,
		[]string{"place"},
		func(report func(float64, ...string)) {
			place := 0
			s.mails.Open(func(_ string, open bool) { place++; report(one(open), strconv.Itoa(place)) })
		},
	}, {
		"gatehouse_mail_servers", "Mail servers that are configured. Without any, mails wait until they expire.", prometheus.GaugeValue, nil,
		func(report func(float64, ...string)) {
			n := 0
			s.mails.Open(func(string, bool) { n++ })
			report(float64(n))
		},
	}}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
