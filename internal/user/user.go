// Package user owns people: their subject, their status, their standard claims and the names they sign in with.
// Passwords are in package password, sessions in package session; what must act on several of them at once is in
// package lifecycle.
package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user/internal/db"
)

// The states of an account. Only an active one signs in.
const (
	Active   = "active"
	Disabled = "disabled" // by an administrator
	Locked   = "locked"   // by its owner or by evidence of abuse
)

// User is a person with an account.
type User struct {
	ID      uuid.UUID
	Subject string // the sub claim; never reused
	Status  string
	Claims  Claims
	// Names are what the person signs in with, at most one of a kind.
	Names     []Name
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Name is an identifier of a person.
type Name struct {
	ID uuid.UUID
	Identifier
	VerifiedAt *time.Time
}

// Store reads and writes people.
type Store struct {
	now    func() time.Time
	random io.Reader
}

// NewStore makes a store. random makes subjects.
func NewStore(now func() time.Time, random io.Reader) *Store {
	return &Store{now, random}
}

// New is a person to be made.
type New struct {
	// Subject is an imported one, or "" for a random one.
	Subject  string
	Status   string
	Claims   Claims
	Names    []Identifier
	Verified map[string]bool // kinds of names that are already confirmed
}

// ErrSubject says that a subject is an application's client_id, ErrFormerSubject that it was a person's who was deleted.
var (
	ErrSubject       = errors.New("the subject is the client_id of an application; choose another")
	ErrFormerSubject = errors.New("the subject was that of a deleted account and is never given again; choose another")
)

// Create makes a person. A name that somebody has: postgres.UniqueViolation. An imported subject that cannot be:
// ErrSubject, ErrFormerSubject.
func (s *Store) Create(ctx context.Context, tx realm.Tx, n New) (User, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return User{}, fmt.Errorf("make a user id: %w", err)
	}
	if n.Subject == "" {
		subject, err := uuid.NewRandomFromReader(s.random)
		if err != nil {
			return User{}, fmt.Errorf("make a subject: %w", err)
		}
		n.Subject = subject.String()
	}
	if taken, err := db.New().IsClientID(ctx, tx, n.Subject); err != nil {
		return User{}, fmt.Errorf("compare a subject with client_ids: %w", err)
	} else if taken {
		return User{}, ErrSubject
	}
	claims, err := json.Marshal(n.Claims)
	if err != nil {
		return User{}, fmt.Errorf("encode claims: %w", err)
	}
	now := s.now()
	u := User{ID: id, Subject: n.Subject, Status: n.Status, Claims: n.Claims, CreatedAt: now, UpdatedAt: now}
	err = db.New().InsertUser(ctx, tx, db.InsertUserParams{ID: id, Subject: n.Subject, Status: n.Status, Claims: claims, Now: now})
	if postgres.UniqueViolation(err, "former_subjects_pkey") {
		return User{}, ErrFormerSubject
	}
	if err != nil {
		return User{}, fmt.Errorf("insert a user: %w", err)
	}
	for _, name := range n.Names {
		added, err := s.addName(ctx, tx, u.ID, name, n.Verified[name.Kind])
		if err != nil {
			return User{}, err
		}
		u.Names = append(u.Names, added)
	}
	return u, event.Record(ctx, tx, Created{Subject: event.Subject{User: id}}, now)
}

func (s *Store) addName(ctx context.Context, tx realm.Tx, user uuid.UUID, name Identifier, verified bool) (Name, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Name{}, fmt.Errorf("make an identifier's id: %w", err)
	}
	now := s.now()
	added := Name{ID: id, Identifier: name}
	if verified {
		added.VerifiedAt = &now
	}
	err = db.New().InsertIdentifier(ctx, tx, db.InsertIdentifierParams{
		ID: id, UserID: user, Kind: name.Kind, Canonical: name.Canonical, Display: name.Display, VerifiedAt: added.VerifiedAt, Now: now,
	})
	if err != nil {
		return Name{}, fmt.Errorf("insert an identifier: %w", err)
	}
	return added, nil
}

// Changes of a person. The names replace the ones there are. Its status changes by package lifecycle alone, which acts on
// what the person is signed in to.
type Changes struct {
	Claims   Claims
	Names    []Identifier
	Verified map[string]bool
}

// Update makes the person as c says and records what differed, if anything did. It returns the names of what
// changed.
func (s *Store) Update(ctx context.Context, tx realm.Tx, u User, c Changes) ([]string, error) {
	changed, err := s.updateNames(ctx, tx, u, c)
	if err != nil {
		return nil, err
	}
	before, err := json.Marshal(u.Claims)
	if err != nil {
		return nil, err
	}
	after, err := json.Marshal(c.Claims)
	if err != nil {
		return nil, err
	}
	if string(before) != string(after) {
		changed = append(changed, "claims")
	}
	if len(changed) == 0 {
		return nil, nil
	}
	now := s.now()
	if err := db.New().UpdateUser(ctx, tx, db.UpdateUserParams{ID: u.ID, Claims: after, Now: now}); err != nil {
		return nil, fmt.Errorf("update a user: %w", err)
	}
	return changed, event.Record(ctx, tx, Updated{Subject: event.Subject{User: u.ID}, Changed: changed}, now)
}

// SetClaims gives the person other claims and leaves everything else.
func (s *Store) SetClaims(ctx context.Context, tx realm.Tx, u User, claims Claims) error {
	c := Changes{Claims: claims, Verified: map[string]bool{}}
	for _, n := range u.Names {
		c.Names, c.Verified[n.Kind] = append(c.Names, n.Identifier), n.VerifiedAt != nil
	}
	_, err := s.Update(ctx, tx, u, c)
	return err
}

func (s *Store) updateNames(ctx context.Context, tx realm.Tx, u User, c Changes) ([]string, error) {
	var changed []string
	wanted := map[string]Identifier{}
	for _, n := range c.Names {
		wanted[n.Kind] = n
	}
	for _, have := range u.Names {
		want, keep := wanted[have.Kind]
		delete(wanted, have.Kind)
		verified := have.VerifiedAt
		switch {
		case !keep:
			if err := db.New().DeleteIdentifier(ctx, tx, have.ID); err != nil {
				return nil, fmt.Errorf("delete an identifier: %w", err)
			}
			changed = append(changed, have.Kind)
			continue
		case c.Verified[have.Kind] && verified == nil:
			now := s.now()
			verified = &now
		case !c.Verified[have.Kind]:
			verified = nil
		}
		if want == have.Identifier && (verified == nil) == (have.VerifiedAt == nil) {
			continue
		}
		err := db.New().UpdateIdentifier(ctx, tx, db.UpdateIdentifierParams{ID: have.ID, Canonical: want.Canonical, Display: want.Display, VerifiedAt: verified})
		if err != nil {
			return nil, fmt.Errorf("update an identifier: %w", err)
		}
		changed = append(changed, have.Kind)
	}
	for _, n := range c.Names {
		if _, add := wanted[n.Kind]; !add {
			continue
		}
		if _, err := s.addName(ctx, tx, u.ID, n, c.Verified[n.Kind]); err != nil {
			return nil, err
		}
		changed = append(changed, n.Kind)
	}
	return changed, nil
}

// Claims are the standard claims of OpenID Connect Core §5.1 that no identifier carries.
type Claims struct {
	Name       string `json:"name,omitempty" yaml:"name,omitempty"`
	GivenName  string `json:"given_name,omitempty" yaml:"given_name,omitempty"`
	FamilyName string `json:"family_name,omitempty" yaml:"family_name,omitempty"`
	MiddleName string `json:"middle_name,omitempty" yaml:"middle_name,omitempty"`
	Nickname   string `json:"nickname,omitempty" yaml:"nickname,omitempty"`
	Profile    string `json:"profile,omitempty" yaml:"profile,omitempty"`
	Picture    string `json:"picture,omitempty" yaml:"picture,omitempty"`
	Website    string `json:"website,omitempty" yaml:"website,omitempty"`
	Gender     string `json:"gender,omitempty" yaml:"gender,omitempty"`
	Birthdate  string `json:"birthdate,omitempty" yaml:"birthdate,omitempty"`
	Zoneinfo   string `json:"zoneinfo,omitempty" yaml:"zoneinfo,omitempty"`
	Locale     string `json:"locale,omitempty" yaml:"locale,omitempty"`
	// PhoneNumber is written as E.164 has it: +55 11 91234-5678 without the spaces and the hyphen.
	PhoneNumber         string   `json:"phone_number,omitempty" yaml:"phone_number,omitempty"`
	PhoneNumberVerified *bool    `json:"phone_number_verified,omitempty" yaml:"phone_number_verified,omitempty"`
	Address             *Address `json:"address,omitempty" yaml:"address,omitempty"`
}

// Address is the address claim (OpenID Connect Core §5.1.1).
type Address struct {
	Formatted     string `json:"formatted,omitempty" yaml:"formatted,omitempty"`
	StreetAddress string `json:"street_address,omitempty" yaml:"street_address,omitempty"`
	Locality      string `json:"locality,omitempty" yaml:"locality,omitempty"`
	Region        string `json:"region,omitempty" yaml:"region,omitempty"`
	PostalCode    string `json:"postal_code,omitempty" yaml:"postal_code,omitempty"`
	Country       string `json:"country,omitempty" yaml:"country,omitempty"`
}

const maxClaim = 1000

var phonePattern = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// Check returns what is wrong with the claims, one sentence each.
func (c Claims) Check() []string {
	var wrong []string
	raw, err := json.Marshal(c)
	if err != nil {
		return []string{err.Error()}
	}
	var flat map[string]any
	if err := json.Unmarshal(raw, &flat); err != nil {
		return []string{err.Error()}
	}
	for name, v := range flat {
		if s, ok := v.(string); ok && (len(s) > maxClaim || strings.ContainsRune(s, 0)) {
			wrong = append(wrong, fmt.Sprintf("claim %s: at most %d bytes, without NUL", name, maxClaim))
		}
	}
	if c.PhoneNumber != "" && !phonePattern.MatchString(c.PhoneNumber) {
		wrong = append(wrong, "claim phone_number: write + and 7 to 15 digits, as E.164 has it")
	}
	if c.Birthdate != "" {
		if err := checkBirthdate(c.Birthdate); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	return wrong
}

// checkBirthdate accepts YYYY-MM-DD, with year 0000 for an unknown one, or YYYY (OpenID Connect Core §5.1).
func checkBirthdate(s string) error {
	if rest, ok := strings.CutPrefix(s, "0000-"); ok {
		s = "2000-" + rest // a leap year, so that every day of the year exists
	}
	for _, layout := range []string{"2006-01-02", "2006"} {
		if _, err := time.Parse(layout, s); err == nil {
			return nil
		}
	}
	return errors.New("claim birthdate: write YYYY-MM-DD, 0000-MM-DD or YYYY")
}
