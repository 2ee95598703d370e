package e2e

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/net/html"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// withUsers is the realm "one" with more people, each given as the lines of a realm file.
func withUsers(people ...string) string {
	file := realmFile("one")
	for _, p := range people {
		file += "  - " + strings.ReplaceAll(strings.TrimSpace(p), "\n", "\n    ") + "\n"
	}
	return file
}

// loginPage opens the login page of a new authorization request.
func (b *browser) loginPage(i *instance, change ...string) response {
	b.t.Helper()
	page := b.authorize(i, "one", authorization(change...))
	require.Equal(b.t, http.StatusOK, page.StatusCode, page.Body)
	return page
}

// try posts a name and a password to the login page and follows nothing.
func (b *browser) try(page response, username, password string, more ...string) response {
	b.t.Helper()
	form := url.Values{"csrf": {hidden(b.t, page.Body, "csrf")}, "username": {username}, "password": {password}}
	for k := 0; k+1 < len(more); k += 2 {
		form.Set(more[k], more[k+1])
	}
	return b.post(page.Request.URL.String(), form)
}

// browserFrom is a browser at another address of this machine.
func browserFrom(t testing.TB, address string) *browser {
	t.Helper()
	b := newBrowser(t)
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	b.client.Transport = transport
	return b
}

// requireCode requires that the browser was sent to the application with a code, and returns it.
func requireCode(t testing.TB, r response) string {
	t.Helper()
	code := r.Location().Query().Get("code")
	require.NotEmpty(t, code, "%s %s\n%s", r.Status, r.Header.Get("Location"), r.Body)
	return code
}

// input returns the attributes of a form's field.
func input(t testing.TB, page, name string) map[string]string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		attrs := map[string]string{}
		for _, a := range n.Attr {
			attrs[a.Key] = a.Val
		}
		if n.Data == "input" && attrs["name"] == name {
			return attrs
		}
	}
	require.Fail(t, "the page has no such field", "%s\n%s", name, page)
	return nil
}

// scan reads one row of a realm.
func (i *instance) scan(t testing.TB, slug, query string, into ...any) {
	t.Helper()
	require.NoError(t, i.Realm(t, slug).QueryRow(t.Context(), query).Scan(into...), query)
}

func TestPW02_TooLongIsRefusedAndNeverCut(t *testing.T) {
	t.Parallel()
	longest := anaPassword + strings.Repeat("ß7", (256-len(anaPassword))/2)
	i := start(t, withUsers("username: long\npassword: "+longest))
	b := newBrowser(t)
	page := b.loginPage(i)
	for name, typed := range map[string]string{
		"one more":         longest + "x",
		"its first 72":     string([]rune(longest)[:72]),
		"its first 255":    string([]rune(longest)[:255]),
		"far more":         strings.Repeat(longest, 40),
		"grows under NFKC": strings.Repeat("\ufdfa", 256),
	} {
		t.Run(name, func(t *testing.T) {
			answer := b.try(page, "long", typed)
			require.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode, answer.Body)
			require.Contains(t, answer.Body, "E-mail, user name or password is incorrect.")
			i.Clock.Advance(time.Minute)
		})
	}
	requireCode(t, b.follow(i, b.try(page, "long", longest)))
}

func TestPW03_AnySpellingOfTheSameCharactersSignsIn(t *testing.T) {
	t.Parallel()
	composed := "  caf\u00e9 \ufb01nal \u30ab\u30bf 12 "
	i := start(t, withUsers(`username: caro`+"\n"+`password: "`+composed+`"`))
	for name, typed := range map[string]string{
		"as it was set":   composed,
		"decomposed":      "  cafe\u0301 final \u30ab\u30bf 12 ",
		"half-width kana": "  caf\u00e9 \ufb01nal \uff76\uff80 12 ",
		"no-break spaces": "\u00a0\u00a0caf\u00e9 final \u30ab\u30bf 12\u00a0",
	} {
		b := newBrowser(t)
		require.NotEmpty(t, b.follow(i, b.try(b.loginPage(i), "caro", typed)).Location().Query().Get("code"), name)
	}
	for name, typed := range map[string]string{
		"spaces trimmed": strings.TrimSpace(composed),
		"other case":     strings.ToUpper(composed),
		"without accent": "  cafe final \u30ab\u30bf 12 ",
	} {
		b := newBrowser(t)
		require.Equal(t, http.StatusUnprocessableEntity, b.try(b.loginPage(i), "caro", typed).StatusCode, name)
	}
}

func TestPW08_PW09_AnImportedHashIsReplacedInTheTransactionOfTheSignIn(t *testing.T) {
	t.Parallel()
	const plain = "cafe\u0301 imported"
	salt := make([]byte, 16)
	_, err := rand.Read(salt)
	require.NoError(t, err)
	derive := func(salt []byte) []byte {
		key, err := pbkdf2.Key(sha256.New, plain, salt, 600_000, 32)
		require.NoError(t, err)
		return key
	}
	crypted, err := bcrypt.GenerateFromPassword([]byte(plain), 10)
	require.NoError(t, err)
	hashes := map[string]string{
		"bcrypt": string(crypted),
		"pbkdf2": "$pbkdf2-sha256$i=600000$" + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(derive(salt)),
		"django": "pbkdf2_sha256$600000$NaCl4django$" + base64.StdEncoding.EncodeToString(derive([]byte("NaCl4django"))),
	}
	var people []string
	for name, hash := range hashes {
		people = append(people, "username: "+name+"\npassword_hash: '"+hash+"'")
	}
	i := start(t, withUsers(people...))
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			about := ` WHERE user_id = (SELECT user_id FROM identifiers WHERE canonical = '` + name + `')`
			stored := func() (hash string) {
				i.scan(t, "one", "SELECT hash FROM passwords"+about, &hash)
				return hash
			}
			upgrades := func() (n int) {
				i.scan(t, "one", "SELECT count(*) FROM events"+about+" AND type = 'password.upgraded'", &n)
				return n
			}
			b := newBrowser(t)
			page := b.loginPage(i)
			require.Equal(t, http.StatusUnprocessableEntity, b.try(page, name, plain+"!").StatusCode)
			require.Equal(t, hash, stored(), "a wrong password changes nothing")

			answer := b.try(page, name, plain)
			require.Equal(t, http.StatusSeeOther, answer.StatusCode, answer.Body)
			require.True(t, strings.HasPrefix(stored(), "$argon2id$v=19$m=19456,t=2,p=1$"), stored())
			require.Equal(t, 1, upgrades())
			var hashBy, eventBy, flowBy string
			i.scan(t, "one", "SELECT xmin::text FROM passwords"+about, &hashBy)
			i.scan(t, "one", "SELECT xact::xid::text FROM events"+about+" AND type = 'password.upgraded'", &eventBy)
			i.scan(t, "one", "SELECT xmin::text FROM flows"+about, &flowBy)
			require.Equal(t, []string{hashBy, hashBy}, []string{eventBy, flowBy}, "one transaction: the new hash, its event, the sign-in")
			requireCode(t, b.follow(i, answer))

			upgraded := stored()
			again := newBrowser(t)
			requireCode(t, again.follow(i, again.try(again.loginPage(i), name, plain)))
			require.Equal(t, upgraded, stored(), "a hash of today's parameters stays")
			require.Equal(t, 1, upgrades())
		})
	}
}

func TestPW11_PeppersRotateAtTheSignIn(t *testing.T) {
	t.Parallel()
	const k1, k2 = "k1:mYqk3V1o2kq6mY8o1cQ3b3Z3kq9m8r1v2n3p4q5r6s8=", "k2:Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyMTI="
	database := testdb.NewURL(t)
	with := func(peppers string, files ...string) *instance {
		return startWith(t, database, func(p *app.Process, _ *app.Options) {
			require.NoError(t, p.Config.PasswordPepper.UnmarshalText([]byte(peppers)))
		}, files...)
	}
	i := with(k1, realmFile("one"))
	ana := i.person(t, "ana")
	first := passwordHash(t, i, ana)
	require.Contains(t, first, "$peppered$k1~")
	b := newBrowser(t)
	requireCode(t, b.follow(i, b.try(b.loginPage(i), "ana", anaPassword)))
	require.Equal(t, first, passwordHash(t, i, ana))
	require.NotContains(t, i.Logs.String(), "mYqk3V1o")

	i = with(k2 + "," + k1)
	b = newBrowser(t)
	page := b.loginPage(i)
	require.Equal(t, http.StatusUnprocessableEntity, b.try(page, "ana", "wrong").StatusCode)
	requireCode(t, b.follow(i, b.try(page, "ana", anaPassword)))
	require.Contains(t, passwordHash(t, i, ana), "$peppered$k2~")
	require.Len(t, eventData(t, i, "one", password.Upgraded{}.Type()), 1)

	t.Run("and one that is missing is like an outage, from which the person can recover", func(t *testing.T) {
		i := with("")
		b := newBrowser(t)
		page := b.loginPage(i)
		for range 8 {
			away := b.try(page, "ana", anaPassword)
			require.Equal(t, http.StatusServiceUnavailable, away.StatusCode, "and never counted as a wrong password")
			require.Equal(t, "5", away.Header.Get("Retry-After"))
		}
		require.Contains(t, i.Logs.String(), "the pepper of a stored hash is not configured: k2~")
		require.Equal(t, http.StatusUnprocessableEntity, b.try(page, "nobody", anaPassword).StatusCode)
		login := b.follow(i, b.answer(b.redeem(i, b.recover(i, "ana")), "new-password", chosenPassword))
		require.Equal(t, "login", at(login), login.Body)
		require.Regexp(t, `^\$argon2id\$`, passwordHash(t, i, ana))
		requireCode(t, b.follow(i, b.try(login, "ana", chosenPassword)))
	})
}

// fill gives the server a hasher whose queue is over before it begins, as if every share of its memory were taken for
// longer than anybody may wait. It returns how to empty it again.
func fill(t testing.TB, i *instance) (empty func()) {
	t.Helper()
	full, err := password.New(password.Options{QueueWait: time.Nanosecond})
	require.NoError(t, err)
	before := *i.Hasher
	*i.Hasher = *full
	return func() { *i.Hasher = before }
}

func TestPW10_LG07_WhenTheGateIsFull(t *testing.T) {
	t.Parallel()
	i := start(t, withUsers("username: nopass"))
	b := newBrowser(t)
	page := b.loginPage(i)
	empty := fill(t, i)
	// An unknown name needs a hash as a known one does, and nobody is throttled for what could not be checked.
	for _, name := range []string{"nobody", "no body", "a@b@c", "nopass", "ana", "ana", "ana", "ana", "ana", "ana"} {
		answer := b.try(page, name, anaPassword)
		require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, "%s: no hash was computed\n%s", name, answer.Body)
		require.Equal(t, "5", answer.Header.Get("Retry-After"))
	}
	form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}}
	answer := b.post(page.Request.URL.String(), form, "Accept-Language", "pt-BR")
	require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	require.Equal(t, "pt-BR", answer.Header.Get("Content-Language"))
	require.Contains(t, answer.Body, `lang="pt-BR"`)
	require.NotContains(t, answer.Body, anaPassword)
	require.Contains(t, answer.Body, "/login?tx=", "the page leads back to the form")
	empty()
	requireCode(t, b.follow(i, b.try(page, "ana", anaPassword)))
}

func TestPW14_PW15_TheLoginPage(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.loginPage(i)
	for _, body := range []string{page.Body, b.try(page, "ana", "wrong").Body} {
		name, secret := input(t, body, "username"), input(t, body, "password")
		require.Equal(t, "username webauthn", name["autocomplete"])
		require.Equal(t, "none", name["autocapitalize"])
		require.Equal(t, "password", secret["type"])
		require.Equal(t, "current-password", secret["autocomplete"])
		for _, attrs := range []map[string]string{name, secret} {
			for _, forbidden := range []string{"onpaste", "oncopy", "readonly", "minlength", "pattern"} {
				require.NotContains(t, attrs, forbidden)
			}
		}
		require.NotContains(t, secret, "maxlength", "browsers cut what is pasted to maxlength")
		require.NotRegexp(t, `(?i)hint for|security question|mother|last password`, body)
	}
}

func TestPW16_NobodyExistsAfterMigration(t *testing.T) {
	t.Parallel()
	i := start(t)
	slugs, err := i.Realms.Slugs(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"system"}, slugs)
	for _, table := range []string{"users", "identifiers", "passwords", "clients", "client_secrets", "sessions", "grants"} {
		var n int
		i.scan(t, "system", "SELECT count(*) FROM "+table, &n)
		require.Zero(t, n, table)
	}
}

// fail lets a browser fail n sign-ins with a wrong password.
func (b *browser) fail(page response, name string, n int) {
	b.t.Helper()
	for k := range n {
		r := b.try(page, name, "wrong")
		require.Equal(b.t, http.StatusUnprocessableEntity, r.StatusCode, "failure %d of %s\n%s", k+1, name, r.Body)
	}
}

// requireThrottled requires a refusal that says how long to wait.
func requireThrottled(t testing.TB, r response, wait time.Duration) {
	t.Helper()
	require.Equal(t, http.StatusTooManyRequests, r.StatusCode, r.Body)
	require.Equal(t, strconv.Itoa(int(wait/time.Second)), r.Header.Get("Retry-After"))
	minutes := int((wait + time.Minute - 1) / time.Minute)
	require.Contains(t, r.Body, fmt.Sprintf("Too many attempts. Try again in %d minute", minutes))
}

func TestLG01_FailuresOfAnAccount(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.loginPage(i)
	b.fail(page, "ana", 5)
	for wait := time.Second; wait <= 4*time.Second; wait *= 2 {
		requireThrottled(t, b.try(page, "ana", anaPassword), wait)
		requireThrottled(t, b.try(page, "ana", anaPassword), wait) // being refused does not prolong the wait
		i.Clock.Advance(wait)
		b.fail(page, "ana", 1)
	}
	require.Equal(t, http.StatusUnprocessableEntity, b.try(page, "bob", "wrong").StatusCode, "others are not affected")
	i.Clock.Advance(8 * time.Second)
	requireCode(t, b.follow(i, b.try(page, "ana", anaPassword)))
	again := newBrowser(t)
	again.fail(again.loginPage(i), "ana", 5) // success forgot the failures
}

func TestLG01_FailuresFromAnAddress(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := browserFrom(t, "127.0.0.7")
	page := b.loginPage(i)
	tooLong := strings.Repeat("x", 257) // refused without the cost of a hash
	for n := range 50 {
		require.Equal(t, http.StatusUnprocessableEntity, b.try(page, "guess"+strconv.Itoa(n), tooLong).StatusCode, n)
	}
	requireThrottled(t, b.try(page, "ana", anaPassword), time.Second)
	other := browserFrom(t, "127.0.0.8")
	requireCode(t, other.follow(i, other.try(other.loginPage(i), "ana", anaPassword)))
	i.Clock.Advance(time.Second)
	requireCode(t, b.follow(i, b.try(page, "ana", anaPassword)))
}

func TestLG04_AKnownAddressIsNotLockedOutByAStranger(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	owner, stranger, third := browserFrom(t, "127.0.0.7"), browserFrom(t, "127.0.0.8"), browserFrom(t, "127.0.0.9")
	requireCode(t, owner.follow(i, owner.try(owner.loginPage(i), "ana", anaPassword)))
	page := stranger.loginPage(i)
	stranger.fail(page, "ana", 5)
	requireThrottled(t, stranger.try(page, "ana", anaPassword), time.Second)
	requireThrottled(t, third.try(third.loginPage(i), "ana", anaPassword), time.Second)
	i.Clock.Advance(time.Millisecond) // nobody asks again within the same instant
	page = owner.loginPage(i, "prompt", "login")
	owner.fail(page, "ana", 4)
	requireCode(t, owner.follow(i, owner.try(page, "ana", anaPassword)))
}

func TestLG03_AllSpellingsOfAPersonShareOneCounter(t *testing.T) {
	t.Parallel()
	spellings := []string{"ana", "ANA", " ana ", "\uff41\uff4e\uff41", "ana@example.test", "ANA@EXAMPLE.TEST", "Ana@example\u3002test"}
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.loginPage(i)
	for _, name := range spellings[:5] {
		b.fail(page, name, 1)
	}
	for _, name := range spellings {
		requireThrottled(t, b.try(page, name, anaPassword), time.Second)
	}
	for _, name := range []string{"nobody", "NOBODY", "\uff4eobody", " nobody", "nobody "} {
		b.fail(page, name, 1)
	}
	requireThrottled(t, b.try(page, "Nobody", anaPassword), time.Second)
}

var changing = regexp.MustCompile(`name="csrf" value="[^"]+"|value="(ana|nobody|gone)"`)

func TestLG06_NobodyLearnsWhetherAnAccountExists(t *testing.T) {
	t.Parallel()
	i := start(t, withUsers("username: gone\nenabled: false\npassword: "+anaPassword))
	b := newBrowser(t)
	page := b.loginPage(i)
	compare := func(answers map[string]response) {
		t.Helper()
		want := answers["ana"]
		for name, got := range answers {
			require.Equal(t, want.StatusCode, got.StatusCode, name)
			require.Equal(t, changing.ReplaceAllString(want.Body, "*"), changing.ReplaceAllString(got.Body, "*"), name)
			require.Len(t, got.Header, len(want.Header), name)
			for key := range want.Header {
				if key != "Date" && key != "X-Request-Id" && key != "Content-Length" {
					require.Equal(t, want.Header[key], got.Header[key], "%s: %s", name, key)
				}
			}
		}
	}
	for range 5 {
		answers := map[string]response{}
		for _, name := range []string{"ana", "nobody", "gone"} {
			answers[name] = b.try(page, name, "wrong")
		}
		compare(answers)
	}
	throttled := map[string]response{}
	for _, name := range []string{"ana", "nobody", "gone"} {
		throttled[name] = b.try(page, name, anaPassword)
		requireThrottled(t, throttled[name], time.Second)
	}
	compare(throttled)

	i.Clock.Advance(time.Second)
	disabled := b.try(page, "gone", anaPassword)
	require.Equal(t, http.StatusUnprocessableEntity, disabled.StatusCode)
	require.Contains(t, disabled.Body, "This account is switched off.", "whoever has the password may know")
}

func TestID01_ID02_Names(t *testing.T) {
	t.Parallel()
	i := start(t, withUsers("email: Jörg@Bücher.example\npassword: "+anaPassword))
	for _, name := range []string{
		"ana", " ANA ", "\uff21na", "Ana@Example.test", "ana@example.TEST", "ana@example\u3002test",
		"jörg@bücher.example", "JÖRG@xn--bcher-kva.example", "Jo\u0308rg@BÜCHER.example",
	} {
		b := newBrowser(t)
		require.NotEmpty(t, b.follow(i, b.try(b.loginPage(i), name, anaPassword)).Location().Query().Get("code"), name)
	}
	b := newBrowser(t)
	page := b.loginPage(i)
	for _, name := range []string{
		"ana@example.test@example.test", "@example.test", "ana@", "ana\r\n", "ana\r\nBcc: x@y.example", "a\u200bna", "ana\u0001", "a na",
		"аna", // a Cyrillic letter
	} {
		answer := b.try(page, name, anaPassword)
		require.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode, "%q\n%s", name, answer.Body)
		require.Contains(t, answer.Body, "E-mail, user name or password is incorrect.", "%q", name)
	}
	require.Equal(t, http.StatusBadRequest, b.try(page, "ana\x00", anaPassword).StatusCode)
}

func TestID03_TheSubjectIsRandom(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"), realmFile("two"))
	subject := func(slug string) string {
		b := newBrowser(t)
		sub, _ := claims(t, token(t, i, slug, exchange(b.code(i, slug))).IDToken)["sub"].(string)
		return sub
	}
	one := subject("one")
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, one, "a random UUID")
	require.Equal(t, one, subject("one"), "it stays")
	require.NotEqual(t, one, subject("two"), "it is the realm's own")
	var id string
	i.scan(t, "one", "SELECT user_id::text FROM identifiers WHERE canonical = 'ana'", &id)
	require.NotEqual(t, id, one, "it is not the row's key, which tells when the account was made")
}

func TestLG11_TheOwnerIsToldOfASignInAfterManyFailures(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	b := newBrowser(t)
	page := b.loginPage(i)
	b.fail(page, "ana", 5)
	requireThrottled(t, b.try(page, "ana", anaPassword), time.Second)
	i.Clock.Advance(time.Second)
	requireCode(t, b.follow(i, b.try(page, "ana", anaPassword)))
	i.work(t)
	require.Eventually(t, func() bool {
		mails := i.Outbox.Mails()
		return len(mails) == 1 && mails[0].Subject == "A sign-in after failed attempts" && strings.Contains(mails[0].Text, "after 6 attempts had failed")
	}, 30*time.Second, 20*time.Millisecond)
}
