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
