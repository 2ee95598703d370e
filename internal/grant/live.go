package grant

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/grant/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

// Live tells whether access tokens that are good by themselves still count.
//
// Under load many ask at once, and asking the database costs far more than its answer. So a realm has one statement under
// way, and whoever comes meanwhile waits for its end and then shares the next with all others who wait. Each answer is from
// after its question, as if it had been asked alone; nothing is remembered. Should a statement take long (its connection may
// hang), the next one does not wait for it.
type Live struct {
	mu     sync.Mutex
	realms map[uuid.UUID]*asking
}

// asking are the questions of a realm: how many statements are under way, when the last one began, and who waits for the
// next.
type asking struct {
	statements int
	begun      time.Time
	waiting    []*question
}

type question struct {
	grant uuid.UUID
	jti   string
	now   time.Time

	answered chan struct{} // closed when what follows is set
	live     bool
	err      error
}

const (
	// long is how long others wait for a statement before another one begins.
	long = 20 * time.Millisecond
	// together is how many questions one statement asks at most.
	together = 100
	// answerWithin bounds a statement for those who share it.
	answerWithin = 10 * time.Second
)

// NewLive makes one that has nothing to do.
func NewLive() *Live { return &Live{realms: map[uuid.UUID]*asking{}} }

// Token tells whether the access token with that id counts. id is the authorization that it came of, uuid.Nil when it came
// of none.
func (l *Live) Token(ctx context.Context, r postgres.Reader, id uuid.UUID, jti string, now time.Time) (bool, error) {
	q := &question{grant: id, jti: jti, now: now}
	if l.begin(r, q) {
		defer func() {
			if next := l.next(r); next != nil {
				go l.serve(r, next)
			}
		}()
		ask(ctx, r, []*question{q})
		return q.live, q.err
	}
	select {
	case <-q.answered:
		return q.live, q.err
	case <-ctx.Done():
		return false, fmt.Errorf("wait for what became of a token: %w", ctx.Err())
	}
}

// begin tells whether to ask at once; else the question waits.
func (l *Live) begin(r postgres.Reader, q *question) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.realms[r.RealmID()]
	if a == nil {
		a = &asking{}
		l.realms[r.RealmID()] = a
	}
	if a.statements == 0 || q.now.Sub(a.begun) > long {
		a.statements++
		a.begun = q.now
		return true
	}
	q.answered = make(chan struct{})
	a.waiting = append(a.waiting, q)
	return false
}

// next are the questions for the statement after one that has ended; nil when nobody waits.
func (l *Live) next(r postgres.Reader) []*question {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.realms[r.RealmID()]
	n := min(len(a.waiting), together)
	if n == 0 {
		if a.statements--; a.statements == 0 {
			delete(l.realms, r.RealmID())
		}
		return nil
	}
	next := a.waiting[:n:n]
	a.waiting, a.begun = a.waiting[n:], next[n-1].now
	return next
}

// serve asks for those who wait until nobody does.
func (l *Live) serve(r postgres.Reader, questions []*question) {
	for ; questions != nil; questions = l.next(r) {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		ask(ctx, r, questions)
		cancel()
		for _, q := range questions {
			close(q.answered)
		}
	}
}

// ask answers questions by one statement.
func ask(ctx context.Context, r postgres.Reader, questions []*question) {
	p := db.TokenStatesParams{GrantIds: make([]uuid.UUID, len(questions)), Jtis: make([]string, len(questions))}
	for i, q := range questions {
		p.GrantIds[i], p.Jtis[i] = q.grant, q.jti
		if q.now.After(p.Now) {
			p.Now = q.now
		}
	}
	rows, err := db.New().TokenStates(ctx, r, p)
	if err == nil && len(rows) != len(questions) {
		err = errors.New("not every token has an answer")
	}
	for i, q := range questions {
		switch {
		case err != nil:
			q.err = fmt.Errorf("read what became of a token: %w", err)
		case rows[i].GrantID != q.grant || rows[i].Jti != q.jti:
			q.err = errors.New("read what became of a token: the answers are in another order")
		default:
			q.live = rows[i].Live
		}
	}
}
