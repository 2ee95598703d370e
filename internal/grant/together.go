package grant

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

// together lets those who ask at once share a statement.
//
// Under load many ask, and asking the database costs far more than its answer. So a realm has one statement under way, and
// whoever comes meanwhile waits for its end and then shares the next with all others who wait. Each answer is from after
// its question, as if it had been asked alone; nothing is remembered. Should a statement take long (its connection may
// hang), the next one does not wait for it.
type together[Q, A any] struct {
	// ask answers questions by one statement, in their order.
	ask func(ctx context.Context, r postgres.Reader, questions []Q, now time.Time) ([]A, error)

	mu     sync.Mutex
	realms map[uuid.UUID]*asking[Q, A]
}

// asking are the questions of a realm: how many statements are under way, when the last one began, and who waits for the
// next.
type asking[Q, A any] struct {
	statements int
	begun      time.Time
	waiting    []*question[Q, A]
}

type question[Q, A any] struct {
	what Q
	now  time.Time

	answered chan struct{} // closed when what follows is set
	answer   A
	err      error
}

const (
	// long is how long others wait for a statement before another one begins.
	long = 20 * time.Millisecond
	// most is how many questions one statement asks at most.
	most = 100
	// answerWithin bounds a statement for those who share it.
	answerWithin = 10 * time.Second
)

// answer is the answer to a question as of now or later.
func (t *together[Q, A]) answer(ctx context.Context, r postgres.Reader, what Q, now time.Time) (answer A, err error) {
	q := &question[Q, A]{what: what, now: now}
	if t.begin(r, q) {
		defer func() {
			if next := t.next(r); next != nil {
				go t.serve(r, next)
			}
		}()
		t.settle(ctx, r, []*question[Q, A]{q})
		return q.answer, q.err
	}
	select {
	case <-q.answered:
		return q.answer, q.err
	case <-ctx.Done():
		return answer, fmt.Errorf("wait for the database: %w", ctx.Err())
	}
}

// begin tells whether to ask at once; else the question waits.
func (t *together[Q, A]) begin(r postgres.Reader, q *question[Q, A]) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.realms[r.RealmID()]
	if a == nil {
		if t.realms == nil {
			t.realms = map[uuid.UUID]*asking[Q, A]{}
		}
		a = &asking[Q, A]{}
		t.realms[r.RealmID()] = a
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
func (t *together[Q, A]) next(r postgres.Reader) []*question[Q, A] {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.realms[r.RealmID()]
	n := min(len(a.waiting), most)
	if n == 0 {
		if a.statements--; a.statements == 0 {
			delete(t.realms, r.RealmID())
		}
		return nil
	}
	next := a.waiting[:n:n]
	a.waiting, a.begun = a.waiting[n:], next[n-1].now
	return next
}

// serve asks for those who wait until nobody does.
func (t *together[Q, A]) serve(r postgres.Reader, questions []*question[Q, A]) {
	for ; questions != nil; questions = t.next(r) {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		t.settle(ctx, r, questions)
		cancel()
		for _, q := range questions {
			close(q.answered)
		}
	}
}

// settle answers questions by one statement.
func (t *together[Q, A]) settle(ctx context.Context, r postgres.Reader, questions []*question[Q, A]) {
	asked, now := make([]Q, len(questions)), time.Time{}
	for i, q := range questions {
		asked[i] = q.what
		if q.now.After(now) {
			now = q.now
		}
	}
	answers, err := t.guarded(ctx, r, asked, now)
	for i, q := range questions {
		if q.err = err; err == nil {
			q.answer = answers[i]
		}
	}
}

// guarded turns a panic into an error: those who wait must hear of it, and no request takes the process along (AU-06).
func (t *together[Q, A]) guarded(ctx context.Context, r postgres.Reader, questions []Q, now time.Time) (answers []A, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return t.ask(ctx, r, questions, now)
}
