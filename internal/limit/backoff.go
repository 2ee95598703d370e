package limit

import "time"

// Policy says what failures on one kind of key cost.
type Policy struct {
	// Free is how many failures cost no delay. The delay stands between the
	// Free-th failure and the next attempt.
	Free int
	// First is the first delay; each failure doubles it, up to Most.
	First, Most time.Duration
	// Hard is the count from which on the delay is HardDelay; zero means never.
	Hard      int
	HardDelay time.Duration
	// Leak forgets one failure each time it passes; zero means that failures are
	// forgotten all at once.
	Leak time.Duration
	// Forget forgets all failures that long after the last; longer than every
	// delay.
	Forget time.Duration
}

// Policies are those of the three kinds of key.
type Policies struct{ Account, Address, Pair Policy }

// DefaultPolicies returns the figures in the package comment. One hundred
// consecutive failures are the bound of NIST SP 800-63B-4 §3.2.2.
func DefaultPolicies() Policies {
	person := Policy{
		Free: 5, First: time.Second, Most: 15 * time.Minute,
		Hard: 100, HardDelay: 12 * time.Hour, Forget: 24 * time.Hour,
	}
	address := Policy{
		Free: 50, First: time.Second, Most: 15 * time.Minute,
		Leak: 12 * time.Second, Forget: 24 * time.Hour,
	}
	return Policies{Account: person, Address: address, Pair: person}
}

// ClientPolicies are for applications that fail to authenticate. They count by
// address, and by application and address, never by application alone: a stranger
// must not be able to delay an application elsewhere.
//
//	pair     10 failures free, one forgotten every minute
//	address  100 failures free, one forgotten every 6 s
//	both     then 1 s, 2 s, 4 s … 1 min between attempts; forgotten after 1 h
func ClientPolicies() Policies {
	pair := Policy{Free: 10, First: time.Second, Most: time.Minute, Leak: time.Minute, Forget: time.Hour}
	address := pair
	address.Free, address.Leak = 100, 6*time.Second
	return Policies{Account: pair, Address: address, Pair: pair}
}

func (p Policies) of(k Kind) Policy {
	switch k {
	case KindAddress:
		return p.Address
	case KindPair:
		return p.Pair
	case KindAccount:
	}
	return p.Account
}

// counter is what is remembered of one key. Its zero value is a key without
// failures.
type counter struct {
	failures int
	since    time.Time // the last failure, moved on by what has leaked
	until    time.Time // no attempt before
	forget   time.Time // nothing of it counts from here on
}

// aged is the counter as it stands now.
func (p Policy) aged(c counter, now time.Time) counter {
	if !now.Before(c.forget) {
		return counter{}
	}
	if p.Leak <= 0 || !now.After(c.since) {
		return c
	}
	leaked := int(now.Sub(c.since) / p.Leak)
	if leaked >= c.failures {
		// A delay that still runs outlives the failures that caused it.
		c.failures, c.since = 0, now
		return c
	}
	c.failures -= leaked
	c.since = c.since.Add(time.Duration(leaked) * p.Leak)
	return c
}

// charged is the aged counter after one more failure, and the end of the delay
// that this failure caused; the zero time when it caused none. A delay that
// still runs (the account's, for a trusted pair) is left as it is.
func (p Policy) charged(c counter, now time.Time) (after counter, lock time.Time) {
	if c.failures == 0 {
		c.since = now
	}
	c.failures++
	if p.Leak <= 0 {
		c.since = now
	}
	c.forget = now.Add(p.Forget)
	if d := p.delay(c.failures); d > 0 && !c.until.After(now) {
		c.until = now.Add(d)
		return c, c.until
	}
	return c, time.Time{}
}

// refunded takes one failure back. lock is the delay that this failure caused:
// when nothing has replaced it since, it ends, because the attempt was admitted
// with no delay running.
func (p Policy) refunded(c counter, lock time.Time) counter {
	if c.failures == 0 {
		return c
	}
	c.failures--
	if c.until.Equal(lock) || c.failures < p.Free {
		c.until = time.Time{}
	}
	return c
}

func (p Policy) delay(failures int) time.Duration {
	if failures < p.Free {
		return 0
	}
	if p.Hard > 0 && failures >= p.Hard {
		return p.HardDelay
	}
	d := p.First
	for range failures - p.Free {
		if d *= 2; d >= p.Most {
			return p.Most
		}
	}
	return d
}
