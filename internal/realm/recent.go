package realm

import (
	"sync"
	"sync/atomic"
)

// Recent remembers what was put lately and knows nothing else. It is bounded: when its young half is full, that becomes
// the old half and what was old is forgotten. It is safe for concurrent use.
type Recent[K comparable, V any] struct {
	bound        int
	mu           sync.RWMutex
	young, old   map[K]V
	entries      atomic.Int64
	hits, misses atomic.Int64
}

// NewRecent makes an empty memory for at least bound and at most twice as many entries.
func NewRecent[K comparable, V any](bound int) *Recent[K, V] {
	return &Recent[K, V]{bound: bound, young: map[K]V{}}
}

// Empty tells whether nothing is remembered, at the cost of one load.
func (m *Recent[K, V]) Empty() bool { return m.entries.Load() == 0 }

// Get returns what was put under key.
func (m *Recent[K, V]) Get(key K) (V, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.young[key]
	if !ok {
		v, ok = m.old[key]
	}
	if ok {
		m.hits.Add(1)
	} else {
		m.misses.Add(1)
	}
	return v, ok
}

// Put remembers v.
func (m *Recent[K, V]) Put(key K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= m.bound {
		m.old, m.young = m.young, make(map[K]V, m.bound)
	}
	m.young[key] = v
	m.entries.Store(int64(len(m.young) + len(m.old)))
}

// Drop forgets key.
func (m *Recent[K, V]) Drop(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, key)
	delete(m.old, key)
	m.entries.Store(int64(len(m.young) + len(m.old)))
}

// Stats reads the counters.
func (m *Recent[K, V]) Stats() CacheStats {
	return CacheStats{m.hits.Load(), m.misses.Load(), m.entries.Load()}
}
