package session

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session/internal/db"
)

// seenEvery is how often the times of use are written: often enough for an idle end of a few minutes, rarely
// enough to cost nothing.
const seenEvery = time.Minute

// Seen remembers when sessions were used and writes it in one batch per realm and minute, so that using a session
// costs no write. A crash loses at most a minute of use, which ends a session early, never late.
type Seen struct {
	mu   sync.Mutex
	used map[uuid.UUID]*usage
}

type usage struct {
	realm realm.Realm
	times map[uuid.UUID]time.Time
}

// NewSeen makes an empty memory.
func NewSeen() *Seen { return &Seen{used: map[uuid.UUID]*usage{}} }

// Note remembers that a session was used.
func (s *Seen) Note(r realm.Realm, session uuid.UUID, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.used[r.ID]
	if u == nil {
		u = &usage{realm: r, times: map[uuid.UUID]time.Time{}}
		s.used[r.ID] = u
	}
	u.times[session] = at
}

// Run writes until ctx ends, and once more then.
func (s *Seen) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(seenEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.Flush(last, log)
			return
		case <-tick.C:
			s.Flush(ctx, log)
		}
	}
}

// Flush writes what is remembered. What cannot be written is logged and kept for the next time.
func (s *Seen) Flush(ctx context.Context, log *slog.Logger) {
	s.mu.Lock()
	used := s.used
	s.used = map[uuid.UUID]*usage{}
	s.mu.Unlock()
	for _, u := range used {
		p := db.SeenParams{}
		for id, at := range u.times {
			p.Ids, p.Times = append(p.Ids, id), append(p.Times, at)
		}
		if err := db.New().Seen(ctx, u.realm.Write(), p); err != nil {
			log.WarnContext(ctx, "times of session use not written, will be tried again", "realm", u.realm.Slug, "error", err)
			for id, at := range u.times {
				s.restore(u.realm, id, at)
			}
		}
	}
}

// restore notes a use again unless a newer one was noted meanwhile.
func (s *Seen) restore(r realm.Realm, session uuid.UUID, at time.Time) {
	s.mu.Lock()
	newer := false
	if u := s.used[r.ID]; u != nil {
		newer = u.times[session].After(at)
	}
	s.mu.Unlock()
	if !newer {
		s.Note(r, session, at)
	}
}
