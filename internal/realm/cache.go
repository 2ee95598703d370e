package realm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"
)

// How long a cached entry is believed. While the process hears of changes (Changes), the bound only limits what a bug
// could cost; without, half a second bounds how late it obeys. What was not found is remembered in both cases, so that
// guessing costs the database little.
const (
	heardTTL    = 10 * time.Minute
	deafTTL     = 500 * time.Millisecond
	negativeTTL = 10 * time.Second
	cacheBound  = 10_000
)

// ErrUnknown says that there is no such thing in the realm, or no such realm. Loaders of a Cache return it for
// what should be remembered as missing.
var ErrUnknown = errors.New("unknown")

// Key is where a Cache keeps a thing: the realm that it is of, if of one, and what it is called there. A cache of things
// that are called in several ways says which one Kind is. It is a structure so that looking something up makes no text.
type Key struct {
	Realm      uuid.UUID
	Kind, Name string
}

// Cache keeps values by Key. It is bounded, asks once for many waiting callers, and remembers what is missing.
type Cache[V any] struct {
	now     func() time.Time
	group   singleflight.Group
	mu      sync.RWMutex
	entries map[Key]cached[V]
	// epoch counts what was dropped, so that a value that was read before is not kept after.
	epoch int64
	heard bool

	hits, misses atomic.Int64
}

// CacheStats describes a cache for metrics: answers from it, answers that had to be loaded, and what it holds.
type CacheStats struct{ Hits, Misses, Entries int64 }

// Stats reads the counters.
func (c *Cache[V]) Stats() CacheStats {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return CacheStats{c.hits.Load(), c.misses.Load(), int64(len(c.entries))}
}

type cached[V any] struct {
	value V
	err   error
	until time.Time
}

// NewCache makes an empty cache that does not hear of changes yet.
func NewCache[V any](now func() time.Time) *Cache[V] {
	return &Cache[V]{now: now, entries: map[Key]cached[V]{}}
}

// Get returns the value of key, calling load when there is none that is still believed.
func (c *Cache[V]) Get(ctx context.Context, key Key, load func(ctx context.Context) (V, error)) (V, error) {
	c.mu.RLock()
	e, ok := c.entries[key]
	epoch := c.epoch
	c.mu.RUnlock()
	if ok && c.now().Before(e.until) {
		c.hits.Add(1)
		return e.value, e.err
	}
	c.misses.Add(1)
	// The load is shared, so one caller's cancellation must not fail the others.
	shared := c.group.DoChan(key.Realm.String()+"|"+key.Kind+"|"+key.Name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		v, err := load(ctx)
		if err == nil || errors.Is(err, ErrUnknown) {
			c.put(key, v, err, epoch)
		}
		return v, err
	})
	select {
	case r := <-shared:
		v, _ := r.Val.(V)
		return v, r.Err
	case <-ctx.Done():
		var zero V
		return zero, ctx.Err()
	}
}

func (c *Cache[V]) put(key Key, v V, err error, epoch int64) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		return
	}
	ttl := deafTTL
	switch {
	case err != nil:
		ttl = negativeTTL
	case c.heard:
		ttl = heardTTL
	}
	if len(c.entries) >= cacheBound {
		for k, e := range c.entries {
			if !now.Before(e.until) {
				delete(c.entries, k)
			}
		}
		if len(c.entries) >= cacheBound {
			clear(c.entries)
		}
	}
	c.entries[key] = cached[V]{v, err, now.Add(ttl)}
}

// Drop forgets key, so that the next Get loads it.
func (c *Cache[V]) Drop(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	delete(c.entries, key)
}

// DropRealm implements Watched.
func (c *Cache[V]) DropRealm(id uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for k := range c.entries {
		if k.Realm == id {
			delete(c.entries, k)
		}
	}
}

// Hear implements Watched: everything is forgotten when the hearing starts or ends.
func (c *Cache[V]) Hear(heard bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	c.heard = heard
	clear(c.entries)
}

// CacheKey is the key of a thing of the realm, in a cache whose things are called in one way.
func (f *Facts) CacheKey(name string) Key { return Key{Realm: f.ID, Name: name} }
