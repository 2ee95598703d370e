package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkOperations is what the operations cost in process, without a connection: allocations and bytes tell what a
// change did even while the machine is busy with something else. `make bench` has what all of it costs.
func BenchmarkOperations(b *testing.B) {
	h := newCosts(b)
	b.Run("client_credentials", h.repeat(http.MethodPost, "/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, basic("service", webSecret)))
	first := h.tokens(b)
	b.Run("introspection", h.repeat(http.MethodPost, "/introspect", url.Values{"token": {first.AccessToken}}, basic("keeper", webSecret)))
	b.Run("userinfo", h.repeat(http.MethodGet, "/userinfo", nil, "Bearer "+first.AccessToken))
	b.Run("authorize", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.code(b)
		}
	})
	b.Run("code_exchange", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			code := h.code(b)
			b.StartTimer()
			h.send(b, http.MethodPost, "/token", exchange(code), basic("keeper", webSecret))
		}
	})
	b.Run("refresh", func(b *testing.B) {
		b.ReportAllocs()
		next := first.RefreshToken
		for b.Loop() {
			got := h.send(b, http.MethodPost, "/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {next}}, basic("keeper", webSecret))
			b.StopTimer()
			var t tokens
			require.NoError(b, json.Unmarshal(got, &t))
			next = t.RefreshToken
			b.StartTimer()
		}
	})
}

// costs drives a server's handler.
type costs struct {
	*instance
	cookie string
}

// costsFile is a realm without limits, with an application for people and one without.
const costsFile = `
realm: one
name: One
settings: {rate_limits: {client: 1000000, address: 1000000, page: 1000000}}
applications:
  - client_id: keeper
    name: Keeper
    secrets: [` + webSecret + `]
    redirect_uris: ["` + callback + `"]
    grant_types: [authorization_code, refresh_token]
    scopes: [openid, profile, email, offline_access]
    consent: never
  - client_id: service
    name: Service
    secrets: [` + webSecret + `]
    grant_types: [client_credentials]
    scopes: [read]
    audiences: [https://api.example]
users:
  - username: ana
    email: ana@example.test
    email_verified: true
    password: ` + anaPassword + `
    claims: {name: Ana Silva, locale: en}
`

func newCosts(b *testing.B) *costs {
	b.Helper()
	i := start(b, costsFile)
	person := newBrowser(b)
	person.code(i, "one", "client_id", "keeper")
	i.Logs.stop()
	address, err := url.Parse(i.URL)
	require.NoError(b, err)
	var cookies []string
	for _, c := range person.client.Jar.Cookies(address) {
		cookies = append(cookies, c.String())
	}
	return &costs{i, strings.Join(cookies, "; ")}
}

// send lets the handler answer a request of the application and returns the body.
func (c *costs) send(b *testing.B, method, path string, form url.Values, authorization string) []byte {
	b.Helper()
	w := httptest.NewRecorder()
	c.Handler.ServeHTTP(w, c.request(b, method, path, form.Encode(), authorization))
	require.Equal(b, http.StatusOK, w.Code, w.Body.String())
	return w.Body.Bytes()
}

func (c *costs) request(b *testing.B, method, path, body, authorization string) *http.Request {
	b.Helper()
	req := httptest.NewRequestWithContext(b.Context(), method, c.Issuer("one")+path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", authorization)
	return req
}

// repeat sends one request again and again.
func (c *costs) repeat(method, path string, form url.Values, authorization string) func(b *testing.B) {
	return func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.send(b, method, path, form, authorization)
		}
	}
}

// code gets a code with the live session.
func (c *costs) code(b *testing.B) string {
	b.Helper()
	w := httptest.NewRecorder()
	req := c.request(b, http.MethodGet, "/authorize?"+authorization("client_id", "keeper", "scope", "openid profile offline_access").Encode(), "", "")
	req.Header.Set("Cookie", c.cookie)
	c.Handler.ServeHTTP(w, req)
	to, err := w.Result().Location()
	require.NoError(b, err, w.Body.String())
	require.NotEmpty(b, to.Query().Get("code"), to)
	return to.Query().Get("code")
}

func (c *costs) tokens(b *testing.B) (got tokens) {
	b.Helper()
	require.NoError(b, json.Unmarshal(c.send(b, http.MethodPost, "/token", exchange(c.code(b)), basic("keeper", webSecret)), &got))
	return got
}
