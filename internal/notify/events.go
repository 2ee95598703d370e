package notify

import "github.com/gatehouse-id/gatehouse/internal/event"

// GivenUp says that a message will not arrive. Its object is the delivery.
type GivenUp struct {
	event.Subject `json:"-"`
	Template      string `json:"template"`
	// Reason is why the last attempt failed: refused, deferred, unreachable, timeout, broken, tls, auth, sender_refused,
	// paused, unconfigured, malformed, unreadable or interrupted; "expired" when there was none.
	Reason   string `json:"reason"`
	Attempts int32  `json:"attempts"`
}

// Type implements event.Event.
func (GivenUp) Type() string { return "delivery.failed" }

// AttemptsReported says that somebody is told by mail of many failed attempts before a sign-in of theirs. Its object is
// the delivery.
type AttemptsReported struct {
	event.Subject `json:"-"`
	// Failures is how many attempts there were since the sign-in before, within a day.
	Failures int64 `json:"failures"`
}

// Type implements event.Event.
func (AttemptsReported) Type() string { return "attempts.reported" }
