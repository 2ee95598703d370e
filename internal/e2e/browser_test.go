package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

const verifier = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// browser follows nothing by itself and keeps cookies, like a browser without scripts that shows every step.
type browser struct {
	t      testing.TB
	client *http.Client
}

func newBrowser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// response is an answer with its body read.
type response struct {
	*http.Response
	Body string
}

func (r response) Location() *url.URL {
	u, err := r.Response.Location()
	if err != nil {
		return &url.URL{}
	}
	return u
}

func (b *browser) do(req *http.Request) response {
	b.t.Helper()
	resp, err := b.client.Do(req)
	require.NoError(b.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return response{resp, string(body)}
}

func (b *browser) get(address string) response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	require.NoError(b.t, err)
	return b.do(req)
}

func (b *browser) post(address string, form url.Values, headers ...string) response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return b.do(req)
}

// follow follows redirects as long as they stay on the server, and returns the first answer that does not.
func (b *browser) follow(i *instance, r response) response {
	b.t.Helper()
	for range 10 {
		to := r.Location()
		if to.Host == "" || "http://"+to.Host != i.URL {
			return r
		}
		r = b.get(to.String())
	}
	b.t.Fatal("too many redirects")
	return r
}

// hidden reads the value of a form's field from a page.
func hidden(t testing.TB, page, name string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	value, found := "", false
	for n := range doc.Descendants() {
		attrs := map[string]string{}
		for _, a := range n.Attr {
			attrs[a.Key] = a.Val
		}
		if n.Data == "input" && attrs["name"] == name {
			value, found = attrs["value"], true
		}
	}
	require.True(t, found, "the page has no field %s:\n%s", name, page)
	return value
}

// authorization is an authorization request of the application "web".
func authorization(change ...string) url.Values {
	q := url.Values{
		"client_id": {"web"}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"openid profile email"},
		"state": {"state-1"}, "nonce": {"nonce-1"}, "code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(change); i += 2 {
		if change[i+1] == "" {
			q.Del(change[i])
			continue
		}
		q.Set(change[i], change[i+1])
	}
	return q
}

// signIn answers the login page that r shows and follows until the application's address.
func (b *browser) signIn(i *instance, r response, username, password string, more ...string) response {
	b.t.Helper()
	form := url.Values{"csrf": {hidden(b.t, r.Body, "csrf")}, "username": {username}, "password": {password}}
	for k := 0; k+1 < len(more); k += 2 {
		form.Set(more[k], more[k+1])
	}
	return b.follow(i, b.post(r.Request.URL.String(), form))
}

// authorize asks for a code and follows to the login page, the application or an error.
func (b *browser) authorize(i *instance, realm string, q url.Values) response {
	b.t.Helper()
	return b.follow(i, b.get(i.Issuer(realm)+"/authorize?"+q.Encode()))
}

// code signs ana in at a realm and returns the code that the application gets.
func (b *browser) code(i *instance, realm string, change ...string) string {
	b.t.Helper()
	r := b.authorize(i, realm, authorization(change...))
	if r.StatusCode == http.StatusOK {
		r = b.signIn(i, r, "ana", anaPassword)
	}
	code := r.Location().Query().Get("code")
	require.NotEmpty(b.t, code, "%s %s\n%s", r.Status, r.Header.Get("Location"), r.Body)
	return code
}

// tokens is an answer of the token endpoint.
type tokens struct {
	Status       int    `json:"-"`
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	IDToken      string `json:"id_token"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
	Error        string `json:"error"`
	Description  string `json:"error_description"`
}

// exchange is the form of a code exchange by "web".
func exchange(code string, change ...string) url.Values {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	for i := 0; i+1 < len(change); i += 2 {
		if change[i+1] == "" {
			form.Del(change[i])
			continue
		}
		form.Set(change[i], change[i+1])
	}
	return form
}

// basic is the Authorization header of a client.
func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// token posts to a realm's token endpoint as "web", or with other headers.
func token(t testing.TB, i *instance, realm string, form url.Values, headers ...string) tokens {
	t.Helper()
	if len(headers) == 0 {
		headers = []string{"Authorization", basic("web", webSecret)}
	}
	r := newBrowser(t).post(i.Issuer(realm)+"/token", form, headers...)
	got := tokens{Status: r.StatusCode}
	require.NoError(t, json.Unmarshal([]byte(r.Body), &got), r.Body)
	return got
}

// claims decodes a JWT's payload without verifying it.
func claims(t testing.TB, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	require.Len(t, parts, 3)
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var c map[string]any
	require.NoError(t, json.Unmarshal(payload, &c))
	return c
}
