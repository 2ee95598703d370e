package realmfile

import (
	"context"
	"errors"
	"slices"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// application makes one application be as the file says.
func (w *run) application(ctx context.Context, tx realm.Tx, p *named[application]) error {
	id := p.given.ClientID
	stored, err := w.Clients.Stored(ctx, tx, id)
	isNew := errors.Is(err, realm.ErrUnknown)
	if err != nil && !isNew {
		return err
	}
	before := application{ClientID: id, Name: stored.Name, Enabled: stored.Enabled, Settings: stored.Settings}
	if isNew {
		before = application{ClientID: id, Name: id, Enabled: true}
	}
	after := p.over(before)
	after.Settings = after.WithDefaults()
	if !w.acceptable(p, after, isNew) {
		return nil
	}
	secrets := after.Secrets
	after.Secrets, after.GenerateSecret = nil, false
	if isNew {
		stored, err = w.Clients.Create(ctx, tx, id, after.Name, after.Enabled, after.Settings)
		if errors.Is(err, client.ErrClientID) {
			at, path := p.at("client_id")
			w.found.add(at, path, "", "is the subject of a person")
			return w.found.err()
		}
		if err != nil {
			return err
		}
		w.report.note(KindApplication, id, Created)
	} else if fields := changed(before, after); len(fields) > 0 {
		stored.Name, stored.Enabled, stored.Settings = after.Name, after.Enabled, after.Settings
		if err := w.Clients.Update(ctx, tx, stored, fields); err != nil {
			return err
		}
		w.report.note(KindApplication, id, Updated, fields...)
	}
	return w.secrets(ctx, tx, p, stored, secrets)
}

// acceptable judges the application as it would be.
func (w *run) acceptable(p *named[application], a application, isNew bool) bool {
	before := len(w.found.list)
	w.found.addAll(p.node, p.path, a.Check())
	at, path := p.at("secrets")
	wantsSecret := len(a.Secrets) > 0 || a.GenerateSecret
	switch {
	case !a.HasSecret() && wantsSecret:
		w.found.add(at, path, "", "an application with token_endpoint_auth_method %s has no secret", a.TokenEndpointAuthMethod)
	case a.HasSecret() && isNew && !wantsSecret:
		w.found.add(p.node, p.path, "Add secrets, or generate_secret: true.",
			"has token_endpoint_auth_method %s and no secret to authenticate with", a.TokenEndpointAuthMethod)
	}
	return len(w.found.list) == before
}

func (w *run) secrets(ctx context.Context, tx realm.Tx, p *named[application], c client.Client, secrets []config.Secret) error {
	if p.given.GenerateSecret && len(c.SecretHashes) == 0 {
		made, err := client.NewSecret()
		if err != nil {
			return err
		}
		w.report.generated(KindSecret, c.ClientID, config.NewSecret(made))
		return w.addSecret(ctx, tx, c, made)
	}
	if !p.has("secrets") {
		return nil
	}
	var kept [][]byte
	for _, s := range secrets {
		kept = append(kept, client.HashSecret(s.Reveal()))
		if c.ProvesSecret(s.Reveal()) {
			continue
		}
		if err := w.addSecret(ctx, tx, c, s.Reveal()); err != nil {
			return err
		}
	}
	if !w.o.Prune {
		return nil
	}
	removed, err := w.Clients.RemoveSecretsExcept(ctx, tx, c, kept)
	for range removed {
		w.report.note(KindSecret, c.ClientID, Deleted)
	}
	return err
}

func (w *run) addSecret(ctx context.Context, tx realm.Tx, c client.Client, secret string) error {
	w.report.note(KindSecret, c.ClientID, Created)
	return w.Clients.AddSecret(ctx, tx, c, secret, nil)
}

// prune deletes the applications that the file does not name.
func (w *run) prune(ctx context.Context, tx realm.Tx) error {
	ids, err := w.Clients.IDs(ctx, tx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if slices.ContainsFunc(w.f.doc.given.Applications, func(p named[application]) bool { return p.given.ClientID == id }) {
			continue
		}
		if err := w.Clients.Delete(ctx, tx, id); err != nil {
			return err
		}
		w.report.note(KindApplication, id, Deleted)
	}
	return nil
}
