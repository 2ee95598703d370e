package demo

import (
	"sync"
	"time"
)

// memory keeps values for a while, and no more of them than its bound: the oldest goes first. It is safe for
// concurrent use.
type memory[V any] struct {
	now   func() time.Time
	life  time.Duration
	bound int

	mu    sync.Mutex
	order []string // keys in the order of their coming, some of them gone already
	kept  map[string]kept[V]
}

type kept[V any] struct {
	value V
	until time.Time
}

func newMemory[V any](now func() time.Time, life time.Duration, bound int) *memory[V] {
	return &memory[V]{now: now, life: life, bound: bound, kept: map[string]kept[V]{}}
}

// put keeps v under a key that was never used before.
func (m *memory[V]) put(key string, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for len(m.order) > 0 {
		oldest := m.order[0]
		k, there := m.kept[oldest]
		if there && now.Before(k.until) && len(m.order) < m.bound {
			break
		}
		delete(m.kept, oldest)
		m.order = m.order[1:]
	}
	m.order = append(m.order, key)
	m.kept[key] = kept[V]{v, now.Add(m.life)}
}

// get returns what is kept under key.
func (m *memory[V]) get(key string) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, there := m.kept[key]
	if !there || !m.now().Before(k.until) {
		var none V
		return none, false
	}
	return k.value, true
}

// take is get for values that are good for one use.
func (m *memory[V]) take(key string) (V, bool) {
	v, ok := m.get(key)
	m.drop(key)
	return v, ok
}

func (m *memory[V]) drop(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, key)
}
