package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Listener hears what transactions announce by NOTIFY.
type Listener struct {
	DB      *DB
	Channel string
	// Heard is called with each payload, after its transaction committed.
	Heard func(payload string)
	// Listening is called with true when the connection stands, before anything is heard, and with false when it is
	// lost: whatever was announced meanwhile was missed.
	Listening func(bool)
}

const (
	// listenCheck is how long silence is believed before the connection is tried, listenLate how long an answer may take
	// before nothing counts as heard. Together they are how late it is noticed that a connection hangs: well within the
	// second in which a process obeys what another one changed. Asking so often costs a thousandth of a core.
	listenCheck = 400 * time.Millisecond
	listenLate  = 250 * time.Millisecond
	// listenPatience is how long an answer is waited for all the same, before another connection is made.
	listenPatience = 2 * time.Second
	retryFirst     = 50 * time.Millisecond
	retryMost      = 5 * time.Second
)

// Run listens on a connection of its own until ctx ends, and connects again whenever the connection is lost.
func (l Listener) Run(ctx context.Context) {
	for wait := retryFirst; ctx.Err() == nil; wait = min(2*wait, retryMost) {
		if heard := l.listen(ctx); heard {
			wait = retryFirst
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// listen listens until the connection is lost, and tells whether it ever stood.
func (l Listener) listen(ctx context.Context) bool {
	conn, err := pgx.ConnectConfig(ctx, l.DB.pool.Config().ConnConfig)
	if err != nil {
		return false
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	defer l.Listening(false) // before closing, which takes its time where nobody answers
	beginning, cancel := context.WithTimeout(ctx, listenPatience)
	defer cancel()
	if _, err := conn.Exec(beginning, `LISTEN `+pgx.Identifier{l.Channel}.Sanitize()); err != nil {
		return false
	}
	l.Listening(true)
	for {
		payload, err := l.next(ctx, conn)
		if err != nil {
			return true
		}
		if payload != "" {
			l.Heard(payload)
		}
	}
}

// next waits for an announcement; in silence it asks whether the server is still there.
func (l Listener) next(ctx context.Context, conn *pgx.Conn) (string, error) {
	quiet, cancel := context.WithTimeout(ctx, listenCheck)
	defer cancel()
	n, err := conn.WaitForNotification(quiet)
	switch {
	case err == nil:
		return n.Payload, nil
	case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) || conn.IsClosed():
		return "", fmt.Errorf("listen: %w", err)
	}
	return "", l.ask(ctx, conn)
}

// ask tells whether the server is still there. While its answer is late nothing counts as heard; when it comes after
// all, what was announced meanwhile comes with it.
func (l Listener) ask(ctx context.Context, conn *pgx.Conn) error {
	asking, cancel := context.WithTimeout(ctx, listenPatience)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- conn.Ping(asking) }()
	late := time.NewTimer(listenLate)
	defer late.Stop()
	select {
	case err := <-answered:
		return err
	case <-late.C:
	}
	l.Listening(false)
	err := <-answered
	if err == nil {
		l.Listening(true)
	}
	return err
}
