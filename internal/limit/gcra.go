package limit

import "time"

// Rate allows Burst events at once and one more every Every.
type Rate struct {
	Burst int
	Every time.Duration
}

// PerSecond allows n events a second and twice as many at once; nothing when n is
// not positive.
func PerSecond(n int) Rate {
	if n <= 0 {
		return Rate{}
	}
	return Rate{Burst: 2 * n, Every: time.Second / time.Duration(n)}
}

// Decision is the answer to one event.
type Decision struct {
	OK         bool
	Remaining  int           // how many more are allowed right now
	RetryAfter time.Duration // how long until the next one is; zero when OK
}

// spend is the generic cell rate algorithm. tat is the theoretical arrival time:
// when the key will have its full burst again; the zero time for a new key. A
// refused event leaves it unchanged.
func (r Rate) spend(tat, now time.Time) (time.Time, Decision) {
	if r.Burst <= 0 || r.Every <= 0 {
		// A rate that allows nothing never becomes free.
		return tat, Decision{RetryAfter: 24 * time.Hour}
	}
	if tat.Before(now) {
		tat = now
	}
	next := tat.Add(r.Every)
	allowed := next.Add(-time.Duration(r.Burst) * r.Every)
	if wait := allowed.Sub(now); wait > 0 {
		return tat, Decision{RetryAfter: wait}
	}
	return next, Decision{OK: true, Remaining: int(now.Sub(allowed) / r.Every)}
}
