package challenge

import "github.com/gatehouse-id/gatehouse/internal/event"

// Sent says that a secret was made and is on its way, or would be if somebody had the address.
type Sent struct {
	event.Subject `json:"-"`
	Purpose       string `json:"purpose"`
}

// Type implements event.Event.
func (Sent) Type() string { return "challenge.sent" }

// Redeemed says that a secret was shown back.
type Redeemed struct {
	event.Subject `json:"-"`
	Purpose       string `json:"purpose"`
	// By is link or code.
	By string `json:"by"`
}

// Type implements event.Event.
func (Redeemed) Type() string { return "challenge.redeemed" }

// Refused says that a wrong code was typed.
type Refused struct {
	event.Subject `json:"-"`
	Purpose       string `json:"purpose"`
	// Tries is how many there were, this one included.
	Tries int `json:"tries"`
}

// Type implements event.Event.
func (Refused) Type() string { return "challenge.refused" }

// Ended says that secrets will not be accepted any more.
type Ended struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Ended) Type() string { return "challenge.ended" }
