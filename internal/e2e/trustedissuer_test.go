package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	cluster     = "https://cluster.example"
	workerInPod = "system:serviceaccount:shop:worker"
)

// workersFile is a realm with applications that others prove: "worker" by the cluster, "builder" by it under another
// name, "both" by a key of its own too.
func workersFile(slug, clusterKeys, ownKeys string) string {
	trusted := func(subject, more string) string {
		return `
    trusted_issuers:
      - {issuer: "` + cluster + `", subjects: ["` + subject + `"], jwks: ` + clusterKeys + more + `}`
	}
	app := func(id, more string) string {
		return `
  - client_id: ` + id + `
    token_endpoint_auth_method: private_key_jwt
    grant_types: [client_credentials, "` + jwtBearer + `"]
    scopes: [read]
    audiences: [https://api.example]
    introspects: ["*"]` + more
	}
	return "realm: " + slug + "\napplications:" +
		app("worker", trusted(workerInPod, "")) +
		app("builder", trusted("builder", ", max_lifetime: 1h")) +
		app("both", trusted("both", "")+"\n    strict_assertion_audience: true\n    jwks: "+ownKeys) +
		app("alone", "\n    jwks: "+ownKeys) + `
  - client_id: secretive
    secrets: [` + webSecret + `]
    grant_types: [client_credentials]
    scopes: [read]
users:
  - {username: ana, email: ana@example.test, password: ` + anaPassword + `}
`
}

// workers is a running server with realms "one" and "two" of workersFile.
type workers struct {
	*instance
	cluster, own keyPair
}

func startWorkers(t *testing.T) workers {
	t.Helper()
	w := workers{cluster: newPair(t, "RS256", "cluster"), own: newPair(t, "ES256", "own")}
	theirs, ours := jwks(t, w.cluster), jwks(t, w.own)
	w.instance = start(t, workersFile("one", theirs, ours), workersFile("two", theirs, ours))
	return w
}

// pod is a JWT by which the cluster says who a service is.
func (w workers) pod(t testing.TB, subject string, change claimSet) string {
	t.Helper()
	all := about(w.instance, subject, claimSet{"iss": cluster, "aud": []string{w.Issuer("one")}})
	for name, v := range change {
		all[name] = v
		if v == nil {
			delete(all, name)
		}
	}
	return w.cluster.sign(t, all, nil)
}

// grant asks for a token by the grant of an assertion.
func (w workers) grant(t testing.TB, text string, change ...string) tokens {
	t.Helper()
	form := url.Values{"grant_type": {jwtBearer}, "assertion": {text}}
	for i := 0; i+1 < len(change); i += 2 {
		form.Set(change[i], change[i+1])
	}
	return token(t, w.instance, "one", form, secretInForm()...)
}

func TestRFC7523_TrustedIssuers(t *testing.T) {
	t.Parallel()
	w := startWorkers(t)

	t.Run("give the application a token for itself, at the price of the jti", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.grant(t, w.pod(t, workerInPod, nil), "client_id", "worker").Status) // caches are warm from here on
		before := w.DB.Stats()
		got := w.grant(t, w.pod(t, workerInPod, nil), "client_id", "worker", "scope", "read", "resource", "https://api.example")
		require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		require.EqualValues(t, 1, w.DB.Stats().Sub(before).Statements)
		require.Empty(t, got.RefreshToken)
		require.Empty(t, got.IDToken)
		c := claims(t, got.AccessToken)
		require.Equal(t, "worker", c["sub"], "not the name that the issuer knows")
		require.Equal(t, "worker", c["client_id"])
		require.Equal(t, "https://api.example", c["aud"])
	})
	t.Run("authenticate the application wherever its own assertion would", func(t *testing.T) {
		got := prove(t, w.instance, "one", w.pod(t, workerInPod, nil), "client_id", "worker")
		require.Equal(t, http.StatusOK, got.Status, "%+v", got)
		post := func(endpoint string) response {
			form := proof(w.pod(t, workerInPod, nil), "client_id", "worker", "grant_type", "", "token", got.AccessToken)
			return newBrowser(t).post(w.Issuer("one")+endpoint, form)
		}
		require.Contains(t, post("/introspect").Body, `"active":true`)
		require.Equal(t, http.StatusOK, post("/revoke").StatusCode)
		require.NotContains(t, post("/introspect").Body, `"active":true`)
	})
	t.Run("stand beside keys of its own", func(t *testing.T) {
		own := w.own.sign(t, about(w.instance, "both", nil), nil)
		require.Equal(t, http.StatusOK, w.grant(t, own).Status)
		require.Equal(t, http.StatusOK, w.grant(t, w.pod(t, "both", claimSet{"aud": w.Issuer("one")}), "client_id", "both").Status)
		require.Equal(t, "The aud of the assertion has to be the issuer, as a string.",
			w.grant(t, w.pod(t, "both", nil), "client_id", "both").Description, "strict_assertion_audience is for all")
	})
	t.Run("may name the token endpoint", func(t *testing.T) {
		text := w.pod(t, workerInPod, claimSet{"aud": w.Issuer("one") + "/token"})
		require.Equal(t, http.StatusOK, w.grant(t, text, "client_id", "worker").Status)
	})
}

func TestTK01_TK09_TrustedIssuersSayNothingElse(t *testing.T) {
	t.Parallel()
	w := startWorkers(t)
	now := w.Clock.Now().Unix()
	worker := func(change claimSet) string { return w.pod(t, workerInPod, change) }
	for name, c := range map[string]struct {
		text, client string
		status       int
	}{
		"without the name of the application":  {worker(nil), "", 401},
		"of another subject":                   {w.pod(t, "system:serviceaccount:shop:other", nil), "worker", 401},
		"of a subject that begins alike":       {w.pod(t, workerInPod+"2", nil), "worker", 401},
		"of a subject in other letters":        {w.pod(t, "system:serviceaccount:shop:Worker", nil), "worker", 401},
		"of a person":                          {w.pod(t, "ana", nil), "worker", 401},
		"of the client_id, which it is not":    {w.pod(t, "worker", nil), "worker", 401},
		"for another application":              {worker(nil), "builder", 401},
		"for one that trusts nobody":           {w.pod(t, "alone", nil), "alone", 401},
		"for one with a secret":                {w.pod(t, "secretive", nil), "secretive", 401},
		"for none that there is":               {worker(nil), "nobody", 401},
		"of an issuer that is not trusted":     {worker(claimSet{"iss": "https://else.example"}), "worker", 401},
		"of an issuer with a slash more":       {worker(claimSet{"iss": cluster + "/"}), "worker", 401},
		"that names the application as issuer": {w.cluster.sign(t, about(w.instance, "worker", nil), nil), "worker", 401},
		"by the application's own key":         {w.own.sign(t, about(w.instance, "both", claimSet{"iss": cluster}), nil), "both", 401},
		"about another by the key of its own":  {w.own.sign(t, about(w.instance, "alone", claimSet{"sub": "worker"}), nil), "worker", 401},
		"by a stranger's key":                  {newPair(t, "RS256", "cluster").sign(t, about(w.instance, workerInPod, claimSet{"iss": cluster}), nil), "worker", 401},
		"for another realm":                    {worker(claimSet{"aud": w.Issuer("two")}), "worker", 401},
		"for somebody else":                    {worker(claimSet{"aud": "https://kubernetes.default.svc"}), "worker", 401},
		"for somebody else too":                {worker(claimSet{"aud": []string{w.Issuer("one"), "https://api.example"}}), "worker", 401},
		"for nobody":                           {worker(claimSet{"aud": nil}), "worker", 401},
		"that never ends":                      {worker(claimSet{"exp": nil}), "worker", 401},
		"that has ended":                       {worker(claimSet{"exp": now - 5}), "worker", 401},
		"that ends too late":                   {worker(claimSet{"exp": now + 306}), "worker", 401},
		"that is from the future":              {worker(claimSet{"iat": now + 6}), "worker", 401},
		"that is not valid yet":                {worker(claimSet{"nbf": now + 6}), "worker", 401},
		"without a jti":                        {worker(claimSet{"jti": nil}), "worker", 401},
		"without a sub":                        {worker(claimSet{"sub": nil}), "worker", 401},
		"without an iss":                       {worker(claimSet{"iss": nil}), "worker", 401},
		"that ends too late even for an hour":  {w.pod(t, "builder", claimSet{"exp": now + 3606}), "builder", 401},
		"by an access token's typ":             {w.cluster.sign(t, about(w.instance, workerInPod, claimSet{"iss": cluster}), claimSet{"typ": "at+jwt"}), "worker", 401},
	} {
		t.Run("refuses one "+name, func(t *testing.T) {
			change := []string{"client_id", c.client}
			requireRefused(t, prove(t, w.instance, "one", c.text, change...), c.status, "invalid_client")
			requireRefused(t, w.grant(t, c.text, change...), http.StatusBadRequest, "invalid_grant")
		})
	}
	for name, text := range map[string]string{
		"a clock that is behind": worker(claimSet{"iat": now + 5, "nbf": now + 5}),
		"one that is ahead":      worker(claimSet{"exp": now - 4}),
		"the longest life":       worker(claimSet{"exp": now + 305}),
	} {
		t.Run("allows "+name, func(t *testing.T) {
			require.Equal(t, http.StatusOK, w.grant(t, text, "client_id", "worker").Status)
		})
	}
	t.Run("an hour where the application's issuer may", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.grant(t, w.pod(t, "builder", claimSet{"exp": now + 3605}), "client_id", "builder").Status)
	})
	t.Run("nothing of a refused one is kept", func(t *testing.T) {
		text := worker(claimSet{"exp": now - 5})
		w.grant(t, text, "client_id", "worker")
		require.NotContains(t, w.Logs.String(), text)
	})
}

func TestTK09_AnAssertionOfAnIssuerCountsOnce(t *testing.T) {
	t.Parallel()
	w := startWorkers(t)

	t.Run("of many callers at once for one", func(t *testing.T) {
		text := w.pod(t, workerInPod, nil)
		var results [callers]tokens
		race(func(n int) {
			if n%2 == 0 {
				results[n] = w.grant(t, text, "client_id", "worker")
				return
			}
			results[n] = prove(t, w.instance, "one", text, "client_id", "worker")
		})
		won := 0
		for _, got := range results {
			if got.Status == http.StatusOK {
				won++
				continue
			}
			require.Contains(t, []string{"invalid_grant", "invalid_client"}, got.Error, "%+v", got)
		}
		require.Equal(t, 1, won)
	})
	t.Run("for as long as it would be accepted", func(t *testing.T) {
		text := w.pod(t, "builder", claimSet{"exp": w.Clock.Now().Add(time.Hour).Unix()})
		require.Equal(t, http.StatusOK, w.grant(t, text, "client_id", "builder").Status)
		w.Clock.Advance(time.Hour + 4*time.Second)
		requireRefused(t, w.grant(t, text, "client_id", "builder"), http.StatusBadRequest, "invalid_grant")
		require.Equal(t, 1, one[int](t, w.instance, "one", `SELECT count(*) FROM used_assertions WHERE client_id = $1 AND expires_at > $2`, cluster, w.Clock.Now()))
	})
	t.Run("its jti is the issuer's, whichever application it is for", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.grant(t, w.pod(t, workerInPod, claimSet{"jti": "1"}), "client_id", "worker").Status)
		require.Equal(t, http.StatusOK, w.grant(t, w.own.sign(t, about(w.instance, "alone", claimSet{"jti": "1"}), nil)).Status)
		requireRefused(t, w.grant(t, w.pod(t, "builder", claimSet{"jti": "1"}), "client_id", "builder"), http.StatusBadRequest, "invalid_grant")
	})
}

func TestTK07_TrustedIssuersPublishTheirKeys(t *testing.T) {
	t.Parallel()
	first, second := newPair(t, "RS256", "1"), newPair(t, "ES256", "2")
	host := hostKeys(t, first)
	file := func(trusted string) string {
		return "realm: one\napplications:\n  - {client_id: worker, token_endpoint_auth_method: private_key_jwt, grant_types: [client_credentials], scopes: [read], trusted_issuers: [" +
			trusted + "]}\n"
	}
	trusted := `{issuer: "` + cluster + `", subjects: [a, b], jwks_uri: "` + host.URL + `/jwks"}`
	w := workers{instance: startAllowing(t, strings.TrimPrefix(host.URL, "http://"), file(trusted)), cluster: first}
	ask := func(subject string) tokens {
		return prove(t, w.instance, "one", w.pod(t, subject, nil), "client_id", "worker")
	}
	require.Equal(t, http.StatusOK, ask("a").Status)
	require.Equal(t, http.StatusOK, ask("b").Status)
	require.EqualValues(t, 1, host.asked.Load(), "they are remembered")

	w.cluster = second
	host.publish(t, second)
	w.Clock.Advance(time.Minute)
	require.Equal(t, http.StatusOK, ask("a").Status, "a new key is found")

	w.apply(t, file(trusted))
	require.Zero(t, one[int](t, w.instance, "one", `SELECT count(*) FROM events WHERE type = 'client.updated'`), "applying a file twice changes nothing")
	w.apply(t, file(`{issuer: "`+cluster+`", subjects: [b], jwks_uri: "`+host.URL+`/jwks"}`))
	requireRefused(t, ask("a"), http.StatusUnauthorized, "invalid_client")
	require.Equal(t, http.StatusOK, ask("b").Status)
}
