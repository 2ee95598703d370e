// Package event records what happened.
//
// Record writes one append-only row in the transaction of the change; statements that are a whole change call the
// SQL function record_event with what Prepare made. The table is the audit log: there is no second writer, and a
// deferred trigger refuses to commit changes of audited tables that recorded nothing. Who acted, from where and in
// which request comes from ctx once (With). Personal fields are sealed by the realm's data key in event_personal;
// the event holds their salted digest, so that erasing them leaves the log provable.
//
// Consumers read the log in commit order, each with its own cursor (Reader). Audit, webhooks, notifications and
// counters hang there and nowhere else.
package event

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Event is one kind of thing that happens: a struct in the domain that embeds Subject. Its other fields become
// the event's data and must not hold secrets or personal data.
type Event interface {
	// Type is noun.past, for example "session.ended".
	Type() string
	// About says whom and what it concerns.
	About() Subject
}

// Subject says whom and what an event concerns; zero fields are left out. Events embed it.
type Subject struct {
	User    uuid.UUID
	Client  string
	Session uuid.UUID
	// Object is the id of anything else, for example of a grant or a key.
	Object string
	// Identifier is the name that somebody typed; it is personal and sealed.
	Identifier string
}

// About implements Event for the structs that embed Subject.
func (s Subject) About() Subject { return s }

// ActorKind is what kind of actor caused an event.
type ActorKind string

// The kinds of actors.
const (
	Anonymous ActorKind = "anonymous" // a browser nobody has signed in with yet
	User      ActorKind = "user"
	Client    ActorKind = "client"
	Operator  ActorKind = "operator" // the command line
	System    ActorKind = "system"   // the program by itself
)

// Origin is who acted and from where. It rides in ctx.
type Origin struct {
	Kind      ActorKind
	Actor     string // user id, client_id or the operator's name
	RequestID string
	TraceID   string
	Address   string
	UserAgent string
}

// OriginKey is where a ctx has an Originator.
type OriginKey struct{}

// Originator makes an origin when an event asks for it: most requests record none.
type Originator interface{ Origin() Origin }

// Origin implements Originator.
func (o Origin) Origin() Origin { return o }

// With returns a ctx whose events come from o.
func With(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, OriginKey{}, o)
}

// From is the origin in ctx; without one, the program itself.
func From(ctx context.Context) Origin {
	if o, ok := ctx.Value(OriginKey{}).(Originator); ok {
		return o.Origin()
	}
	return Origin{Kind: System}
}

// By returns a ctx whose events have this actor, everything else unchanged.
func By(ctx context.Context, kind ActorKind, actor string) context.Context {
	return context.WithValue(ctx, OriginKey{}, &deed{ctx, kind, actor})
}

// deed is an origin with another actor.
type deed struct {
	from  context.Context
	kind  ActorKind
	actor string
}

// Origin implements Originator.
func (d *deed) Origin() Origin {
	o := From(d.from)
	o.Kind, o.Actor = d.kind, d.actor
	return o
}

// Record writes e in the transaction of the change that it reports.
func Record(ctx context.Context, tx realm.Writer, e Event, now time.Time) error {
	prepared, err := Prepare(ctx, tx.In(), e, now)
	if err != nil {
		return err
	}
	if _, err := db.New().RecordEvent(ctx, tx, prepared); err != nil {
		return fmt.Errorf("record %s: %w", e.Type(), err)
	}
	return nil
}

// prepared is what the SQL function record_event takes.
type prepared struct {
	ID             uuid.UUID       `json:"id"`
	Type           string          `json:"type"`
	At             time.Time       `json:"at"`
	ActorKind      ActorKind       `json:"actor_kind"`
	Actor          string          `json:"actor,omitempty"`
	User           *uuid.UUID      `json:"user_id,omitempty"`
	Client         string          `json:"client_id,omitempty"`
	Session        *uuid.UUID      `json:"session_id,omitempty"`
	Object         string          `json:"object,omitempty"`
	RequestID      string          `json:"request_id,omitempty"`
	TraceID        string          `json:"trace_id,omitempty"`
	Data           json.RawMessage `json:"data"`
	PersonalDigest []byte          `json:"personal_digest,omitempty"`
	Personal       []byte          `json:"personal,omitempty"`
	AddressMAC     []byte          `json:"address_mac,omitempty"`
	IdentifierMAC  []byte          `json:"identifier_mac,omitempty"`
}

// Prepare makes the argument of record_event for a statement that changes and records at once.
func Prepare(ctx context.Context, r realm.Realm, e Event, now time.Time) ([]byte, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an event id: %w", err)
	}
	o, about := From(ctx), e.About()
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Type(), err)
	}
	p := prepared{
		ID: id, Type: e.Type(), At: now.UTC(), ActorKind: o.Kind, Actor: o.Actor, User: present(about.User), Client: about.Client,
		Session: present(about.Session), Object: about.Object, RequestID: o.RequestID, TraceID: o.TraceID, Data: data,
	}
	if err := p.seal(r, Personal{Address: o.Address, UserAgent: o.UserAgent, Identifier: about.Identifier}); err != nil {
		return nil, fmt.Errorf("seal the personal fields of %s: %w", e.Type(), err)
	}
	return json.Marshal(p)
}

func present(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// Personal are the fields of an event that identify a person. They live in event_personal and can be erased.
type Personal struct {
	Address    string `json:"address,omitempty"`
	UserAgent  string `json:"user_agent,omitempty"`
	Identifier string `json:"identifier,omitempty"`
	Salt       []byte `json:"salt,omitempty"`
}

const maxUserAgent = 512

func (p *prepared) seal(r realm.Realm, v Personal) error {
	if v.Address == "" && v.UserAgent == "" && v.Identifier == "" {
		return nil
	}
	if len(v.UserAgent) > maxUserAgent {
		v.UserAgent = v.UserAgent[:maxUserAgent]
	}
	v.Salt = make([]byte, 16)
	if _, err := rand.Read(v.Salt); err != nil {
		return err
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(plain)
	p.PersonalDigest = digest[:]
	if p.Personal, err = r.DataKey.Seal(plain, r.AAD("event_personal", "sealed", p.ID.String())); err != nil {
		return err
	}
	if v.Address != "" {
		if p.AddressMAC, err = mac(r, "event.address", v.Address); err != nil {
			return err
		}
	}
	if v.Identifier != "" {
		p.IdentifierMAC, err = mac(r, "event.identifier", v.Identifier)
	}
	return err
}

func mac(r realm.Realm, label, value string) ([]byte, error) {
	m, err := r.MAC(label)
	if err != nil {
		return nil, err
	}
	return m.Sum([]byte(value))
}

// Seen is an event in the log; the zero Seen is before all.
type Seen struct {
	Seq int64
	At  time.Time
}

// Latest is the newest event about a person of these types; the zero Seen when there is none.
func Latest(ctx context.Context, r postgres.Reader, user uuid.UUID, types ...string) (Seen, error) {
	row, err := db.New().Latest(ctx, r, db.LatestParams{UserID: &user, Types: types})
	if postgres.NoRows(err) {
		return Seen{}, nil
	}
	if err != nil {
		return Seen{}, fmt.Errorf("find the newest event about a person: %w", err)
	}
	return Seen{row.Seq, row.At}, nil
}

// CountAfter counts a person's events of a type that came after another, at most that many.
func CountAfter(ctx context.Context, r postgres.Reader, user uuid.UUID, kind string, after Seen, most int32) (int64, error) {
	n, err := db.New().CountAfter(ctx, r, db.CountAfterParams{UserID: &user, Type: kind, Seq: after.Seq, Most: most})
	if err != nil {
		return 0, fmt.Errorf("count events about a person: %w", err)
	}
	return n, nil
}

// Erase deletes what the log holds of a person beside their id: addresses, programs, names they tried. The events stay, and
// stay provable by the digests. The caller's transaction records why.
func Erase(ctx context.Context, tx realm.Tx, user uuid.UUID) error {
	if err := db.New().Erase(ctx, tx, &user); err != nil {
		return fmt.Errorf("erase a person from the log: %w", err)
	}
	return nil
}

// OpenPersonal opens the sealed personal fields of an event and checks them against the event's digest.
func OpenPersonal(r realm.Realm, eventID uuid.UUID, sealed, digest []byte) (Personal, error) {
	plain, err := r.DataKey.Open(sealed, r.AAD("event_personal", "sealed", eventID.String()))
	if err != nil {
		return Personal{}, fmt.Errorf("open the personal fields of event %s: %w", eventID, err)
	}
	if sum := sha256.Sum256(plain); string(sum[:]) != string(digest) {
		return Personal{}, errors.New("the personal fields do not match the event's digest")
	}
	var v Personal
	return v, json.Unmarshal(plain, &v)
}
