package realmfile_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/user"
	"github.com/gatehouse-id/gatehouse/templates"
)

type bundle struct {
	*testdb.Bundle
	clients *client.Store
	users   *user.Store
	keys    *keyset.Store
	hasher  *password.Hasher
	applier *realmfile.Applier
}

func setup(t *testing.T) *bundle {
	t.Helper()
	db := testdb.New(t)
	b := &bundle{
		Bundle: db, clients: client.NewStore(db.Clock.Now), users: user.NewStore(db.Clock.Now, rand.Reader),
		keys: keyset.NewStore(db.Clock.Now, rand.Reader),
	}
	var err error
	b.hasher, err = password.New(password.Options{})
	require.NoError(t, err)
	catalogue, err := i18n.New(templates.FS)
	require.NoError(t, err)
	b.applier = realmfile.New(realmfile.Options{
		Realms: db.Directory, Clients: b.clients, Users: b.users, Keys: b.keys, Hasher: b.hasher,
		Catalogue: catalogue, Now: db.Clock.Now, Random: rand.Reader,
	})
	return b
}

func (b *bundle) try(t *testing.T, content string, o realmfile.ApplyOptions) (realmfile.Report, error) {
	t.Helper()
	f, err := parse(content)
	require.NoError(t, err)
	return b.applier.Apply(event.By(t.Context(), event.Operator, "tester"), f, o)
}

func (b *bundle) apply(t *testing.T, content string) realmfile.Report {
	t.Helper()
	report, err := b.try(t, content, realmfile.ApplyOptions{})
	require.NoError(t, err)
	return report
}

// realm reads past every cache.
func (b *bundle) realm(t *testing.T, slug string) realm.Realm {
	t.Helper()
	r, err := b.NewDirectory(b.Keyring).BySlug(t.Context(), slug)
	require.NoError(t, err)
	return r
}

func (b *bundle) client(t *testing.T, r realm.Realm, id string) client.Client {
	t.Helper()
	c, err := client.NewStore(b.Clock.Now).ByClientID(t.Context(), r, id)
	require.NoError(t, err)
	return *c
}

func (b *bundle) person(t *testing.T, r realm.Realm, name string) (u user.User) {
	t.Helper()
	require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) (err error) {
		u, err = b.users.ByCanonical(t.Context(), tx, name)
		return err
	}))
	return u
}

func (b *bundle) signsIn(t *testing.T, r realm.Realm, name, plain string) bool {
	t.Helper()
	c, err := password.Find(t.Context(), r, name, b.Clock.Now())
	require.NoError(t, err)
	require.NotEmpty(t, c.Hash)
	result, err := b.hasher.Verify(t.Context(), c.Hash, plain)
	require.NoError(t, err)
	return result.OK
}

// events lists the realm's events in order, with their actors.
func (b *bundle) events(t *testing.T, r realm.Realm) []string {
	t.Helper()
	rows, err := r.Query(t.Context(), `SELECT type || ' by ' || actor_kind || ' ' || actor FROM events ORDER BY seq`)
	require.NoError(t, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var e string
		require.NoError(t, rows.Scan(&e))
		all = append(all, e)
	}
	require.NoError(t, rows.Err())
	return all
}

// state is every row of the realm that a file may change, as text.
func (b *bundle) state(t *testing.T, r realm.Realm) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"realms", "realm_hosts", "clients", "client_secrets", "users", "identifiers", "passwords", "keys", "events"} {
		var rows string
		require.NoError(t, r.QueryRow(t.Context(), `SELECT coalesce(json_agg(x ORDER BY x::text)::text, '') FROM `+table+` x`).Scan(&rows))
		all.WriteString(table + rows + "\n")
	}
	return all.String()
}

func lines(r realmfile.Report) []string {
	all := []string{}
	for _, c := range r.Changes {
		all = append(all, c.String())
	}
	return all
}

const demo = `
realm: demo
name: Demo
settings: {locale: es, lifetimes: {access_token: 2m}, texts: {es: {login.title_plain: Hola}}}
flags: {ENABLE_MFA: true}
applications:
  - client_id: web
    name: Web shop
    secrets: ["${env:SECRET}"]
    redirect_uris: [https://shop.example/cb]
  - client_id: app
    application_type: native
    redirect_uris: ["com.example.app:/cb"]
users:
  - username: ana
    email: ana@demo.test
    email_verified: true
    password: correct horse battery
    claims: {name: Ana Silva, address: {locality: Recife, country: BR}}
`

func TestApply(t *testing.T) {
	t.Parallel()

	t.Run("makes the realm and all that is in it, under the operator's name", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		report := b.apply(t, demo)
		require.Equal(t, []string{
			"realm demo: created", "key ES256: created", "application web: created", "secret web: created",
			"application app: created", "user ana: created", "password ana: created",
		}, lines(report))
		r := b.realm(t, "demo")
		require.Equal(t, "es", r.Settings.Locale)
		require.Equal(t, "2m", r.Settings.Lifetimes.AccessToken.String())
		require.Equal(t, "Hola", r.Settings.Texts["es"]["login.title_plain"])
		require.True(t, *r.Flags.EnableMFA)
		ring, err := b.keys.Ring(t.Context(), r)
		require.NoError(t, err)
		_, err = ring.Active(keyset.ES256)
		require.NoError(t, err)
		web := b.client(t, r, "web")
		require.True(t, web.Enabled && web.ProvesSecret(longSecret))
		require.Equal(t, []string{"https://shop.example/cb"}, web.RedirectURIs)
		require.Equal(t, "none", b.client(t, r, "app").TokenEndpointAuthMethod)
		ana := b.person(t, r, "ana")
		require.Equal(t, user.Active, ana.Status)
		require.Equal(t, "Ana Silva", ana.Claims.Name)
		require.True(t, b.signsIn(t, r, "ana@demo.test", "correct horse battery"))
		for _, n := range ana.Names {
			require.Equal(t, n.Kind == user.KindEmail, n.VerifiedAt != nil)
		}
		const by = " by operator tester"
		require.Equal(t, []string{
			"realm.created" + by, "key.made" + by, "client.created" + by, "client.secret_added" + by, "client.created" + by,
			"user.created" + by, "password.changed" + by,
		}, b.events(t, r))
	})

	t.Run("changes nothing the second time, events included", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(t, demo)
		r := b.realm(t, "demo")
		before := b.state(t, r)
		b.Clock.Advance(1e10)
		report, err := b.try(t, demo, realmfile.ApplyOptions{Prune: true})
		require.NoError(t, err)
		require.Empty(t, report.Changes)
		require.Equal(t, before, b.state(t, r))
	})

	t.Run("touches only what the file names", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(t, demo)
		report := b.apply(t, `
realm: demo
settings: {lifetimes: {code: 30s}, texts: {es: {login.submit: Adelante}}}
flags: {ALLOW_AUTO_REGISTRATION: false}
applications: [{client_id: web, scopes: [openid]}]
users: [{username: ana, claims: {nickname: Aninha, address: {region: PE}}}]
`)
		require.Equal(t, []string{
			"realm demo: updated settings.lifetimes.code, settings.texts, flags.ALLOW_AUTO_REGISTRATION",
			"application web: updated scopes", "user ana: updated claims",
		}, lines(report))
		r := b.realm(t, "demo")
		require.Equal(t, "Demo", r.Name)
		require.Equal(t, "2m", r.Settings.Lifetimes.AccessToken.String())
		require.Equal(t, realm.Text{"login.title_plain": "Hola", "login.submit": "Adelante"}, r.Settings.Texts["es"])
		require.True(t, *r.Flags.EnableMFA)
		web := b.client(t, r, "web")
		require.Equal(t, "Web shop", web.Name)
		require.True(t, web.ProvesSecret(longSecret))
		require.True(t, b.client(t, r, "app").Enabled)
		ana := b.person(t, r, "ana")
		require.Equal(t, user.Claims{Name: "Ana Silva", Nickname: "Aninha", Address: &user.Address{Locality: "Recife", Region: "PE", Country: "BR"}}, ana.Claims)
		require.True(t, b.signsIn(t, r, "ana@demo.test", "correct horse battery"))
	})

	t.Run("takes defaults again where the file empties a field", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(t, demo)
		b.apply(t, `
realm: demo
settings: {locale: "", lifetimes: {access_token: 0s}, texts: {es: {login.title_plain: ""}}}
flags: {ENABLE_MFA: null}
users: [{username: ana, claims: {name: "", address: {locality: "", country: ""}}}]
`)
		r := b.realm(t, "demo")
		require.Equal(t, realm.Settings{}.WithDefaults().Lifetimes, r.Settings.Lifetimes)
		require.Equal(t, "en", r.Settings.Locale)
		require.Empty(t, r.Settings.Texts)
		require.Nil(t, r.Flags.EnableMFA)
		require.Equal(t, user.Claims{}, b.person(t, r, "ana").Claims)
	})

	t.Run("reports the same in a dry run and leaves everything as it was", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		dry, err := b.try(t, demo, realmfile.ApplyOptions{DryRun: true})
		require.NoError(t, err)
		require.True(t, dry.DryRun)
		slugs, err := b.Directory.Slugs(t.Context())
		require.NoError(t, err)
		require.NotContains(t, slugs, "demo")
		require.Equal(t, dry.Changes, b.apply(t, demo).Changes)

		r := b.realm(t, "demo")
		before := b.state(t, r)
		const change = "realm: demo\nname: Other\napplications: [{client_id: new, generate_secret: true, redirect_uris: [https://a.example/]}]"
		dry, err = b.try(t, change, realmfile.ApplyOptions{DryRun: true, Prune: true})
		require.NoError(t, err)
		require.Len(t, dry.Changes, 5)
		require.True(t, dry.Generated[0].Value.IsZero(), "a value that opens nothing is not shown")
		require.Equal(t, before, b.state(t, r))
	})

	t.Run("deletes applications and secrets with prune alone, and never people", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(t, demo)
		const less = "realm: demo\napplications: [{client_id: web, secrets: [\"${env:DIGITS}\"]}]\nusers: []"
		require.Equal(t, []string{"secret web: created"}, lines(b.apply(t, less)))
		r := b.realm(t, "demo")
		require.True(t, b.client(t, r, "web").ProvesSecret(longSecret))

		none, err := b.try(t, "realm: demo", realmfile.ApplyOptions{Prune: true})
		require.NoError(t, err)
		require.Empty(t, none.Changes, "a file without a list of applications says nothing about them")

		report, err := b.try(t, less, realmfile.ApplyOptions{Prune: true})
		require.NoError(t, err)
		require.Equal(t, []string{"secret web: deleted", "application app: deleted"}, lines(report))
		require.False(t, b.client(t, r, "web").ProvesSecret(longSecret))
		_, err = b.clients.ByClientID(t.Context(), r, "app")
		require.ErrorIs(t, err, realm.ErrUnknown)
		require.Equal(t, user.Active, b.person(t, r, "ana").Status)
		require.Contains(t, b.events(t, r), "client.deleted by operator tester")
	})

	t.Run("moves a realm to a host of its own", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.Directory.ByHost(t.Context(), "login.demo.test")
		require.ErrorIs(t, err, realm.ErrUnknown)
		b.apply(t, "realm: demo")
		b.apply(t, "realm: demo\nhosts: [login.demo.test]")
		r, err := b.Directory.ByHost(t.Context(), "login.demo.test")
		require.NoError(t, err, "that it was unknown is forgotten")
		require.Equal(t, "https://login.demo.test", r.Issuer)
		for _, slug := range []string{"other", "demo2"} {
			_, err = b.try(t, "realm: "+slug+"\nhosts: [login.demo.test]", realmfile.ApplyOptions{})
			require.ErrorContains(t, err, "realm.yaml:2:8: hosts: one of the hosts belongs to another realm")
		}
	})

	t.Run("prints generated secrets once, and only when asked", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		const content = "realm: demo\napplications: [{client_id: web, generate_secret: true, redirect_uris: [https://a.example/]}]\nusers: [{username: ana, generate_password: true}]"
		report := b.apply(t, content)
		require.Len(t, report.Generated, 2)
		secret, plain := report.Generated[0].Value.Reveal(), report.Generated[1].Value.Reveal()
		r := b.realm(t, "demo")
		require.True(t, b.client(t, r, "web").ProvesSecret(secret))
		require.True(t, b.signsIn(t, r, "ana", plain))
		require.Regexp(t, `^([0-9a-z]{5}-){3}[0-9a-z]{5}$`, plain)
		encoded, err := json.Marshal(report)
		require.NoError(t, err)
		for _, printed := range []string{fmt.Sprintf("%v %+v %#v", report, report, report), string(encoded)} {
			require.NotContains(t, printed, secret)
			require.NotContains(t, printed, plain)
		}
		again := b.apply(t, content)
		require.Empty(t, again.Changes)
		require.Empty(t, again.Generated)
	})

	t.Run("changes everything or nothing, and says all that is wrong", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(t, demo)
		r := b.realm(t, "demo")
		before := b.state(t, r)
		_, err := b.try(t, `
realm: demo
name: Other
settings:
  locale: tlh
  texts: {es: {no.such.key: x}}
applications:
  - client_id: api
  - {client_id: app, pkce: optional}
  - {client_id: app2, application_type: browser, generate_secret: true, redirect_uris: [https://a.example/]}
users:
  - {username: ana, subject: other}
  - {username: bob, email: ana@demo.test}
  - {username: eve, password: short0short}
  - {username: joe, email_verified: true}
`, realmfile.ApplyOptions{})
		var invalid realmfile.InvalidError
		require.ErrorAs(t, err, &invalid)
		for _, want := range []string{
			`realm.yaml:5:11: settings.locale: is "tlh"`, "realm.yaml:6:10: settings.texts: override es: no.such.key",
			"realm.yaml:8:5: applications[0]: redirect_uris is empty", "applications[0]: has token_endpoint_auth_method client_secret_basic and no secret",
			"realm.yaml:9:28: applications[1].pkce: is optional", "applications[2]: an application with token_endpoint_auth_method none has no secret",
			"users[0].subject: differs from the account's", "users[1].email: belongs to another account",
			"users[2].password: is shorter than the 12 characters", "users[3].email_verified: there is no e-mail address",
		} {
			require.ErrorContains(t, err, want)
		}
		require.Len(t, invalid, 10, err)
		require.Equal(t, before, b.state(t, r))
	})

	t.Run("applies the same new realm from two processes at once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		f, err := parse(demo)
		require.NoError(t, err)
		var wg sync.WaitGroup
		var reports [4]realmfile.Report
		var errs [4]error
		for i := range reports {
			wg.Go(func() { reports[i], errs[i] = b.applier.Apply(t.Context(), f, realmfile.ApplyOptions{}) })
		}
		wg.Wait()
		made := 0
		for i := range reports {
			require.NoError(t, errs[i])
			if len(reports[i].Changes) > 0 {
				made++
			}
		}
		require.Equal(t, 1, made)
	})
}

func TestApplyPeople(t *testing.T) {
	t.Parallel()

	t.Run("sets a plain password when the stored one differs", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(t, demo)
		r := b.realm(t, "demo")
		report := b.apply(t, "realm: demo\nusers: [{username: ana, password: another horse battery}]")
		require.Equal(t, []string{"password ana: updated"}, lines(report))
		require.True(t, b.signsIn(t, r, "ana", "another horse battery"))
	})

	t.Run("imports a subject and a hash, and never takes a hash back", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		hash, err := b.hasher.Hash(t.Context(), "from the old system")
		require.NoError(t, err)
		content := "realm: demo\nusers: [{email: Bruno@demo.test, subject: old-42, password_hash: \"$" + hash + "\"}]"
		content = strings.Replace(content, "$$argon", "$argon", 1)
		b.apply(t, content)
		r := b.realm(t, "demo")
		bruno := b.person(t, r, "bruno@demo.test")
		require.Equal(t, "old-42", bruno.Subject)
		require.True(t, b.signsIn(t, r, "bruno@demo.test", "from the old system"))

		// The person chooses a new one, which the file must not undo.
		chosen, err := b.hasher.Hash(t.Context(), "chosen by the person")
		require.NoError(t, err)
		require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) error {
			return password.Set(t.Context(), tx, bruno.ID, chosen, b.Clock.Now())
		}))
		require.Empty(t, b.apply(t, content).Changes)
		require.True(t, b.signsIn(t, r, "bruno@demo.test", "chosen by the person"))

		_, err = b.try(t, "realm: demo\nusers: [{username: clone, subject: old-42}]", realmfile.ApplyOptions{})
		require.ErrorContains(t, err, "users[0].subject: belongs to another account")
	})

	t.Run("does not take another address for verified", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(t, demo)
		r := b.realm(t, "demo")
		verified := func() bool {
			for _, n := range b.person(t, r, "ana").Names {
				if n.Kind == user.KindEmail {
					return n.VerifiedAt != nil
				}
			}
			return false
		}
		b.apply(t, "realm: demo\nusers: [{username: ana, email: ANA@demo.test}]")
		require.True(t, verified(), "only the letters changed")
		b.apply(t, "realm: demo\nusers: [{username: ana, email: ana@other.test}]")
		require.False(t, verified())
		b.apply(t, "realm: demo\nusers: [{username: ana, email_verified: true}]")
		require.True(t, verified())
	})

	t.Run("enables what an administrator disabled and leaves a lock alone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(t, demo)
		r := b.realm(t, "demo")
		b.apply(t, "realm: demo\nusers: [{username: ana, enabled: false}]")
		require.Equal(t, user.Disabled, b.person(t, r, "ana").Status)
		b.apply(t, "realm: demo\nusers: [{username: ana, enabled: true}]")
		ana := b.person(t, r, "ana")
		require.Equal(t, user.Active, ana.Status)
		require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := lifecycle.Lock(t.Context(), tx, ana.ID, "", b.Clock.Now())
			return err
		}))
		require.Empty(t, b.apply(t, "realm: demo\nusers: [{username: ana, enabled: true}]").Changes)
		require.Equal(t, user.Locked, b.person(t, r, "ana").Status)
	})
}

// The example is what people copy: it has to work as it stands.
func TestApplyExample(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const file = "../../api/examples/realm.yaml"
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	f, err := realmfile.Parse(content, filepath.Base(file), realmfile.Lookup{
		Env:  func(name string) (string, bool) { return "value of " + name + " that is long enough", true },
		File: func(string) ([]byte, error) { return []byte(longSecret), nil },
	})
	require.NoError(t, err)
	report, err := b.applier.Apply(t.Context(), f, realmfile.ApplyOptions{})
	require.NoError(t, err)
	require.Len(t, report.Generated, 2)
	require.Equal(t, config.NewSecret("x").String(), report.Generated[0].Value.String())
	again, err := b.applier.Apply(t.Context(), f, realmfile.ApplyOptions{Prune: true})
	require.NoError(t, err)
	require.Empty(t, again.Changes)
}
