package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The realm to measure. Its names and secrets live as long as one run.
const (
	slug     = "bench"
	clientID = "shop"
	secret   = "a-secret-of-the-shop-that-is-as-long-as-generated-ones"
	callback = "http://127.0.0.1:9/callback"
	password = "correct horse battery staple"
	people   = 64
	verifier = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
)

// realmText is the realm's file: a confidential application with PKCE and refresh tokens, and some people, all with the
// password of this hash.
func realmText(hash string) string {
	text := "realm: " + slug + `
name: Bench
settings: {rate_limits: {client: 1000000, address: 1000000, page: 1000000}}
applications:
  - client_id: ` + clientID + `
    name: Shop
    secrets: [` + secret + `]
    redirect_uris: ["` + callback + `"]
    grant_types: [authorization_code, refresh_token]
    scopes: [openid, profile, email, offline_access]
    consent: never
users:
`
	for i := range people {
		text += fmt.Sprintf("  - {username: %s, email: %[1]s@bench.example, email_verified: true, password_hash: %q, claims: {name: Person %d, locale: en}}\n",
			person(i), hash, i)
	}
	return text
}

func person(worker int) string { return "person" + strconv.Itoa(worker%people) }

// requestLimit is the longest that a request may take.
const requestLimit = 30 * time.Second

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (t *target) do(ctx context.Context, method, address, form string, headers ...string) (reply, error) {
	var body io.Reader
	if form != "" {
		body = strings.NewReader(form)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body) //nolint:gosec // G704: the server that this program started
	if err != nil {
		return reply{}, err
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := t.transport.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, content}, err
}

// expect is do for one status; any other is an error.
func (t *target) expect(ctx context.Context, status int, method, address, form string, headers ...string) (reply, error) {
	r, err := t.do(ctx, method, address, form, headers...)
	if err != nil {
		return r, err
	}
	if r.status != status {
		return r, fmt.Errorf("status %d instead of %d: %.300s", r.status, status, r.body)
	}
	return r, nil
}

func (t *target) url(path string) string { return "http://" + t.Public + path }

func (t *target) issuer(path string) string { return t.url("/realms/" + slug + path) }

func (t *target) empty(ctx context.Context, _ int) error {
	_, err := t.expect(ctx, http.StatusNoContent, http.MethodGet, t.url(emptyPath), "")
	return err
}

func (t *target) discovery(ctx context.Context, _ int) error {
	_, err := t.expect(ctx, http.StatusOK, http.MethodGet, t.issuer("/.well-known/openid-configuration"), "")
	return err
}

func (t *target) jwks(ctx context.Context, _ int) error {
	_, err := t.expect(ctx, http.StatusOK, http.MethodGet, t.issuer("/jwks"), "")
	return err
}

// request is the authorization request, as a query.
func request() string {
	challenge := sha256.Sum256([]byte(verifier))
	return url.Values{
		"client_id": {clientID}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"openid profile email offline_access"},
		"state": {"state-0123456789"}, "nonce": {"nonce-0123456789"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

// authorize gets a code with the worker's live session.
func (t *target) authorize(ctx context.Context, worker int) (string, error) {
	r, err := t.expect(ctx, http.StatusSeeOther, http.MethodGet, t.issuer("/authorize?"+request()), "", "Cookie", t.cookies[worker])
	if err != nil {
		return "", err
	}
	return codeIn(r)
}

func codeIn(r reply) (string, error) {
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil {
		return "", err
	}
	code := to.Query().Get("code")
	if code == "" {
		return "", fmt.Errorf("no code came back but %s", to)
	}
	return code, nil
}

// tokens are what the token endpoint gives.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
}

func (t *target) token(ctx context.Context, form url.Values) (got tokens, err error) {
	r, err := t.expect(ctx, http.StatusOK, http.MethodPost, t.issuer("/token"), form.Encode(), "Authorization", basic(clientID))
	if err != nil {
		return got, err
	}
	if err := json.Unmarshal(r.body, &got); err != nil {
		return got, err
	}
	if got.Access == "" || got.Refresh == "" || got.ID == "" {
		return got, errors.New("a token is missing")
	}
	return got, nil
}

func (t *target) exchange(ctx context.Context, code string) (tokens, error) {
	return t.token(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}})
}

func (t *target) refresh(ctx context.Context, token string) (tokens, error) {
	return t.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (t *target) userinfo(ctx context.Context, access string) error {
	_, err := t.expect(ctx, http.StatusOK, http.MethodGet, t.issuer("/userinfo"), "", "Authorization", "Bearer "+access)
	return err
}

// address is where a worker's person sits, as a proxy in front would say: the limits of failed logins count an attempt
// until it has succeeded, so that nobody could start 64 at once from one address.
func address(worker int) string {
	return "10.1." + strconv.Itoa(worker/250) + "." + strconv.Itoa(1+worker%250)
}

// login is a whole one: to the login page, its form, and to the code.
func (t *target) login(ctx context.Context, worker int) error {
	_, err := t.signInAs(ctx, worker)
	return err
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// signInAs logs a worker's person in and returns the browser's cookie.
func (t *target) signInAs(ctx context.Context, worker int) (cookie string, err error) {
	begin, err := t.expect(ctx, http.StatusSeeOther, http.MethodGet, t.issuer("/authorize?"+request()), "")
	if err != nil {
		return "", err
	}
	cookie = cookieAfter(begin, "")
	page := t.url(begin.header.Get("Location"))
	form, err := t.expect(ctx, http.StatusOK, http.MethodGet, page, "", "Cookie", cookie)
	if err != nil {
		return "", err
	}
	cookie = cookieAfter(form, cookie)
	csrf := csrfField.FindSubmatch(form.body)
	if csrf == nil {
		return "", errors.New("the login page has no form token")
	}
	answers := url.Values{"csrf": {string(csrf[1])}, "username": {person(worker)}, "password": {password}}
	sent, err := t.expect(ctx, http.StatusSeeOther, http.MethodPost, page, answers.Encode(), "Cookie", cookie, "X-Forwarded-For", address(worker))
	if err != nil {
		return "", err
	}
	cookie = cookieAfter(sent, cookie)
	done, err := t.expect(ctx, http.StatusSeeOther, http.MethodGet, t.url(sent.header.Get("Location")), "", "Cookie", cookie)
	if err != nil {
		return "", err
	}
	if _, err := codeIn(done); err != nil {
		return "", err
	}
	return cookieAfter(done, cookie), nil
}

// cookieAfter is the browser's one cookie after an answer.
func cookieAfter(r reply, before string) string {
	if set, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";"); set != "" {
		return set
	}
	return before
}

// signIn gives every worker a browser with a live session.
func (t *target) signIn(ctx context.Context) error {
	t.cookies = make([]string, t.sessions)
	const few = 4 // at a time: passwords are made to be slow
	got := drive(ctx, few, budget{Window: time.Minute, Requests: (t.sessions + few - 1) / few}, func(ctx context.Context, worker int) error {
		for at := worker; at < t.sessions; at += few {
			if t.cookies[at] == "" {
				cookie, err := t.signInAs(ctx, at)
				t.cookies[at] = cookie
				return err
			}
		}
		return errUsedUp
	})
	if got.Errors > 0 {
		return fmt.Errorf("sign people in: %s", got.Failure)
	}
	return nil
}
