package realm

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// How long a cached entry is believed. Without invalidation from the database half a second bounds how late a
// process obeys a change; what was not found is remembered longer, so that guessing costs the database little.
const (
	cacheTTL    = 500 * time.Millisecond
	negativeTTL = 10 * time.Second
	cacheBound  = 10_000
)

// ErrUnknown says that there is no such thing in the realm, or no such realm. Loaders of a Cache return it for
// what should be remembered as missing.
var ErrUnknown = errors.New("unknown")

// Cache keeps values by a key that names the realm. It is bounded, asks once for many waiting callers, and
// remembers what is missing.
type Cache[V any] struct {
	now     func() time.Time
	group   singleflight.Group
	mu      sync.RWMutex
	entries map[string]cached[V]
}

type cached[V any] struct {
	value V
	err   error
	until time.Time
}

// NewCache makes an empty cache.
func NewCache[V any](now func() time.Time) *Cache[V] {
	return &Cache[V]{now: now, entries: map[string]cached[V]{}}
}

// Get returns the value of key, calling load when there is none that is still believed.
func (c *Cache[V]) Get(ctx context.Context, key string, load func(ctx context.Context) (V, error)) (V, error) {
	c.mu.RLock()
	e, ok := c.entries[key]
	c.mu.RUnlock()
	if ok && c.now().Before(e.until) {
		return e.value, e.err
	}
	// The load is shared, so one caller's cancellation must not fail the others.
	shared := c.group.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		v, err := load(ctx)
		if err == nil || errors.Is(err, ErrUnknown) {
			c.put(key, v, err)
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

func (c *Cache[V]) put(key string, v V, err error) {
	ttl := cacheTTL
	if err != nil {
		ttl = negativeTTL
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
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
	delete(c.entries, key)
}

// CacheKey names a cached thing of the realm.
func (f *Facts) CacheKey(parts ...string) string { return f.LimitKey(parts...) }
