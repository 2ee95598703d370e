package mail

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Named is a sender and what logs and metrics call it. The name holds no secret.
type Named struct {
	Name string
	Sender
}

// Chain sends by the first of several senders that takes the mail. A mail refused for good is not offered to the next:
// what is wrong is the mail's address or content.
//
// Each sender has a breaker. Failing three times in a row without a success it is passed over for a while, which
// doubles up to a minute; then one mail tries it. So a server that hangs holds up few mails and their workers, and no
// mail waits for it when there is another.
type Chain struct {
	links []*link
	now   func() time.Time
	log   *slog.Logger
}

var _ Sender = (*Chain)(nil)

// NewChain makes a chain of senders in the order of preference. Without any, every mail fails as unavailable.
func NewChain(now func() time.Time, log *slog.Logger, senders ...Named) *Chain {
	c := &Chain{now: now, log: log}
	for _, s := range senders {
		c.links = append(c.links, &link{Named: s})
	}
	return c
}

const (
	failuresToOpen = 3
	firstPause     = 5 * time.Second
	longestPause   = time.Minute
)

// ErrNoSender is the cause when a chain is empty.
var ErrNoSender = errors.New("no mail server is configured")

// errPaused is the cause when every sender is being passed over.
var errPaused = errors.New("every mail server failed repeatedly and is left alone for a while")

// Send implements Sender. A failure without a single attempt has RetryAfter set.
func (c *Chain) Send(ctx context.Context, m Message) error {
	if len(c.links) == 0 {
		return &Error{Kind: Unavailable, Code: "unconfigured", RetryAfter: longestPause, Err: ErrNoSender}
	}
	var last error
	wait := longestPause
	for _, l := range c.links {
		if pause := l.enter(c.now()); pause > 0 {
			wait = min(wait, pause)
			continue
		}
		err := l.Send(ctx, m)
		if pause := l.leave(err, c.now()); pause > 0 {
			c.log.ErrorContext(ctx, "mail server failed repeatedly, passing it over", "mail_server", l.Name, "for", pause, "err", err)
		}
		if err == nil || Cause(err).Kind == Permanent {
			return err
		}
		last = err
		if ctx.Err() != nil {
			return last
		}
	}
	if last == nil {
		return &Error{Kind: Unavailable, Code: "paused", RetryAfter: wait, Err: errPaused}
	}
	return last
}

// Open tells for each sender whether it is being passed over.
func (c *Chain) Open(report func(name string, open bool)) {
	for _, l := range c.links {
		l.mu.Lock()
		open := l.failures >= failuresToOpen
		l.mu.Unlock()
		report(l.Name, open)
	}
}

// link is a sender and its breaker.
type link struct {
	Named

	mu       sync.Mutex
	failures int           // in a row
	pause    time.Duration // the last one
	until    time.Time
}

// enter returns how long the sender is still to be left alone, zero when it may be tried. Whoever may try it after a
// pause begins the next one for everybody else.
func (l *link) enter(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures < failuresToOpen {
		return 0
	}
	if left := l.until.Sub(now); left > 0 {
		return left
	}
	l.until = now.Add(longestPause) // the one trial; leave shortens or ends it
	return 0
}

// leave notes how it went and returns the pause that begins with it, zero when none does.
func (l *link) leave(err error, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil || Cause(err).Kind != Unavailable {
		l.failures, l.pause = 0, 0
		return 0
	}
	l.failures++
	if l.failures < failuresToOpen {
		return 0
	}
	l.pause = min(max(2*l.pause, firstPause), longestPause)
	l.until = now.Add(l.pause)
	return l.pause
}
