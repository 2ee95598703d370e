package user

import "github.com/gatehouse-id/gatehouse/internal/event"

// Created says that an account was made.
type Created struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Created) Type() string { return "user.created" }

// Updated says that an account changed.
type Updated struct {
	event.Subject `json:"-"`
	// Changed names what changed: claims, email, username, phone.
	Changed []string `json:"changed"`
}

// Type implements event.Event.
func (Updated) Type() string { return "user.updated" }

// EmailVerified says that a person proved to read what is sent to their e-mail address.
type EmailVerified struct {
	event.Subject `json:"-"`
	// Changed tells that the address replaced another one.
	Changed bool `json:"changed"`
}

// Type implements event.Event.
func (EmailVerified) Type() string { return "user.email_verified" }

// Registered says that a person made their own account.
type Registered struct {
	event.Subject `json:"-"`
	// Proved tells that they proved their address first.
	Proved bool `json:"proved"`
}

// Type implements event.Event.
func (Registered) Type() string { return "user.registered" }
