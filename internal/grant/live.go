package grant

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/grant/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Live tells what access tokens that are good by themselves still count for.
type Live struct {
	tokens together[token, bool]
	people together[token, lookup]
}

// token is an access token by its id, and the authorization that it came of.
type token struct {
	grant uuid.UUID
	jti   string
}

// NewLive makes one. It serves a whole process, so that those who ask at once can share a statement.
func NewLive() *Live {
	l := &Live{}
	l.tokens.ask, l.people.ask = countTokens, readPeople
	return l
}

// Token tells by at most one statement whether the access token with that id counts. id is the authorization that it came
// of, uuid.Nil when it came of none.
func (l *Live) Token(ctx context.Context, r postgres.Reader, id uuid.UUID, jti string, now time.Time) (bool, error) {
	return l.tokens.answer(ctx, r, token{id, jti}, now)
}

// Person is what a live authorization may learn of its person. Those who asked at once share it: change nothing in it.
type Person struct {
	Scopes        []string
	Subject       string
	Claims        user.Claims
	Email         string
	EmailVerified bool
	Username      string
	UpdatedAt     time.Time
}

// Person reads the person of a live authorization by at most one statement; realm.ErrUnknown when the authorization is
// revoked or over, the account is not active, or the access token jti was revoked by itself.
func (l *Live) Person(ctx context.Context, r postgres.Reader, id uuid.UUID, jti string, now time.Time) (Person, error) {
	f, err := l.people.answer(ctx, r, token{id, jti}, now)
	if err != nil {
		return Person{}, err
	}
	return f.person, f.err
}

// lookup is a person, or why there is none: what is wrong with one is not the matter of those who asked at the same time.
type lookup struct {
	person Person
	err    error
}

// columns are tokens as statements take them.
func columns(tokens []token) (grants []uuid.UUID, jtis []string) {
	grants, jtis = make([]uuid.UUID, len(tokens)), make([]string, len(tokens))
	for i, t := range tokens {
		grants[i], jtis[i] = t.grant, t.jti
	}
	return grants, jtis
}

func countTokens(ctx context.Context, r postgres.Reader, tokens []token, now time.Time) ([]bool, error) {
	p := db.TokenStatesParams{Now: now}
	p.GrantIds, p.Jtis = columns(tokens)
	rows, err := db.New().TokenStates(ctx, r, p)
	if err != nil {
		return nil, fmt.Errorf("read what became of tokens: %w", err)
	}
	live := make(map[token]bool, len(rows))
	for _, row := range rows {
		live[token{row.GrantID, row.Jti}] = row.Live
	}
	answers := make([]bool, len(tokens))
	for i, t := range tokens {
		answers[i] = live[t]
	}
	return answers, nil
}

func readPeople(ctx context.Context, r postgres.Reader, tokens []token, now time.Time) ([]lookup, error) {
	p := db.PeopleParams{Now: now}
	p.GrantIds, p.Jtis = columns(tokens)
	rows, err := db.New().People(ctx, r, p)
	if err != nil {
		return nil, fmt.Errorf("read the people of authorizations: %w", err)
	}
	people := make(map[token]lookup, len(rows))
	for _, row := range rows {
		f := lookup{person: Person{
			Scopes: row.Scopes, Subject: row.Subject, Email: row.Email, EmailVerified: row.EmailVerified,
			Username: row.Username, UpdatedAt: row.UpdatedAt,
		}}
		if err := json.Unmarshal(row.Claims, &f.person.Claims); err != nil {
			f = lookup{err: fmt.Errorf("read a person's claims: %w", err)}
		}
		people[token{row.GrantID, row.Jti}] = f
	}
	answers := make([]lookup, len(tokens))
	for i, t := range tokens {
		f, ok := people[t]
		if !ok {
			f.err = fmt.Errorf("authorization: %w", realm.ErrUnknown)
		}
		answers[i] = f
	}
	return answers, nil
}
