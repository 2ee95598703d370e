package demo_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-id/gatehouse/internal/demo"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

type bundle struct {
	*issuer
	base string
	log  *bytes.Buffer
	skew *atomic.Int64 // nanoseconds that the application's clock is ahead
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{issuer: newIssuer(t), log: &bytes.Buffer{}, skew: &atomic.Int64{}}
	server := httptest.NewUnstartedServer(nil)
	b.base = "http://" + server.Listener.Addr().String()
	party, err := demo.NewRelyingParty(b.options())
	require.NoError(t, err)
	server.Config.Handler = party
	server.Start()
	t.Cleanup(server.Close)
	return b
}

func (b *bundle) options() demo.Options {
	return demo.Options{
		Issuer: b.issuer.issuer(), ClientID: clientID, ClientSecret: secret, BaseURL: b.base, Random: rand.Reader,
		Now: func() time.Time { return time.Now().Add(time.Duration(b.skew.Load())) },
		Log: slog.New(slog.NewTextHandler(b.log, nil)),
	}
}

// browser keeps cookies and follows redirects within the application only.
func (b *bundle) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), b.base) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

func (b *bundle) get(t *testing.T, c *http.Client, address string) page {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	return do(t, c, r)
}

func (b *bundle) post(t *testing.T, c *http.Client, path string) page {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.base+path, nil)
	require.NoError(t, err)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return do(t, c, r)
}

// page is what a browser has got.
type page struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	at, to  string // its own address, and where it sends to
	body    string
}

func do(t *testing.T, c *http.Client, r *http.Request) page {
	t.Helper()
	response, err := c.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return page{response.StatusCode, response.Header, response.Cookies(), response.Request.URL.String(), response.Header.Get("Location"), string(body)}
}

// begin presses "Sign in" and returns what the issuer is asked.
func (b *bundle) begin(t *testing.T, c *http.Client) url.Values {
	t.Helper()
	p := b.post(t, c, "/login")
	require.Equal(t, http.StatusSeeOther, p.status, p.body)
	to, err := url.Parse(p.to)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(to.String(), b.issuer.issuer()+"/authorize?"))
	q := to.Query()
	b.challenge, b.nonce = q.Get("code_challenge"), q.Get("nonce")
	return q
}

// answer is the address that the issuer sends the browser to, with changes.
func (b *bundle) callback(state string, changes url.Values) string {
	q := url.Values{"state": {state}, "iss": {b.issuer.issuer()}, "code": {"the-code"}}
	for name, values := range changes {
		if q[name] = values; values == nil {
			q.Del(name)
		}
	}
	return b.base + "/callback?" + q.Encode()
}

func TestRelyingParty(t *testing.T) {
	t.Parallel()

	t.Run("signs in and shows what it was given", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.browser(t)
		p := b.get(t, c, b.base+"/")
		require.Contains(t, p.body, ">Sign in</button>")
		asked := b.begin(t, c)
		for name, want := range map[string]string{
			"client_id": clientID, "response_type": "code", "scope": "openid profile email",
			"redirect_uri": b.base + "/callback", "code_challenge_method": "S256",
		} {
			require.Equal(t, want, asked.Get(name), name)
		}
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			require.Len(t, asked.Get(name), 43, name)
		}
		p = b.get(t, c, b.callback(asked.Get("state"), nil))
		require.Equal(t, http.StatusOK, p.status, p.body)
		require.Equal(t, b.base+"/", p.at, "the code leaves the address bar")
		for _, want := range []string{"Hello, Ana &lt;Silva&gt;", "ES256", "ana@demo.test", "u1", "ties the token to this sign-in", "This one is opaque", "expires_in"} {
			require.Contains(t, p.body, want)
		}
		require.NotContains(t, p.body, "<script")
		require.NotContains(t, p.body, " style=")
	})

	t.Run("looks into an access token that is a JWT", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.access = b.sign(map[string]any{"jti": "the-token", "scope": "openid"})
		c := b.browser(t)
		p := b.get(t, c, b.callback(b.begin(t, c).Get("state"), nil))
		require.Contains(t, p.body, "the-token")
		require.NotContains(t, p.body, "opaque")
	})

	t.Run("signs out here and at the issuer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.browser(t)
		b.get(t, c, b.callback(b.begin(t, c).Get("state"), nil))
		p := b.post(t, c, "/logout")
		to, err := url.Parse(p.to)
		require.NoError(t, err)
		require.Equal(t, b.issuer.issuer()+"/end_session", to.Scheme+"://"+to.Host+to.Path)
		q := to.Query()
		require.Equal(t, b.base+"/", q.Get("post_logout_redirect_uri"))
		require.Equal(t, 2, strings.Count(q.Get("id_token_hint"), "."))
		p = b.get(t, c, b.base+"/?state="+q.Get("state"))
		require.Contains(t, p.body, "You are signed out")
		require.NotContains(t, p.body, "Hello")
		p = b.get(t, c, b.base+"/?state="+q.Get("state"))
		require.NotContains(t, p.body, "You are signed out", "it is said once")
	})

	for _, c := range []struct {
		name, want string
		prepare    func(b *bundle)
		changes    func(b *bundle) url.Values
	}{
		{"an unknown state", "did not begin in this browser", nil, func(*bundle) url.Values { return url.Values{"state": {"other"}} }},
		{"a missing state", "did not begin in this browser", nil, func(*bundle) url.Values { return url.Values{"state": nil} }},
		{"another issuer", "comes from another issuer", nil, func(*bundle) url.Values { return url.Values{"iss": {"https://evil.example"}} }},
		{"a missing issuer that was promised", "comes from another issuer", nil, func(*bundle) url.Values { return url.Values{"iss": nil} }},
		{
			"an error, with its words escaped", "access_denied\n&lt;b&gt;no&lt;/b&gt;", nil,
			func(*bundle) url.Values {
				return url.Values{"code": nil, "error": {"access_denied"}, "error_description": {"<b>no</b>"}}
			},
		},
		{
			"an error from another issuer", "comes from another issuer", nil,
			func(*bundle) url.Values {
				return url.Values{"error": {"access_denied"}, "iss": {"https://evil.example"}}
			},
		},
		{"a code that was refused", "could not be exchanged", nil, func(*bundle) url.Values { return url.Values{"code": {"other"}} }},
		{"another nonce", "belongs to another sign-in", func(b *bundle) { b.claims = map[string]any{"nonce": "other"} }, nil},
		{"an ID token that was changed", "cannot be trusted", func(b *bundle) { b.token = tampered }, nil},
		{"an ID token without a signature", "cannot be trusted", func(b *bundle) {
			b.token = func(s string) string { return "eyJhbGciOiJub25lIn0." + strings.Split(s, ".")[1] + "." }
		}, nil},
		{"an ID token for another application", "cannot be trusted", func(b *bundle) { b.claims = map[string]any{"aud": "other"} }, nil},
		{"an ID token of another issuer", "cannot be trusted", func(b *bundle) { b.claims = map[string]any{"iss": "https://evil.example"} }, nil},
		{"an ID token that has ended", "cannot be trusted", func(b *bundle) { b.claims = map[string]any{"exp": 1} }, nil},
		{"an ID token for another access token", "cannot be trusted", func(b *bundle) { b.claims = map[string]any{"at_hash": "other"} }, nil},
		{"a missing ID token", "has no id_token", func(b *bundle) { b.token = func(string) string { return "" } }, nil},
		{"userinfo about somebody else", "about another person", func(b *bundle) { b.userinfo = map[string]any{"sub": "u2"} }, nil},
		{
			"a client that is not accepted", "did not accept this application", func(b *bundle) {
				b.answer = func(w http.ResponseWriter, _ *http.Request) {
					b.refuse(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
				}
			}, nil,
		},
	} {
		t.Run("refuses "+c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if c.prepare != nil {
				c.prepare(b)
			}
			browser := b.browser(t)
			state := b.begin(t, browser).Get("state")
			var changes url.Values
			if c.changes != nil {
				changes = c.changes(b)
			}
			p := b.get(t, browser, b.callback(state, changes))
			require.GreaterOrEqual(t, p.status, 400)
			require.Contains(t, p.body, c.want)
			require.Contains(t, p.body, "What to do")
			p = b.get(t, browser, b.base+"/")
			require.NotContains(t, p.body, "Hello")
			require.NotContains(t, b.log.String(), state)
		})
	}

	t.Run("refuses a state of another browser, used twice or too old", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		mine, other := b.browser(t), b.browser(t)
		b.begin(t, other)
		p := b.get(t, other, b.callback(b.begin(t, mine).Get("state"), nil))
		require.Contains(t, p.body, "did not begin in this browser")

		state := b.begin(t, mine).Get("state")
		p = b.get(t, mine, b.callback(state, nil))
		require.Contains(t, p.body, "Hello")
		p = b.get(t, mine, b.callback(state, nil))
		require.Contains(t, p.body, "did not begin in this browser")

		state = b.begin(t, mine).Get("state")
		b.skew.Store(int64(16 * time.Minute))
		p = b.get(t, mine, b.callback(state, nil))
		require.Contains(t, p.body, "did not begin in this browser")
	})

	t.Run("accepts an answer without issuer from one that never promised it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.sendsIss = false
		c := b.browser(t)
		p := b.get(t, c, b.callback(b.begin(t, c).Get("state"), url.Values{"iss": nil}))
		require.Contains(t, p.body, "Hello")
	})

	t.Run("says to start gatehouse, and tries again at the next request", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.down = true
		c := b.browser(t)
		p := b.post(t, c, "/login")
		require.Equal(t, http.StatusBadGateway, p.status)
		require.Contains(t, p.body, "Gatehouse cannot be reached")
		require.Contains(t, p.body, "make run")
		b.down = false
		b.begin(t, c)
	})

	t.Run("answers no form of another site and no other host", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.base+"/logout", nil)
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		p := do(t, b.browser(t), r)
		require.Equal(t, http.StatusForbidden, p.status)

		for host, want := range map[string]int{"evil.example": http.StatusMisdirectedRequest, "localhost:1": http.StatusOK} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+"/", nil)
			require.NoError(t, err)
			r.Host = host
			p := do(t, b.browser(t), r)
			require.Equal(t, want, p.status, host)
		}
	})

	t.Run("has a policy that lets its forms reach the issuer and nothing else, and keeps its cookies", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.browser(t)
		p := b.get(t, c, b.base+"/")
		policy := p.header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.Contains(t, policy, "form-action 'self' "+b.URL)
		require.NotContains(t, policy, "unsafe")
		require.Equal(t, "no-store", p.header.Get("Cache-Control"))
		p = b.post(t, c, "/login")
		for _, k := range p.cookies {
			require.True(t, k.HttpOnly && k.SameSite == http.SameSiteLaxMode, k.Name)
		}
		require.NotEmpty(t, p.cookies)
		p = b.get(t, c, b.base+"/demo.css")
		require.Equal(t, "text/css; charset=utf-8", p.header.Get("Content-Type"))
		require.Contains(t, p.body, "prefers-color-scheme: dark")
	})
}

func TestNewRelyingParty(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, base := range []string{"http://192.0.2.1:8090", "http://demo.example", "https://127.0.0.1:8090", "http://127.0.0.1:8090/app", "http://0.0.0.0:8090", ""} {
		o := b.options()
		o.BaseURL = base
		_, err := demo.NewRelyingParty(o)
		require.Error(t, err, base)
	}
	for _, base := range []string{"http://localhost:8090", "http://[::1]:8090", demo.BaseURL} {
		o := b.options()
		o.BaseURL = base
		_, err := demo.NewRelyingParty(o)
		require.NoError(t, err, base)
	}
	o := b.options()
	o.ClientSecret = ""
	_, err := demo.NewRelyingParty(o)
	require.Error(t, err)
}

func TestRealmFile(t *testing.T) {
	t.Parallel()
	const password, odd = "it's ${env:HOME} \"quoted\" # and: odd", `${file:/etc/passwd}\ <&> 0123456789abcdef`
	content, err := demo.RealmFile(demo.Params{Password: password, ClientSecret: odd})
	require.NoError(t, err)
	f, err := realmfile.Parse(content, "demo.yaml", realmfile.Lookup{})
	require.NoError(t, err)
	require.Equal(t, demo.Slug, f.Realm())

	var read struct {
		Applications []struct {
			Secrets []string
			Start   string   `yaml:"start_url"`
			Back    []string `yaml:"redirect_uris"`
			After   []string `yaml:"post_logout_redirect_uris"`
		}
		Users []struct{ Username, Password string }
	}
	require.NoError(t, yaml.Unmarshal(content, &read))
	require.Equal(t, password, strings.ReplaceAll(read.Users[0].Password, "$${", "${"))
	require.Equal(t, odd, strings.ReplaceAll(read.Applications[0].Secrets[0], "$${", "${"))
	require.Equal(t, []string{"http://127.0.0.1:8090/callback"}, read.Applications[0].Back)
	require.Equal(t, []string{"http://127.0.0.1:8090/"}, read.Applications[0].After)
	require.Equal(t, "http://127.0.0.1:8090/", read.Applications[0].Start)
}

// There is no password to know beforehand: without one there is no demo realm.
func TestPW16_TheDemoRealmHasNoDefaultPassword(t *testing.T) {
	t.Parallel()
	_, err := demo.RealmFile(demo.Params{ClientSecret: secret})
	require.Error(t, err)
	_, err = demo.RealmFile(demo.Params{Password: "chosen by the caller"})
	require.Error(t, err)
}
