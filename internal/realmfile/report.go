package realmfile

import (
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

// Kind is what a change is about.
type Kind string

// The kinds of things that a realm file changes.
const (
	KindRealm       Kind = "realm"
	KindKey         Kind = "key"
	KindApplication Kind = "application"
	KindSecret      Kind = "secret" // of an application
	KindUser        Kind = "user"
	KindPassword    Kind = "password" // of a user
)

// Action is what happened to it.
type Action string

// The actions.
const (
	Created Action = "created"
	Updated Action = "updated"
	Deleted Action = "deleted"
)

// Change is one thing that applying a file did or, in a dry run, would do.
type Change struct {
	Kind   Kind
	Name   string // slug, algorithm, client_id, or the person's user name or e-mail address
	Action Action
	Fields []string // what differed, by the names in the file; for updates
}

// String is the change in one line.
func (c Change) String() string {
	text := fmt.Sprintf("%s %s: %s", c.Kind, c.Name, c.Action)
	if len(c.Fields) > 0 {
		text += " " + strings.Join(c.Fields, ", ")
	}
	return text
}

// Generated is a secret that was made because the file asked for it. It is stored as a hash only: whoever wants to
// know the value has to show it now.
type Generated struct {
	Kind Kind // KindSecret or KindPassword
	Name string
	// Value prints as [redacted]; Reveal gives the text. In a dry run there is none, since it would open nothing.
	Value config.Secret
}

// Report is what applying a file did. One without changes says that everything was as the file says.
type Report struct {
	Realm     string
	DryRun    bool
	Changes   []Change
	Generated []Generated
}

func (r *Report) note(kind Kind, name string, action Action, fields ...string) {
	r.Changes = append(r.Changes, Change{Kind: kind, Name: name, Action: action, Fields: fields})
}

func (r *Report) generated(kind Kind, name string, value config.Secret) {
	if r.DryRun {
		value = config.Secret{}
	}
	r.Generated = append(r.Generated, Generated{Kind: kind, Name: name, Value: value})
}
