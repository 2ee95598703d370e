package attempt

import (
	"time"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// trustPeriod is how long a success from an address exempts the pair from the account's delay.
const trustPeriod = 30 * 24 * time.Hour

// policy is what failures on one kind of counter cost.
type policy struct {
	// free failures cost no delay: it stands between the free-th failure and the next try.
	free int64
	// first is the first delay; each failure doubles it, up to most.
	first, most time.Duration
	// hard is the count from which on the delay is hardDelay; zero means never.
	hard      int64
	hardDelay time.Duration
	// leak forgets one failure each time it passes; zero means that failures are forgotten all at once.
	leak time.Duration
	// forget forgets all failures that long after the last; longer than every delay.
	forget time.Duration
}

// policies are those of a try's counters, in their order.
func policies(g realm.Guesses) [kinds]policy {
	a, from := g.Account, g.Address
	person := policy{
		free: int64(a.Free), first: time.Duration(a.FirstDelay), most: time.Duration(a.LongestDelay),
		hard: int64(a.HardLimit), hardDelay: time.Duration(a.HardDelay), forget: time.Duration(a.ForgetAfter),
	}
	return [kinds]policy{account: person, pair: person, address: {
		free: int64(from.Free), first: time.Duration(from.FirstDelay), most: time.Duration(from.LongestDelay),
		leak: time.Duration(from.ForgetOne), forget: time.Duration(from.ForgetAfter),
	}}
}

// state is what is remembered of one counter; the zero value is that of one of which nothing is.
type state struct {
	failures int64
	since    time.Time // the last failure, moved on by what has leaked
	until    time.Time // no try before
	forget   time.Time // no failure counts from here on
	trusted  time.Time // a pair's account need not wait before
}

// ends is when nothing of it matters any more.
func (s state) ends() time.Time {
	last := s.forget
	for _, t := range []time.Time{s.until, s.trusted} {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// admit lets a try in and charges all its counters, and returns the delays that this caused; or it changes nothing and
// returns how long the longest delay still runs. The delay of the account does not matter while the pair is trusted,
// which it no longer is when it reaches its free failures.
func admit(p [kinds]policy, s *[kinds]state, now time.Time) (locks [kinds]time.Time, wait time.Duration) {
	trusted := now.Before(s[pair].trusted)
	var aged [kinds]state
	for k := range aged {
		aged[k] = p[k].aged(s[k], now)
		if !trusted || k != account {
			wait = max(wait, aged[k].until.Sub(now))
		}
	}
	if wait > 0 {
		return locks, wait
	}
	for k := range aged {
		s[k], locks[k] = p[k].charged(aged[k], now)
	}
	if s[pair].failures >= p[pair].free {
		s[pair].trusted = time.Time{}
	}
	return locks, 0
}

// aged is the state as it stands now.
func (p policy) aged(s state, now time.Time) state {
	if !now.Before(s.forget) {
		return state{trusted: s.trusted}
	}
	if p.leak <= 0 || !now.After(s.since) {
		return s
	}
	leaked := int64(now.Sub(s.since) / p.leak)
	if leaked >= s.failures {
		// A delay that still runs outlives the failures that caused it.
		s.failures, s.since = 0, now
		return s
	}
	s.failures -= leaked
	s.since = s.since.Add(time.Duration(leaked) * p.leak)
	return s
}

// charged is the aged state after one more failure, and the end of the delay that this failure caused; the zero time
// when it caused none. A delay that still runs (the account's, for a trusted pair) is left as it is.
func (p policy) charged(s state, now time.Time) (after state, lock time.Time) {
	if s.failures == 0 || p.leak <= 0 {
		s.since = now
	}
	s.failures++
	s.forget = now.Add(p.forget)
	if d := p.delay(s.failures); d > 0 && !s.until.After(now) {
		s.until = now.Add(d)
		return s, s.until
	}
	return s, time.Time{}
}

// refunded takes one failure back. lock is the delay that this failure caused: when nothing has replaced it since, it
// ends, because the try was let in with no delay running.
func (p policy) refunded(s state, lock time.Time) state {
	if s.failures == 0 {
		return s
	}
	s.failures--
	if s.until.Equal(lock) || s.failures < p.free {
		s.until = time.Time{}
	}
	return s
}

func (p policy) delay(failures int64) time.Duration {
	if failures < p.free {
		return 0
	}
	if p.hard > 0 && failures >= p.hard {
		return p.hardDelay
	}
	d := p.first
	for range failures - p.free {
		if d *= 2; d >= p.most {
			return p.most
		}
	}
	return d
}
