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
