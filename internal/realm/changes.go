package realm

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

// Watched is a cache that is told of changes.
type Watched interface {
	// DropRealm forgets what is cached of a realm.
	DropRealm(id uuid.UUID)
	// Hear says whether changes are being heard from now on.
	Hear(heard bool)
}

// Changes keeps the caches of a process true. Triggers announce the table of every committed change of a realm,
// a realm's own row and hosts included; the caches that hold of that table forget the realm. While the process cannot
// listen, they believe their entries for half a second only.
type Changes struct {
	DB *postgres.DB
	// Tables says which caches hold of which table.
	Tables map[string][]Watched

	listening atomic.Bool
}

// changesChannel is the channel of the SQL function announce_change.
const changesChannel = "gatehouse_changes"

// Run listens until ctx ends.
func (c *Changes) Run(ctx context.Context) {
	postgres.Listener{DB: c.DB, Channel: changesChannel, Heard: c.heard, Listening: c.hear}.Run(ctx)
}

// Listening tells whether changes are being heard, for a metric.
func (c *Changes) Listening() bool { return c.listening.Load() }

// heard takes an announcement: the realm's id and the table.
func (c *Changes) heard(payload string) {
	realm, table, _ := strings.Cut(payload, " ")
	id, err := uuid.Parse(realm)
	if err != nil {
		return
	}
	for _, w := range c.Tables[table] {
		w.DropRealm(id)
	}
}

func (c *Changes) hear(heard bool) {
	c.listening.Store(heard)
	for _, caches := range c.Tables {
		for _, w := range caches {
			w.Hear(heard)
		}
	}
}

// everyRealm is the cache of realms themselves: their keys do not name them, so it forgets them all.
type everyRealm struct{ *Cache[Realm] }

// DropRealm implements Watched.
func (e everyRealm) DropRealm(uuid.UUID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch++
	clear(e.entries)
}

// Watched are the directory's caches, which hold of the tables realms and realm_hosts.
func (d *Directory) Watched() []Watched { return []Watched{everyRealm{d.cache}} }
