package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// budget is how many wrong guesses at one secret are compared before anybody has to wait.
const budget = 5

// patient is the realm "one" in which whoever has used up their budget waits for an hour, so that nobody gets another
// guess because a test takes its time. People may register, and sign in by mailed codes.
const patient = open + "settings: {sign_in: {email_code: true}, throttling: {passwords: {account: {first_delay: 1h, longest_delay: 12h}}," +
	" codes: {account: {first_delay: 1h, longest_delay: 12h}}}}\n"

// answerAt posts a page's form to a process, whichever the page came from.
func (b *browser) answerAt(i *instance, page response, fields ...string) response {
	b.t.Helper()
	form := url.Values{"csrf": {hidden(b.t, page.Body, "csrf")}}
	for k := 0; k+1 < len(fields); k += 2 {
		form.Set(fields[k], fields[k+1])
	}
	return b.post(i.URL+page.Request.URL.RequestURI(), form)
}

// compared is how many passwords were compared with what is stored and were wrong; what had to wait was not.
func compared(t testing.TB, i *instance) int {
	t.Helper()
	return one[int](t, i, "one", `SELECT count(*)::int FROM events WHERE type = 'login.refused' AND data->>'reason' IN ('wrong', 'unknown')`)
}

// guessPasswords has many guess one person's password at once, by all processes. Whenever they have to wait they are
// told so.
func guessPasswords(t *testing.T, name string, by ...*instance) {
	t.Helper()
	b := newBrowser(t)
	page := b.loginPage(by[0])
	race(func(n int) {
		r := b.answerAt(by[n%len(by)], page, "username", name, "password", "wrong")
		if r.StatusCode != http.StatusUnprocessableEntity && r.StatusCode != http.StatusTooManyRequests {
			t.Errorf("a guess was answered %d", r.StatusCode)
		}
	})
}

// requireHeldOff requires that even the right password waits, at each process.
func requireHeldOff(t *testing.T, by ...*instance) {
	t.Helper()
	for _, i := range by {
		b := newBrowser(t)
		require.Equal(t, http.StatusTooManyRequests, b.try(b.loginPage(i), "ana", anaPassword).StatusCode)
	}
}

// neighbouring runs two processes on one database that share nothing else.
func neighbouring(t *testing.T) (one, two *instance) {
	t.Helper()
	database := testdb.NewURL(t)
	one = startOn(t, database, realmFile("one"), patient)
	two = startOn(t, database)
	two.Clock.Set(one.Clock.Now())
	return one, two
}

func TestLG01_ManyGuessesAtOnce(t *testing.T) {
	t.Parallel()
	t.Run("get the budget", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), patient)
		guessPasswords(t, "ana", i)
		require.Equal(t, budget, compared(t, i))
		requireHeldOff(t, i)
		guessPasswords(t, "ANA@example.test", i)
		require.Equal(t, budget, compared(t, i), "by another name, too")
	})
	t.Run("at somebody who does not exist likewise", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), patient)
		guessPasswords(t, "nobody", i)
		require.Equal(t, budget, compared(t, i))
	})
	t.Run("from many addresses likewise", func(t *testing.T) {
		t.Parallel()
		i := start(t, realmFile("one"), patient)
		guessers := make([]*browser, callers)
		pages := make([]response, callers)
		for n := range guessers {
			guessers[n] = browserFrom(t, "127.0.3."+string(rune('0'+n%10)))
			pages[n] = guessers[n].loginPage(i)
		}
		race(func(n int) { guessers[n].try(pages[n], "ana", "wrong") })
		require.Equal(t, budget, compared(t, i))
		requireHeldOff(t, i)
	})
	t.Run("get one budget of two processes, which share the database alone", func(t *testing.T) {
		t.Parallel()
		first, second := neighbouring(t)
		guessPasswords(t, "ana", first, second)
		require.Equal(t, budget, compared(t, first))
		requireHeldOff(t, first, second)
	})
	t.Run("get no more after a restart", func(t *testing.T) {
		t.Parallel()
		database := testdb.NewURL(t)
		i := startOn(t, database, realmFile("one"), patient)
		guessPasswords(t, "ana", i)
		again := startOn(t, database)
		again.Clock.Set(i.Clock.Now())
		requireHeldOff(t, again)
	})
}

// Redis has no part in it, dead or alive.
func TestLG13_GuessesWhileRedisDies(t *testing.T) {
	t.Parallel()
	first, second, redis := sharing(t, realmFile("one"), patient)
	b := newBrowser(t)
	page := b.loginPage(first)
	var guesses atomic.Int64
	race(func(n int) {
		for range 2 {
			if guesses.Add(1) == callers {
				redis.Kill()
			}
			r := b.answerAt([]*instance{first, second}[n%2], page, "username", "ana", "password", "wrong")
			if r.StatusCode != http.StatusUnprocessableEntity && r.StatusCode != http.StatusTooManyRequests {
				t.Errorf("a guess was answered %d", r.StatusCode)
			}
		}
	})
	guessPasswords(t, "ana", first, second)
	require.Equal(t, budget, compared(t, first))
	requireHeldOff(t, first, second)
	require.Eventually(t, func() bool { return gauge(t, first, "gatehouse_limit_fallback_active") == 1 }, 30*time.Second, 10*time.Millisecond)
}

// waitsFor opens a page that waits for a mailed code, of each kind, and says whose it is.
var waitsFor = map[string]struct {
	to   string
	open func(b *browser, i *instance) response
}{
	"recover":      {"ana@example.test", func(b *browser, i *instance) response { return b.recover(i, "ana") }},
	"verify-email": {"eve@example.test", func(b *browser, i *instance) response { return b.register(i, "eve@example.test") }},
	"email-code": {"ana@example.test", func(b *browser, i *instance) response {
		return b.follow(i, b.answer(b.from(i, "email-code"), "username", "ana"))
	}},
}

// sent is the code and the link of the last mail, which is to that address, whichever process sends it: one of them by its
// background work, or the first by hand.
func sent(t *testing.T, to string, by ...*instance) (code, link string) {
	t.Helper()
	id := one[uuid.UUID](t, by[0], "one", `SELECT id FROM deliveries WHERE NOT suppressed ORDER BY id DESC LIMIT 1`)
	r, text := by[0].Realm(t, "one"), ""
	require.Eventually(t, func() bool {
		_ = by[0].Mail.Deliver(t.Context(), r, jobs.Work{Realm: r.ID, Row: id}) // refuses what somebody else has begun
		for _, i := range by {
			for _, m := range i.Outbox.Mails() {
				if strings.HasPrefix(m.ID, id.String()) && strings.EqualFold(m.To.Mailbox, to) {
					text = m.Text
					return true
				}
			}
		}
		return false
	}, 30*time.Second, 10*time.Millisecond)
	return secretsIn(t, text)
}

// shown is how often a mailed secret was taken, and how many codes were wrong.
func shown(t testing.TB, i *instance) (taken, wrong int) {
	t.Helper()
	return len(eventData(t, i, "one", "challenge.redeemed")), len(eventData(t, i, "one", "challenge.refused"))
}

// tryCodes has many type a code at once into the page that waits for it.
func tryCodes(t *testing.T, b *browser, page response, typed func(n int) string, by ...*instance) {
	t.Helper()
	browsers := make([]*browser, callers) // each as the page's browser was: the first success changes its cookie
	for n := range browsers {
		browsers[n] = copyOf(t, b, by[0].URL)
	}
	race(func(n int) {
		if r := browsers[n].answerAt(by[n%len(by)], page, "code", typed(n)); r.StatusCode >= 500 {
			t.Errorf("a code was answered %d: %s", r.StatusCode, r.Body)
		}
	})
}

func TestMF05_ManyUsesOfOneMailedCodeAtOnce(t *testing.T) {
	t.Parallel()
	for name, w := range waitsFor {
		for processes, begin := range map[string]func(t *testing.T) []*instance{
			"one": func(t *testing.T) []*instance { t.Helper(); return []*instance{start(t, realmFile("one"), patient)} },
			"two": func(t *testing.T) []*instance { t.Helper(); a, b := neighbouring(t); return []*instance{a, b} },
		} {
			t.Run(name+" by "+processes, func(t *testing.T) {
				t.Parallel()
				by := begin(t)
				b := newBrowser(t)
				page := w.open(b, by[0])
				code, _ := sent(t, w.to, by[0])
				tryCodes(t, b, page, func(int) string { return code }, by...)
				taken, wrong := shown(t, by[0])
				require.Equal(t, 1, taken)
				require.Zero(t, wrong)

				other := newBrowser(t)
				page = other.follow(by[0], other.answer(other.from(by[0], "recover"), "username", "bob"))
				code, _ = sent(t, "bob@example.test", by[0])
				tryCodes(t, other, page, func(int) string { return another(code) }, by...)
				taken, wrong = shown(t, by[0])
				require.Equal(t, 1, taken)
				require.Equal(t, budget, wrong, "five tries, however many processes ask the database")
				tryCodes(t, other, page, func(int) string { return code }, by...)
				taken, _ = shown(t, by[0])
				require.Equal(t, 1, taken, "it is dead")
			})
		}
	}
}

func TestMF05_TriesAtACodeWhileRedisDies(t *testing.T) {
	t.Parallel()
	first, second, redis := sharing(t, realmFile("one"), patient)
	b := newBrowser(t)
	page := b.recover(first, "ana")
	code, _ := sent(t, "ana@example.test", first, second)
	var tries atomic.Int64
	tryCodes(t, b, page, func(int) string {
		if tries.Add(1) == callers/2 {
			redis.Kill()
		}
		return another(code)
	}, first, second)
	tryCodes(t, b, page, func(int) string { return code }, first, second)
	taken, wrong := shown(t, first)
	require.LessOrEqual(t, wrong, budget)
	require.LessOrEqual(t, taken, 1, "within the five")
	require.LessOrEqual(t, taken+wrong, budget)
}

func TestRS01_ManyUsesOfOneMailedLinkAtOnce(t *testing.T) {
	t.Parallel()
	for name, w := range waitsFor {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := neighbouring(t)
			b := newBrowser(t)
			w.open(b, first)
			_, link := sent(t, w.to, first)
			browsers, pages := make([]*browser, callers), make([]response, callers)
			for n := range browsers {
				browsers[n] = newBrowser(t)
				if name == "email-code" || n == 0 { // that link works in the browser that asked alone
					browsers[n] = copyOf(t, b, first.URL)
				}
				pages[n] = browsers[n].get(link)
				require.Equal(t, http.StatusOK, pages[n].StatusCode)
			}
			var taken atomic.Int64
			race(func(n int) {
				r := browsers[n].answerAt([]*instance{first, second}[n%2], pages[n])
				switch {
				case r.StatusCode >= 500:
					t.Errorf("a link was answered %d: %s", r.StatusCode, r.Body)
				case r.StatusCode == http.StatusSeeOther, r.StatusCode == http.StatusOK && !strings.Contains(r.Body, "Open it where you asked for it"):
					taken.Add(1)
				}
			})
			require.EqualValues(t, 1, taken.Load())
			redeemed, _ := shown(t, first)
			require.Equal(t, 1, redeemed)
		})
	}
}

// A code, a link and "send again" meet in one window: whichever comes first, nobody is told of an error of ours, and what
// was mailed is taken once.
func TestRS01_AMailedSecretWhileAnotherIsSent(t *testing.T) {
	t.Parallel()
	for name, w := range waitsFor {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := start(t, realmFile("one"), patient)
			b := newBrowser(t)
			page := w.open(b, i)
			code, link := sent(t, w.to, i)
			look := b.get(link)
			browsers := make([]*browser, callers)
			for n := range browsers {
				browsers[n] = copyOf(t, b, i.URL)
			}
			race(func(n int) {
				var r response
				switch n % 5 {
				case 0:
					r = browsers[n].answer(page, "action", "resend")
				case 1:
					r = browsers[n].answer(look)
				default:
					r = browsers[n].answer(page, "code", code)
				}
				if r.StatusCode >= 500 {
					t.Errorf("%d was answered %d: %s", n%5, r.StatusCode, r.Body)
				}
			})
			taken, _ := shown(t, i)
			require.LessOrEqual(t, taken, 1)
		})
	}
}
