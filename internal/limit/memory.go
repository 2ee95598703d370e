package limit

import (
	"context"
	"sync"
	"time"
)

// defaultKeys bounds each of the tables; an entry takes some 100 bytes.
const defaultKeys = 1 << 17

// shards is a power of two.
const shards = 32

// Memory is the source that lives in the process. Its size is bounded; what
// gives way when it is full is said at table.
type Memory struct {
	now func() time.Time

	rates [shards]rateShard

	// One mutex guards all failures, because a reservation spans several keys.
	// Every attempt costs a password hash, so there is no contention.
	mu       sync.Mutex
	counters *table[counter]
	trusted  *table[time.Time] // until when
}

type rateShard struct {
	mu  sync.Mutex
	tat *table[time.Time]
}

var _ Source = (*Memory)(nil)

// NewMemory returns an empty source. keys bounds how many keys each kind of
// number remembers; zero means 131,072.
func NewMemory(now func() time.Time, keys int) *Memory {
	if keys <= 0 {
		keys = defaultKeys
	}
	m := &Memory{
		now:      now,
		counters: newTable(keys, counterWorth),
		trusted:  newTable(keys, timeLeft),
	}
	for i := range m.rates {
		m.rates[i].tat = newTable(keys/shards, timeLeft)
	}
	return m
}

// timeLeft orders by how long an entry still matters.
func timeLeft(until, now time.Time) float64 { return until.Sub(now).Seconds() }

// counterWorth orders counters by failures and, among equals, by age. Whatever
// delays an attempt is worth more than anything that does not.
func counterWorth(c counter, now time.Time) float64 {
	left := c.forget.Sub(now).Seconds()
	if left <= 0 {
		return 0
	}
	// A fraction below one: failures weigh more than age.
	worth := float64(c.failures) + left/(left+1)
	if c.until.After(now) {
		worth += 1e9
	}
	return worth
}

// Spend implements [Source].
func (m *Memory) Spend(_ context.Context, key string, r Rate) Decision {
	k := digestOf(0, key)
	shard := &m.rates[k[0]%shards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	now := m.now()
	tat, decision := r.spend(shard.tat.entries[k], now)
	if decision.OK {
		shard.tat.put(k, tat, now)
	}
	return decision
}

// Reserve implements [Source].
func (m *Memory) Reserve(_ context.Context, charges []Charge) ([]time.Time, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	trusted := m.anyTrusted(charges, now)
	aged := make([]counter, len(charges))
	var wait time.Duration
	for i, c := range charges {
		aged[i] = c.Policy.aged(m.counters.entries[digestOf(c.Key.Kind, c.Key.Value)], now)
		if trusted && c.Key.Kind == KindAccount {
			continue
		}
		wait = max(wait, aged[i].until.Sub(now))
	}
	if wait > 0 {
		return nil, wait
	}
	locks := make([]time.Time, len(charges))
	for i, c := range charges {
		k := digestOf(c.Key.Kind, c.Key.Value)
		charged, lock := c.Policy.charged(aged[i], now)
		m.counters.put(k, charged, now)
		if c.Key.Kind == KindPair && charged.failures >= c.Policy.Free {
			delete(m.trusted.entries, k)
		}
		locks[i] = lock
	}
	return locks, 0
}

// Settle implements [Source].
func (m *Memory) Settle(_ context.Context, settlements []Settlement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for _, s := range settlements {
		k := digestOf(s.Key.Kind, s.Key.Value)
		switch s.Action {
		case Refund:
			if c, known := m.counters.entries[k]; known {
				m.counters.put(k, s.Policy.refunded(c, s.Lock), now)
			}
		case Trust:
			m.trusted.put(k, now.Add(TrustPeriod), now)
			delete(m.counters.entries, k)
		case Clear:
			delete(m.counters.entries, k)
		}
	}
}

func (m *Memory) anyTrusted(charges []Charge, now time.Time) bool {
	for _, c := range charges {
		if c.Key.Kind == KindPair && now.Before(m.trusted.entries[digestOf(c.Key.Kind, c.Key.Value)]) {
			return true
		}
	}
	return false
}

// Len returns how many entries each table holds, for metrics and tests.
func (m *Memory) Len() (rates, failures, trusted int) {
	for i := range m.rates {
		m.rates[i].mu.Lock()
		rates += len(m.rates[i].tat.entries)
		m.rates[i].mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return rates, len(m.counters.entries), len(m.trusted.entries)
}
