package limit

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// defaultKeys is how many keys are remembered; an entry takes some 100 bytes.
const defaultKeys = 1 << 17

// shards is a power of two.
const shards = 32

// Memory is the source that lives in the process. Its size is bounded; what
// gives way when it is full is said at table.
type Memory struct {
	now   func() time.Time
	seed  maphash.Seed
	rates [shards]rateShard
}

type rateShard struct {
	mu  sync.Mutex
	tat *table[time.Time]
}

var _ Source = (*Memory)(nil)

// NewMemory returns an empty source. keys bounds how many are remembered;
// zero means 131,072.
func NewMemory(now func() time.Time, keys int) *Memory {
	if keys <= 0 {
		keys = defaultKeys
	}
	m := &Memory{now: now, seed: maphash.MakeSeed()}
	for i := range m.rates {
		m.rates[i].tat = newTable(keys/shards, timeLeft)
	}
	return m
}

// timeLeft orders by how long an entry still matters.
func timeLeft(until, now time.Time) float64 { return until.Sub(now).Seconds() }

// Spend implements [Source].
func (m *Memory) Spend(_ context.Context, key string, r Rate) Decision {
	k := digest(maphash.String(m.seed, key))
	shard := &m.rates[k%shards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	now := m.now()
	tat, decision := r.spend(shard.tat.entries[k], now)
	if decision.OK {
		shard.tat.put(k, tat, now)
	}
	return decision
}

// Len returns how many keys are remembered, for metrics and tests.
func (m *Memory) Len() (keys int) {
	for i := range m.rates {
		m.rates[i].mu.Lock()
		keys += len(m.rates[i].tat.entries)
		m.rates[i].mu.Unlock()
	}
	return keys
}
