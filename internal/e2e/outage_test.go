package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/postgres/devpg"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// wire is a way to the database that a test can cut at any message.
type wire struct {
	target string

	mu    sync.Mutex
	open  map[net.Conn]bool
	after int  // messages that pass before something happens
	armed bool // whether something will happen
	// what happens: the message is lost, or its answer is, or only hangUp is called.
	loses  string
	hangUp func()
	down   bool
	struck bool
	// full is set while no further connection is let through.
	full bool
	// listening is the port at which the database sees the connection that listens for changes.
	listening int
	// silent is the port, as the database sees it, of a connection on which nothing arrives any more in either direction
	// and nobody hangs up, as when packets are dropped on the way; thawed is closed when that is over.
	silent int
	thawed chan struct{}
}

// The things that a wire can lose.
const (
	loseMessage = "the message"
	loseAnswer  = "its answer"
	loseNothing = "nothing, but the browser hangs up"
)

// newWire returns the wire to a database and the URL that leads through it.
func newWire(t testing.TB, database string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(database)
	require.NoError(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{target: u.Host, open: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close(); w.cut() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(c)
		}
	}()
	u.Host = l.Addr().String()
	return w, u.String()
}

func (w *wire) carry(from net.Conn) {
	to, err := net.Dial("tcp", w.target) //nolint:noctx // it ends when the wire is cut
	if err != nil {
		_ = from.Close()
		return
	}
	w.mu.Lock()
	if w.down || w.full {
		_, _ = from.Close(), to.Close()
		w.mu.Unlock()
		return
	}
	w.open[from], w.open[to] = true, true
	w.mu.Unlock()
	done := make(chan struct{})
	go func() { defer close(done); w.answers(from, to) }()
	w.messages(from, to)
	_, _ = from.Close(), to.Close()
	<-done
	w.mu.Lock()
	delete(w.open, from)
	delete(w.open, to)
	w.mu.Unlock()
}

func (w *wire) messages(from, to net.Conn) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil || !w.passes() {
			return
		}
		if port, ok := to.LocalAddr().(*net.TCPAddr); ok && bytes.Contains(buf[:n], []byte(`LISTEN "gatehouse_changes"`)) {
			w.mu.Lock()
			w.listening = port.Port
			w.mu.Unlock()
		}
		w.hold(to)
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (w *wire) answers(from, to net.Conn) {
	buf := make([]byte, 1<<16)
	for {
		n, err := to.Read(buf)
		if err != nil {
			_ = from.Close()
			return
		}
		w.mu.Lock()
		lost := w.struck && w.loses == loseAnswer
		w.mu.Unlock()
		if lost {
			w.cut()
			return
		}
		w.hold(to)
		if _, err := from.Write(buf[:n]); err != nil {
			return
		}
	}
}

// hold waits for as long as the connection is silent.
func (w *wire) hold(to net.Conn) {
	w.mu.Lock()
	port, ok := to.LocalAddr().(*net.TCPAddr)
	silent, thawed := ok && port.Port == w.silent, w.thawed
	w.mu.Unlock()
	if silent {
		<-thawed
	}
}

// freeze makes the connection that listens for changes silent; thaw ends that.
func (w *wire) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent, w.thawed = w.listening, make(chan struct{})
}

func (w *wire) thaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.thawLocked()
}

func (w *wire) thawLocked() {
	if w.silent != 0 {
		close(w.thawed)
		w.silent = 0
	}
}

// passes tells whether a message may go on, and makes happen what was armed.
func (w *wire) passes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.down:
		return false
	case !w.armed || w.struck:
		return true
	case w.after > 0:
		w.after--
		return true
	}
	w.struck = true
	switch w.loses {
	case loseMessage:
		w.cutLocked()
		return false
	case loseNothing:
		w.hangUp()
	}
	return true
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cutLocked()
}

func (w *wire) cutLocked() {
	w.down = true
	w.thawLocked()
	for c := range w.open {
		_ = c.Close()
	}
}

// arm makes something happen at the message after the next n.
func (w *wire) arm(n int, loses string, hangUp func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.after, w.loses, w.hangUp, w.armed, w.struck = n, loses, hangUp, true, false
}

// mend restores the wire and tells whether what was armed had happened.
func (w *wire) mend() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	struck := w.struck
	w.armed, w.struck, w.down = false, false, false
	return struck
}

// startBehindWire runs a server that has one connection to the database, through a wire.
func startBehindWire(t testing.TB) (*instance, *wire) {
	t.Helper()
	w, through := newWire(t, testdb.NewURL(t))
	return startWith(t, through, func(p *app.Process, _ *app.Options) {
		p.Config.DatabaseMaxConns, p.Config.DatabaseMinConns = 1, 1
	}, realmFile("one")), w
}

// everyMoment calls try with what happens at the first message of a request, then at the second, and so on until the
// request was over before. try returns whether it was struck.
func everyMoment(t *testing.T, try func(t *testing.T, n int, loses string) bool) {
	t.Helper()
	for _, loses := range []string{loseMessage, loseAnswer, loseNothing} {
		t.Run("loses "+loses, func(t *testing.T) {
			n := 0
			for try(t, n, loses) {
				n++
				require.Less(t, n, 50, "a request has an end")
			}
			require.Positive(t, n, "the request spoke to the database")
		})
	}
}

// attempt sends a request that may be hung up on; ok is false when there was no answer.
func attempt(t testing.TB, b *browser, w *wire, n int, loses, method, address string, form url.Values, headers ...string) (r response, ok bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.arm(n, loses, cancel)
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k := 0; k+1 < len(headers); k += 2 {
		req.Header.Set(headers[k], headers[k+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		require.Equal(t, loseNothing, loses, "%v", err)
		return response{}, false
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		require.Equal(t, loseNothing, loses, "%v", err)
		return response{}, false
	}
	return response{resp, string(body)}, true
}

// idle waits until the server has no request of ours in work, which may outlive the browser's interest.
func idle(t testing.TB, i *instance) {
	t.Helper()
	require.Eventually(t, func() bool {
		inUse, _, _, _ := i.DB.PoolStats()
		return inUse == 0
	}, 10*time.Second, time.Millisecond)
}

func TestOP09_AnExchangeThatIsCutOff(t *testing.T) {
	t.Parallel()
	i, w := startBehindWire(t)
	b := newBrowser(t)
	b.code(i, "one")
	spent, kept := 0, 0
	everyMoment(t, func(t *testing.T, n int, loses string) bool {
		code := b.code(i, "one")
		r, ok := attempt(t, newBrowser(t), w, n, loses, http.MethodPost, i.Issuer("one")+"/token", exchange(code), "Authorization", basic("web", webSecret))
		struck := w.mend()
		idle(t, i)
		switch {
		case ok && r.StatusCode == http.StatusOK:
			require.True(t, !struck || loses == loseNothing)
		case ok:
			require.Equal(t, http.StatusServiceUnavailable, r.StatusCode, r.Body)
			require.Contains(t, r.Body, `"error":"temporarily_unavailable"`)
			require.NotContains(t, r.Body, "_token\"")
			require.NotEmpty(t, r.Header.Get("Retry-After"))
		}
		used := one[bool](t, i, "one", `SELECT code_used_at IS NOT NULL FROM grants ORDER BY id DESC LIMIT 1`)
		require.Equal(t, used, one[bool](t, i, "one", `SELECT EXISTS (SELECT FROM events WHERE type = 'grant.exchanged'
			AND object = (SELECT id::text FROM grants ORDER BY id DESC LIMIT 1))`), "the row and its event are one")
		if !struck {
			return false
		}
		again := token(t, i, "one", exchange(code))
		if used {
			spent++
			requireRefused(t, again, http.StatusBadRequest, "invalid_grant")
		} else {
			kept++
			require.Equal(t, http.StatusOK, again.Status, "an unspent code still works: %+v", again)
		}
		return true
	})
	require.Positive(t, spent)
	require.Positive(t, kept)
}

func TestOP09_ALastStepThatIsCutOff(t *testing.T) {
	t.Parallel()
	i, w := startBehindWire(t)
	done, undone := 0, 0
	everyMoment(t, func(t *testing.T, n int, loses string) bool {
		b := newBrowser(t)
		page := b.authorize(i, "one", authorization())
		form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}}
		dispatcher := b.post(page.Request.URL.String(), form).Location().String()
		before := one[int](t, i, "one", `SELECT count(*) FROM sessions`)

		r, ok := attempt(t, b, w, n, loses, http.MethodGet, dispatcher, nil)
		struck := w.mend()
		idle(t, i)
		switch {
		case ok && r.StatusCode == http.StatusSeeOther && !r.Location().Query().Has("code"):
			requireErrorAtClient(t, i, "one", r, "temporarily_unavailable")
		case ok && r.StatusCode != http.StatusSeeOther:
			requirePage(t, r, http.StatusServiceUnavailable)
		}
		sessions := one[int](t, i, "one", `SELECT count(*) FROM sessions`)
		require.Equal(t, sessions, one[int](t, i, "one", `SELECT count(*) FROM grants`), "a session and its code come together")
		require.Equal(t, sessions, one[int](t, i, "one", `SELECT count(*) FROM flows WHERE completed_at IS NOT NULL`))
		require.Equal(t, sessions, one[int](t, i, "one", `SELECT count(*) FROM events WHERE type = 'session.started'`))
		if !struck {
			return false
		}
		if sessions > before {
			done++
			return true
		}
		undone++
		require.NotEmpty(t, b.follow(i, b.get(dispatcher)).Location().Query().Get("code"), "the same page works again")
		return true
	})
	require.Positive(t, done)
	require.Positive(t, undone)
}

func TestOP09_ALoginThatIsCutOff(t *testing.T) {
	t.Parallel()
	i, w := startBehindWire(t)
	proved := 0
	defer func() { require.Positive(t, proved) }()
	everyMoment(t, func(t *testing.T, n int, loses string) bool {
		b := newBrowser(t)
		page := b.authorize(i, "one", authorization())
		form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}}
		r, ok := attempt(t, b, w, n, loses, http.MethodPost, page.Request.URL.String(), form)
		struck := w.mend()
		idle(t, i)
		if ok && r.StatusCode != http.StatusSeeOther {
			requirePage(t, r, http.StatusServiceUnavailable)
			require.NotEmpty(t, r.Header.Get("Retry-After"))
			require.NotContains(t, r.Body, anaPassword)
		}
		tx := sha256.Sum256([]byte(page.Request.URL.Query().Get("tx")))
		if one[bool](t, i, "one", `SELECT user_id IS NOT NULL FROM flows WHERE tx_hash = $1`, tx[:]) && (!ok || r.StatusCode != http.StatusSeeOther) {
			proved++
			// The proof is bound to a cookie that the browser never got. It is told so, and begins again.
			requirePage(t, b.post(page.Request.URL.String(), form), http.StatusNotFound)
			page = b.authorize(i, "one", authorization())
			r = b.signIn(i, page, "ana", anaPassword)
		} else {
			r = b.follow(i, b.post(page.Request.URL.String(), form))
		}
		require.NotEmpty(t, r.Location().Query().Get("code"), "%s\n%s", r.Status, r.Body)
		return struck
	})
}

func TestOP09_AuthorizationsThatAreCutOff(t *testing.T) {
	t.Parallel()
	i, w := startBehindWire(t)
	signedIn := newBrowser(t)
	signedIn.code(i, "one")
	for name, who := range map[string]func() *browser{
		"with a session":    func() *browser { return signedIn },
		"without a session": func() *browser { return newBrowser(t) },
	} {
		t.Run(name, func(t *testing.T) {
			everyMoment(t, func(t *testing.T, n int, loses string) bool {
				b := who()
				r, ok := attempt(t, b, w, n, loses, http.MethodGet, i.Issuer("one")+"/authorize?"+authorization().Encode(), nil)
				struck := w.mend()
				idle(t, i)
				if ok && struck && loses != loseNothing {
					requireErrorAtClient(t, i, "one", r, "temporarily_unavailable")
				}
				r = b.authorize(i, "one", authorization())
				require.True(t, r.StatusCode == http.StatusOK || r.Location().Query().Has("code"), r.Body)
				return struck
			})
		})
	}
}

// TestTheDatabaseStops stops a real server of its own and starts it again.
func TestTheDatabaseStops(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "gatehouse-outage-") //nolint:usetesting // for root t.TempDir is closed to the account that runs PostgreSQL
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	run := func() *devpg.Server {
		s, err := devpg.Start(t.Context(), devpg.Options{Dir: dir, Ephemeral: true})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Stop()) })
		return s
	}
	database := run()
	address := database.URL(devpg.Database)
	_, err = app.MigrateUp(t.Context(), process(t, address, &logs{}))
	require.NoError(t, err)
	i := startOn(t, address, realmFile("one"))
	b, atLogin := newBrowser(t), newBrowser(t)
	live := token(t, i, "one", exchange(b.code(i, "one")))
	code := b.code(i, "one")
	page := atLogin.authorize(i, "one", authorization())
	form := url.Values{"csrf": {hidden(t, page.Body, "csrf")}, "username": {"ana"}, "password": {anaPassword}}
	info, _ := userinfo(t, i, "one", live.AccessToken)
	require.Equal(t, http.StatusOK, info.StatusCode)
	keySet(t, i, "one")

	require.NoError(t, database.Stop())
	requireRefused(t, token(t, i, "one", exchange(code)), http.StatusServiceUnavailable, "temporarily_unavailable")
	info, _ = userinfo(t, i, "one", live.AccessToken)
	require.Equal(t, http.StatusServiceUnavailable, info.StatusCode, "it is not said to be invalid")
	require.Empty(t, info.Header.Get("WWW-Authenticate"))
	requirePage(t, atLogin.get(page.Request.URL.String()), http.StatusServiceUnavailable)
	requirePage(t, atLogin.post(page.Request.URL.String(), form), http.StatusServiceUnavailable)
	requireErrorAtClient(t, i, "one", b.authorize(i, "one", authorization()), "temporarily_unavailable")
	requirePage(t, b.endSession(i, "one", url.Values{"id_token_hint": {live.IDToken}}), http.StatusServiceUnavailable)
	require.Equal(t, http.StatusOK, b.get(i.Issuer("one")+discovery).StatusCode)
	keySet(t, i, "one")

	i.Clock.Advance(time.Second) // what was cached is not believed any more
	for _, path := range []string{"/authorize?" + authorization().Encode(), "/token", "/userinfo", "/jwks", discovery} {
		r := b.getWith(i.Issuer("one")+path, "Accept", "text/html")
		if path == "/token" {
			r = newBrowser(t).post(i.Issuer("one")+path, exchange(code), "Authorization", basic("web", webSecret))
		}
		require.Equal(t, http.StatusServiceUnavailable, r.StatusCode, "%s\n%s", path, r.Body)
		require.NotEmpty(t, r.Header.Get("Retry-After"), path)
		require.Empty(t, r.Header.Get("Location"), path)
	}
	for _, path := range []string{"/token", "/introspect", "/revoke", "/userinfo"} {
		r := newBrowser(t).post(i.Issuer("one")+path, exchange(code, "token", live.AccessToken), "Authorization", basic("web", webSecret), "Accept", "text/html")
		requireRefusal(t, r, http.StatusServiceUnavailable, "temporarily_unavailable")
		require.NotEmpty(t, r.Header.Get("Retry-After"), path)
	}

	require.Equal(t, address, run().URL(devpg.Database))
	require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status, "the code was never spent")
	info, _ = userinfo(t, i, "one", live.AccessToken)
	require.Equal(t, http.StatusOK, info.StatusCode)
	require.NotEmpty(t, b.code(i, "one"), "the session lives")
	back := atLogin.follow(i, atLogin.post(page.Request.URL.String(), form))
	require.NotEmpty(t, back.Location().Query().Get("code"), "so does the form: %s\n%s", back.Status, back.Body)
	require.Empty(t, eventData(t, i, "one", "grant.code_refused"))
	require.Empty(t, eventData(t, i, "one", "session.ended"))
}

func TestADeadPoolIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	w, through := newWire(t, testdb.NewURL(t))
	i := startWith(t, through, func(*app.Process, *app.Options) {}, realmFile("one"))
	b := newBrowser(t)
	for range 3 {
		code, r := b.code(i, "one"), i.Realm(t, "one")
		var begun sync.WaitGroup
		begun.Add(5)
		var all errgroup.Group
		for range 5 {
			all.Go(func() error {
				return r.InTx(t.Context(), func(tx realm.Tx) error {
					_, err := tx.Exec(t.Context(), "SELECT 1")
					begun.Done()
					begun.Wait()
					return err
				})
			})
		}
		require.NoError(t, all.Wait())
		_, open, _, _ := i.DB.PoolStats()
		require.Greater(t, open, int32(2))
		w.cut()
		w.mend()
		require.Equal(t, http.StatusOK, token(t, i, "one", exchange(code)).Status, "the first request after a failover")
	}
}
