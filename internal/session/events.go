package session

import "github.com/gatehouse-id/gatehouse/internal/event"

// Started says that somebody signed in.
type Started struct {
	event.Subject `json:"-"`
	AMR           []string `json:"amr"`
	Persistent    bool     `json:"persistent"`
}

// Type implements event.Event.
func (Started) Type() string { return "session.started" }

// Renewed says that the person of a live session proved their identity again.
type Renewed struct {
	event.Subject `json:"-"`
	AMR           []string `json:"amr"`
}

// Type implements event.Event.
func (Renewed) Type() string { return "session.renewed" }

// Rotated says that a live session got a new cookie, because somebody proved an identity in its browser: whoever knew
// the old cookie must not share what comes of it.
type Rotated struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Rotated) Type() string { return "session.rotated" }

// Ended says that a session is over.
type Ended struct {
	event.Subject `json:"-"`
	// Reason is logout, replaced, revoked, password_reset, disabled, locked or deleted.
	Reason string `json:"reason"`
}

// Type implements event.Event.
func (Ended) Type() string { return "session.ended" }
