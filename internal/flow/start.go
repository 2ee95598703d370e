package flow

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/flow/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

const (
	// requestKept is how long the original request outlives the flow's progress.
	requestKept = 24 * time.Hour
	// bindWithin is how soon the browser must follow after another site's form started a flow.
	bindWithin = time.Minute

	// KindAuthorize is a flow of an authorization request.
	KindAuthorize = "authorize"
	// KindMailed is one that began with a link in a mail or at an address of ours.
	KindMailed = "mailed"
	kindLogout = "logout"
)

// Start makes a flow of an authorization request and returns its reference for ?tx=. With s.Browser "" the flow is
// bound by the GET that follows (Bind).
func (e *Engine) Start(ctx context.Context, r realm.Realm, s *State) (string, error) {
	p := db.InsertFlowParams{Kind: KindAuthorize, ClientID: s.Client.ClientID, Request: s.Form.Encode(), HintSubject: s.Request.HintSubject}
	if s.Browser != "" {
		p.BrowserHash = s.Browser.Hash()
	}
	return e.insert(ctx, r, p)
}

func (e *Engine) insert(ctx context.Context, r realm.Realm, p db.InsertFlowParams) (string, error) {
	tx, err := newTx(e.Random)
	if err != nil {
		return "", err
	}
	p.TxHash, p.Now = hashTx(tx), e.Now()
	p.ExpiresAt, p.EndsAt = p.Now.Add(time.Duration(r.Settings.Lifetimes.Flow)), p.Now.Add(requestKept)
	if err := db.New().InsertFlow(ctx, r.Write(), p); err != nil {
		return "", fmt.Errorf("start a flow: %w", err)
	}
	return tx, nil
}

// newTx makes a flow's reference.
func newTx(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("make a flow reference: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

func hashTx(tx string) []byte {
	h := sha256.Sum256([]byte(tx))
	return h[:]
}

// maxLocales bounds what is passed on of a language wish.
const maxLocales = 100

// URL is the path of a step, or of the dispatcher ("authorize"), for a flow. uiLocales is the language that the
// person chose on a page; "" when they did not.
func URL(r realm.Realm, name, tx, uiLocales string) string { return path(r.Facts, name, tx, uiLocales) }

func path(r *realm.Facts, name, tx, uiLocales string) string {
	query := url.Values{"tx": {tx}}
	if uiLocales != "" && len(uiLocales) <= maxLocales {
		query.Set("ui_locales", uiLocales)
	}
	return r.Path() + "/" + name + "?" + query.Encode()
}

// Bind gives a flow that another site's form started to the browser that followed, once and within a minute.
// ErrGone when it is too late or somebody was faster.
func (e *Engine) Bind(ctx context.Context, r realm.Realm, tx string, browser session.Token) error {
	return e.bind(ctx, r, KindAuthorize, tx, browser)
}

func (e *Engine) bind(ctx context.Context, r realm.Realm, kind, tx string, browser session.Token) error {
	n, err := db.New().BindFlow(ctx, r.Write(), db.BindFlowParams{
		TxHash: hashTx(tx), Kind: kind, BrowserHash: browser.Hash(), Since: e.Now().Add(-bindWithin),
	})
	if err != nil {
		return fmt.Errorf("bind a flow: %w", err)
	}
	if n == 0 {
		return ErrGone
	}
	return nil
}

// Restart takes a lapsed flow back to its beginning; the request stays.
func (e *Engine) Restart(ctx context.Context, r realm.Realm, tx string, browser session.Token) error {
	n, err := db.New().Restart(ctx, r.Write(), db.RestartParams{
		TxHash: hashTx(tx), BrowserHash: browser.Hash(), ExpiresAt: e.Now().Add(time.Duration(r.Settings.Lifetimes.Flow)),
	})
	if err != nil {
		return fmt.Errorf("restart a flow: %w", err)
	}
	if n == 0 {
		return ErrGone
	}
	return nil
}

// KeepLogout keeps a logout request that another site's form posted, and returns its reference for ?tx=: the ID
// token in it must not stand in an address.
func (e *Engine) KeepLogout(ctx context.Context, r realm.Realm, form url.Values) (string, error) {
	return e.insert(ctx, r, db.InsertFlowParams{Kind: kindLogout, Request: form.Encode()})
}

// Logout returns the logout request of tx. The first browser that comes for it, within a minute, may ask again;
// everybody else gets ErrGone.
func (e *Engine) Logout(ctx context.Context, r realm.Realm, tx string, browser session.Token) (url.Values, error) {
	request, err := e.logoutRequest(ctx, r, tx, browser)
	if postgres.NoRows(err) {
		if err := e.bind(ctx, r, kindLogout, tx, browser); err != nil {
			return nil, err
		}
		request, err = e.logoutRequest(ctx, r, tx, browser)
	}
	if err != nil {
		return nil, fmt.Errorf("read a logout request: %w", err)
	}
	form, err := url.ParseQuery(request)
	if err != nil {
		return nil, fmt.Errorf("parse a logout request: %w", err)
	}
	return form, nil
}

func (e *Engine) logoutRequest(ctx context.Context, r realm.Realm, tx string, browser session.Token) (string, error) {
	return db.New().LogoutRequest(ctx, r, db.LogoutRequestParams{TxHash: hashTx(tx), BrowserHash: browser.Hash(), Now: e.Now()})
}
