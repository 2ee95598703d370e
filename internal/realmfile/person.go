package realmfile

import (
	"context"
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// person makes one person be as the file says.
func (w *run) person(ctx context.Context, tx realm.Tx, p *named[person], c credential) error {
	key, err := user.Canonical(p.given.key())
	if err != nil {
		return err
	}
	u, err := w.Users.ByCanonical(ctx, tx, key.Canonical)
	isNew := errors.Is(err, realm.ErrUnknown)
	if err != nil && !isNew {
		return err
	}
	names, err := w.names(ctx, tx, p, u)
	if err != nil || names == nil {
		return err
	}
	if isNew {
		u, err = w.createPerson(ctx, tx, p, names)
	} else {
		err = w.updatePerson(ctx, tx, p, u, names)
	}
	if err != nil {
		return err
	}
	return w.password(ctx, tx, p, u, c)
}

// names are the person's names as the file wants them, nil when they cannot be had.
func (w *run) names(ctx context.Context, tx realm.Tx, p *named[person], u user.User) (map[string]user.Identifier, error) {
	names := map[string]user.Identifier{}
	for _, n := range u.Names {
		names[n.Kind] = n.Identifier
	}
	before := len(w.found.list)
	for field, typed := range map[string]string{"username": p.given.Username, "email": p.given.Email} {
		if !p.has(field) {
			continue
		}
		id, err := user.Canonical(typed)
		if err != nil {
			return nil, err
		}
		names[id.Kind] = id
		owner, err := w.Users.ByCanonical(ctx, tx, id.Canonical)
		if err != nil && !errors.Is(err, realm.ErrUnknown) {
			return nil, err
		}
		if err == nil && owner.ID != u.ID {
			at, path := p.at(field)
			w.found.add(at, path, "People are found by username, or by email where the file gives no username.", "belongs to another account")
		}
	}
	if _, has := names[user.KindEmail]; p.given.EmailVerified && !has {
		at, path := p.at("email_verified")
		w.found.add(at, path, "", "there is no e-mail address that could be verified")
	}
	if subject := p.given.Subject; u.Subject != "" && subject != "" && subject != u.Subject {
		at, path := p.at("subject")
		w.found.add(at, path, "", "differs from the account's, which never changes")
	}
	if len(w.found.list) > before {
		return nil, nil
	}
	return names, nil
}

func (w *run) createPerson(ctx context.Context, tx realm.Tx, p *named[person], names map[string]user.Identifier) (user.User, error) {
	wanted := p.over(person{Enabled: true})
	n := user.New{
		Subject: wanted.Subject, Status: user.Active, Claims: tidyClaims(wanted.Claims), Names: list(names),
		Verified: map[string]bool{user.KindEmail: wanted.EmailVerified},
	}
	if !wanted.Enabled {
		n.Status = user.Disabled
	}
	u, err := w.Users.Create(ctx, tx, n)
	at, path := p.at("subject")
	switch {
	case postgres.UniqueViolation(err, "users_realm_id_subject_key"):
		w.found.add(at, path, "", "belongs to another account")
		return u, w.found.err()
	case errors.Is(err, user.ErrFormerSubject):
		w.found.add(at, path, "A subject is never given again: applications would take the new account for the old one.", "was that of an account that is deleted")
		return u, w.found.err()
	case errors.Is(err, user.ErrSubject):
		w.found.add(at, path, "", "is the client_id of an application")
		return u, w.found.err()
	}
	w.report.note(KindUser, p.given.key(), Created)
	return u, err
}

func (w *run) updatePerson(ctx context.Context, tx realm.Tx, p *named[person], u user.User, names map[string]user.Identifier) error {
	c := user.Changes{
		Claims: tidyClaims(p.over(person{Claims: u.Claims}).Claims), Names: list(names), Verified: map[string]bool{},
	}
	for _, n := range u.Names {
		// Another address is not verified by the one before having been.
		c.Verified[n.Kind] = n.VerifiedAt != nil && n.Canonical == names[n.Kind].Canonical
	}
	if p.has("email_verified") {
		c.Verified[user.KindEmail] = p.given.EmailVerified
	}
	fields, err := w.Users.Update(ctx, tx, u, c)
	if err != nil {
		return err
	}
	acted, err := w.status(ctx, tx, p, u)
	if acted.Changed {
		fields = append(fields, "enabled")
	}
	if len(fields) > 0 {
		w.report.note(KindUser, p.given.key(), Updated, fields...)
	}
	return err
}

// status disables or enables as an administrator would, with all that comes of it. A lock is left alone.
func (w *run) status(ctx context.Context, tx realm.Tx, p *named[person], u user.User) (lifecycle.Result, error) {
	switch {
	case !p.has("enabled"):
		return lifecycle.Result{}, nil
	case p.given.Enabled:
		return lifecycle.Enable(ctx, tx, u.ID, w.Now())
	default:
		return lifecycle.Disable(ctx, tx, u.ID, "realm file", w.Now())
	}
}

func list(names map[string]user.Identifier) []user.Identifier {
	var all []user.Identifier
	for _, n := range names {
		all = append(all, n)
	}
	return all
}

// tidyClaims drops an address whose parts were all emptied.
func tidyClaims(c user.Claims) user.Claims {
	if c.Address != nil && *c.Address == (user.Address{}) {
		c.Address = nil
	}
	return c
}
