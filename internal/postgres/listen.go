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
	// listenCheck is how long silence is believed before the connection is tried.
	listenCheck = 2 * time.Second
	retryFirst  = 50 * time.Millisecond
	retryMost   = 5 * time.Second
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
	if _, err := conn.Exec(ctx, `LISTEN `+pgx.Identifier{l.Channel}.Sanitize()); err != nil {
		return false
	}
	l.Listening(true)
	for {
		payload, err := next(ctx, conn)
		if err != nil {
			return true
		}
		if payload != "" {
			l.Heard(payload)
		}
	}
}

// next waits for an announcement; in silence it asks whether the server is still there.
func next(ctx context.Context, conn *pgx.Conn) (string, error) {
	quiet, cancel := context.WithTimeout(ctx, listenCheck)
	defer cancel()
	n, err := conn.WaitForNotification(quiet)
	switch {
	case err == nil:
		return n.Payload, nil
	case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) || conn.IsClosed():
		return "", fmt.Errorf("listen: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, listenCheck)
	defer cancel()
	_, err = conn.Exec(asking, `SELECT 1`)
	return "", err
}
