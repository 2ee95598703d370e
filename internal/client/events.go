package client

import "github.com/gatehouse-id/gatehouse/internal/event"

// Created says that a client was registered.
type Created struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Created) Type() string { return "client.created" }

// Updated says that settings of a client changed.
type Updated struct {
	event.Subject `json:"-"`
	// Changed names the settings, by their names in the realm file.
	Changed []string `json:"changed"`
}

// Type implements event.Event.
func (Updated) Type() string { return "client.updated" }

// Deleted says that a client and its secrets were deleted.
type Deleted struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (Deleted) Type() string { return "client.deleted" }

// SecretAdded says that a client got one more secret.
type SecretAdded struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (SecretAdded) Type() string { return "client.secret_added" }

// SecretRemoved says that a client's secret was taken away.
type SecretRemoved struct {
	event.Subject `json:"-"`
}

// Type implements event.Event.
func (SecretRemoved) Type() string { return "client.secret_removed" }
