package realm

import (
	"context"
	"errors"
	"strings"
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

// Cache keeps values by a key that names the realm (Facts.CacheKey). It is bounded, asks once for many waiting
// callers, and remembers what is missing.
type Cache[V any] struct {
	now     func() time.Time
	group   singleflight.Group
	mu      sync.RWMutex
	entries map[string]cached[V]
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
	return &Cache[V]{now: now, entries: map[string]cached[V]{}}
}

// Get returns the value of key, calling load when there is none that is still believed.
func (c *Cache[V]) Get(ctx context.Context, key string, load func(ctx context.Context) (V, error)) (V, error) {
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
	shared := c.group.DoChan(key, func() (any, error) {
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

func (c *Cache[V]) put(key string, v V, err error, epoch int64) {
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
func (c *Cache[V]) Drop(key string) {
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
		if strings.HasPrefix(k, id.String()) {
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

// CacheKey names a cached thing of the realm.
func (f *Facts) CacheKey(parts ...string) string { return f.LimitKey(parts...) }
