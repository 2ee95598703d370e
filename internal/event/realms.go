package event

// The events of realms stand here because package realm comes before events in the order of imports.

// RealmCreated says that a realm was made.
type RealmCreated struct {
	Subject `json:"-"`
	Slug    string `json:"slug"`
}

// Type implements Event.
func (RealmCreated) Type() string { return "realm.created" }

// RealmUpdated says that settings, flags, name or hosts of a realm changed.
type RealmUpdated struct {
	Subject `json:"-"`
	// Changed names what changed, by its name in the realm file.
	Changed []string `json:"changed"`
}

// Type implements Event.
func (RealmUpdated) Type() string { return "realm.updated" }

// RealmPrepared says that the realm got its data key.
type RealmPrepared struct {
	Subject `json:"-"`
}

// Type implements Event.
func (RealmPrepared) Type() string { return "realm.prepared" }

// RealmResealed says that the realm's data key was sealed by another secret key.
type RealmResealed struct {
	Subject `json:"-"`
	// Key is the id of the secret key that seals it now.
	Key string `json:"key"`
}

// Type implements Event.
func (RealmResealed) Type() string { return "realm.resealed" }
