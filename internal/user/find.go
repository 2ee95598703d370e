package user

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user/internal/db"
)

// ByCanonical returns the person who has that canonical identifier, locked for a change; realm.ErrUnknown when
// nobody has it.
func (s *Store) ByCanonical(ctx context.Context, tx realm.Tx, canonical string) (User, error) {
	id, err := db.New().UserIDByIdentifier(ctx, tx, canonical)
	if err != nil {
		return User{}, unknown(err, "find a user")
	}
	return s.ByID(ctx, tx, id)
}

// ByID returns a person, locked for a change; realm.ErrUnknown when there is none.
func (s *Store) ByID(ctx context.Context, tx realm.Tx, id uuid.UUID) (User, error) {
	row, err := db.New().LockUser(ctx, tx, id)
	if err != nil {
		return User{}, unknown(err, "read a user")
	}
	return withNames(ctx, tx, row)
}

// Find returns the person whom a name means: what they sign in with, in any spelling, or their subject. It is
// realm.ErrUnknown when it means nobody.
func Find(ctx context.Context, r postgres.Reader, name string) (User, error) {
	id, err := find(ctx, r, name)
	if err != nil {
		return User{}, unknown(err, "find a user")
	}
	row, err := db.New().UserByID(ctx, r, id)
	if err != nil {
		return User{}, unknown(err, "read a user")
	}
	return withNames(ctx, r, db.LockUserRow(row))
}

// find prefers who signs in with the name: an imported subject may look like anything.
func find(ctx context.Context, r postgres.Reader, name string) (uuid.UUID, error) {
	identifier, err := Canonical(name)
	var impossible *IdentifierError
	if err != nil && !errors.As(err, &impossible) {
		return uuid.Nil, err
	}
	if err == nil {
		id, err := db.New().UserIDByIdentifier(ctx, r, identifier.Canonical)
		if !postgres.NoRows(err) {
			return id, err
		}
	}
	return db.New().UserIDBySubject(ctx, r, name)
}

func unknown(err error, doing string) error {
	if postgres.NoRows(err) {
		return fmt.Errorf("user: %w", realm.ErrUnknown)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func withNames(ctx context.Context, r postgres.Reader, row db.LockUserRow) (User, error) {
	u := User{ID: row.ID, Subject: row.Subject, Status: row.Status, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt}
	if err := json.Unmarshal(row.Claims, &u.Claims); err != nil {
		return User{}, fmt.Errorf("read a user's claims: %w", err)
	}
	names, err := db.New().Identifiers(ctx, r, u.ID)
	if err != nil {
		return User{}, fmt.Errorf("read a user's identifiers: %w", err)
	}
	for _, n := range names {
		u.Names = append(u.Names, Name{n.ID, Identifier{Kind: n.Kind, Canonical: n.Canonical, Display: n.Display}, n.VerifiedAt})
	}
	return u, nil
}

// Query asks for a page of people.
type Query struct {
	// Search is how a name begins, in any spelling; "" finds everybody.
	Search string
	// Status is one of the states, "" any.
	Status string
	// After is Page.Next of the page before, "" for the first.
	After string
	// Most is how many there may be on the page.
	Most int32
}

// Page is a part of a list of people.
type Page struct {
	People []Summary
	// Next is what the next page comes after, "" when this is the last.
	Next string
}

// Summary is a person as lists show them.
type Summary struct {
	Subject   string
	Status    string
	Name      string
	Email     string
	Username  string
	CreatedAt time.Time
}

// ErrAfter says that Query.After is not from a page before.
var ErrAfter = errors.New("this is not where a page ended")

// List returns a page of people: those who were made first, or with a search by name, in the order of what was found.
func List(ctx context.Context, r postgres.Reader, q Query) (Page, error) {
	if q.Search != "" {
		return listByName(ctx, r, q)
	}
	p := db.PeopleParams{Status: q.Status, Most: q.Most + 1}
	if q.After != "" {
		var err error
		if p.After, err = uuid.Parse(q.After); err != nil {
			return Page{}, ErrAfter
		}
	}
	rows, err := db.New().People(ctx, r, p)
	if err != nil {
		return Page{}, fmt.Errorf("list people: %w", err)
	}
	var page Page
	for i, row := range rows {
		if i == int(q.Most) {
			page.Next = rows[i-1].ID.String()
			break
		}
		page.People = append(page.People, Summary{row.Subject, row.Status, row.Name, row.Email, row.Username, row.CreatedAt})
	}
	return page, nil
}

func listByName(ctx context.Context, r postgres.Reader, q Query) (Page, error) {
	from, err := beginning(q.Search)
	if err != nil {
		return Page{}, err
	}
	rows, err := db.New().PeopleByName(ctx, r, db.PeopleByNameParams{
		FromName: from, ToName: from + "\U0010FFFF", After: q.After, Status: q.Status, Most: q.Most + 1,
	})
	if err != nil {
		return Page{}, fmt.Errorf("search people: %w", err)
	}
	var page Page
	for i, row := range rows {
		if i == int(q.Most) {
			page.Next = rows[i-1].Canonical
			break
		}
		page.People = append(page.People, Summary{row.Subject, row.Status, row.Name, row.Email, row.Username, row.CreatedAt})
	}
	return page, nil
}
