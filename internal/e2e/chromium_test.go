package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// step is a thing to do in a browser.
type step = chromedp.Action[chromedp.Void]

// chrome is a running Chromium.
type chrome struct{ ctx context.Context } //nolint:containedctx // chromedp's handle of a browser is a context

// chromium starts one Chromium; tabs with cookies of their own are opened in it.
func chromium(t *testing.T) chrome {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("These tests drive Chromium, and there is none here: run `make deps`, which installs it.")
	}
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.IgnoreCertErrors,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true)) // containers give it little, or none
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx))
	return chrome{ctx}
}

// tab is a tab with cookies of its own, which remembers what its pages did against their policy or could not do.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string
	posts    []string
	// last is the address of the last page asked for, gaveUp tells that no page came of it.
	last   string
	gaveUp bool
}

func openTab(t *testing.T, browser chrome, scripts bool) *tab {
	t.Helper()
	tb := &tab{t: t}
	ctx, cancel := chromedp.NewContext(browser.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(tb.hear))
	t.Cleanup(cancel)
	tb.ctx = ctx
	require.NoError(t, chromedp.Do(ctx))
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	tb.ctx = limited
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
	require.NoError(t, err)
	return tb
}

// beside opens another tab of the same browser, with its cookies.
func (tb *tab) beside() *tab {
	tb.t.Helper()
	other := &tab{t: tb.t}
	ctx, cancel := chromedp.NewContext(tb.ctx, chromedp.WithListener(other.hear))
	tb.t.Cleanup(cancel)
	other.ctx = ctx
	require.NoError(tb.t, chromedp.Do(ctx))
	return other
}

// hear runs for every event of the tab.
func (tb *tab) hear(ev any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch ev := ev.(type) {
	case *cdplog.EventEntryAdded:
		if ev.Entry.Level == cdplog.EntryLevelError || ev.Entry.Level == cdplog.EntryLevelWarning {
			tb.problems = append(tb.problems, fmt.Sprintf("%s: %s", ev.Entry.Source, ev.Entry.Text))
		}
	case *network.EventRequestWillBeSent:
		if ev.Type == network.ResourceTypeDocument {
			tb.last, tb.gaveUp = ev.Request.URL, false
		}
		if ev.Request.Method == http.MethodPost && ev.RedirectResponse == nil {
			tb.posts = append(tb.posts, ev.Request.URL)
		}
	case *network.EventLoadingFailed:
		if ev.Type == network.ResourceTypeDocument {
			tb.gaveUp = true
		}
	}
}

// violations are what the browser said about policies, scripts and other things that went wrong. Answers of ours that
// are meant to be errors are not, nor that our script was faster than autofocus.
func (tb *tab) violations() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(tb.problems), func(p string) bool {
		return strings.HasPrefix(p, "network: Failed to load resource: the server responded with a status of 4") ||
			strings.HasPrefix(p, "rendering: Autofocus processing was blocked")
	})
}

func (tb *tab) do(steps ...step) {
	tb.t.Helper()
	require.NoError(tb.t, chromedp.Do(tb.ctx, steps...), "at %s\n%v", tb.where(), tb.problems)
}

func (tb *tab) where() string {
	at, _ := chromedp.Run(tb.ctx, chromedp.Location())
	return at
}

// stuck waits until the browser gives up a page, and returns the last address that it asked for: the one that it could
// not open, or the one whose redirect the policy did not let it follow.
func (tb *tab) stuck() (address string) {
	tb.t.Helper()
	require.Eventually(tb.t, func() bool {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		address = tb.last
		return tb.gaveUp
	}, 10*time.Second, 10*time.Millisecond)
	return address
}

// is requires a JavaScript expression to be true; it works with scripts switched off too.
func (tb *tab) is(expression string) {
	tb.t.Helper()
	got, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool](expression))
	require.NoError(tb.t, err, expression)
	require.True(tb.t, got, "%s at %s", expression, tb.where())
}

// fillIn types name and password into the login page and presses the button.
func (tb *tab) fillIn(name, password string) {
	tb.t.Helper()
	tb.do(chromedp.WaitVisible("#username"), chromedp.SendKeys("#username", name), chromedp.SendKeys("#password", password),
		chromedp.Click("main button[type=submit]"))
}

// shop is an application on an origin of its own. It remembers how its callback was called; what it answers is up to
// the test.
type shop struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string
}

func newShop(t *testing.T, address string, answer http.HandlerFunc) *shop {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	s := &shop{}
	mux := http.NewServeMux()
	mux.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls = append(s.calls, fmt.Sprintf("%s state=%s code=%t", r.Method, r.FormValue("state"), r.FormValue("code") != ""))
		s.mu.Unlock()
		answer(w, r)
	})
	mux.HandleFunc("/favicon.ico", func(http.ResponseWriter, *http.Request) {})
	s.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *shop) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func arrived(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte(`<!doctype html><title>shop</title><link rel=icon href="data:,"><p id="arrived">Welcome</p>`))
}

// ask is the address of an authorization request that answers to a shop.
func (s *shop) ask(i *instance, change ...string) string {
	return i.Issuer("one") + "/authorize?" + authorization(append([]string{"redirect_uri", s.URL + "/callback"}, change...)...).Encode()
}

// withShops registers shops with the application "web".
func withShops(shops ...*shop) string {
	var uris []string
	for _, s := range shops {
		uris = append(uris, `"`+s.URL+`/callback"`)
	}
	return strings.Replace(realmFile("one"), `redirect_uris: ["`+callback+`", `, `redirect_uris: [`+strings.Join(uris, ", ")+`, `, 1)
}

// TestChromium drives a real browser, one for all its parts.
func TestChromium(t *testing.T) {
	t.Parallel()
	browser := chromium(t)
	for name, part := range map[string]func(*testing.T, chrome){
		"sign_in":   chromiumSignsIn,
		"form_post": chromiumPostsTheAnswer,
		"WB03_the_application_may_redirect_further":   chromiumGoesFurther,
		"WB03_a_native_application_is_opened":         chromiumOpensAnApp,
		"WB03_the_policy_holds_elsewhere":             chromiumIsHeldBack,
		"the_password_is_shown_and_sent_once":         chromiumShowsThePassword,
		"pages_fit_a_phone_and_break_no_policy":       chromiumOnAPhone,
		"SS06_another_browser_cannot_go_on":           chromiumElsewhere,
		"the_back_button_leads_to_the_application":    chromiumGoesBack,
		"a_person_who_is_signed_in_passes_by_at_once": chromiumComesAgain,
		"mails_are_read_in_the_outbox":                chromiumReadsMail,
		"WB01_a_form_of_before_a_sign_in_comes_again": chromiumGoesOnInAnotherTab,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t, browser)
		})
	}
}

var bothWays = map[string]bool{"with_scripts": true, "without_scripts": false}

func chromiumSignsIn(t *testing.T, browser chrome) {
	shop := newShop(t, "127.0.0.1:0", arrived)
	i := start(t, withShops(shop))
	for name, scripts := range bothWays {
		t.Run(name, func(t *testing.T) {
			tb := openTab(t, browser, scripts)
			tb.do(chromedp.Navigate(shop.ask(i, "state", name)))
			tb.fillIn("ana", "wrong")
			tb.do(chromedp.WaitVisible("#problems"))
			tb.is(`document.querySelector("#username").value === "ana" && document.querySelector("#password").value === ""`)
			tb.is(`document.activeElement.id === "problems"`)
			tb.do(chromedp.SendKeys("#password", anaPassword), chromedp.Click("main button[type=submit]"), chromedp.WaitVisible("#arrived"))
			require.Contains(t, shop.called(), "GET state="+name+" code=true")
			require.Empty(t, tb.violations())
		})
	}
}

func chromiumPostsTheAnswer(t *testing.T, browser chrome) {
	shop := newShop(t, "127.0.0.1:0", arrived)
	i := start(t, withShops(shop))
	for name, scripts := range bothWays {
		t.Run(name, func(t *testing.T) {
			tb := openTab(t, browser, scripts)
			tb.do(chromedp.Navigate(shop.ask(i, "response_mode", "form_post", "state", name)))
			tb.fillIn("ana", anaPassword)
			if !scripts {
				tb.do(chromedp.WaitVisible(`input[name=code] ~ button`))
				require.NotContains(t, shop.called(), "POST state="+name+" code=true")
				tb.do(chromedp.Click("main button[type=submit]"))
			}
			tb.do(chromedp.WaitVisible("#arrived"))
			require.Contains(t, shop.called(), "POST state="+name+" code=true")
			require.Empty(t, tb.violations())
		})
	}
}

// A browser holds every redirect that follows a form against the form's policy, those of the application included.
func chromiumGoesFurther(t *testing.T, browser chrome) {
	second := httptest.NewTLSServer(http.HandlerFunc(arrived))
	t.Cleanup(second.Close)
	first := newShop(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, second.URL+"/welcome", http.StatusFound)
	})
	i := start(t, withShops(first))
	for name, scripts := range bothWays {
		tb := openTab(t, browser, scripts)
		tb.do(chromedp.Navigate(first.ask(i, "state", name)))
		tb.fillIn("ana", anaPassword)
		tb.do(chromedp.WaitVisible("#arrived"))
		require.Equal(t, second.URL+"/welcome", tb.where())
		require.Contains(t, first.called(), "GET state="+name+" code=true")
		require.Empty(t, tb.violations())
	}
}

// No program here answers to the native application's scheme, so the browser gives up, but not because of the policy.
func chromiumOpensAnApp(t *testing.T, browser chrome) {
	i := start(t, realmFile("one"))
	tb := openTab(t, browser, true)
	q := authorization("client_id", "native", "redirect_uri", "com.example.app:/cb", "scope", "openid")
	tb.do(chromedp.Navigate(i.Issuer("one") + "/authorize?" + q.Encode()))
	tb.fillIn("ana", anaPassword)
	require.Contains(t, tb.stuck(), "com.example.app:/cb?code=")
	require.Empty(t, tb.violations())
}

// The other side of it: a loopback origin that is not the request's is not admitted, and the browser says so.
func chromiumIsHeldBack(t *testing.T, browser chrome) {
	stranger := newShop(t, "127.0.0.2:0", arrived)
	first := newShop(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, stranger.URL+"/callback", http.StatusFound)
	})
	i := start(t, withShops(first))
	tb := openTab(t, browser, true)
	tb.do(chromedp.Navigate(first.ask(i)))
	tb.fillIn("ana", anaPassword)
	require.NotContains(t, tb.stuck(), stranger.URL)
	require.Eventually(t, func() bool { return len(tb.violations()) > 0 }, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, tb.violations()[0], "form-action")
	require.Empty(t, stranger.called())
}

func chromiumShowsThePassword(t *testing.T, browser chrome) {
	shop := newShop(t, "127.0.0.1:0", arrived)
	i := start(t, withShops(shop))
	tb := openTab(t, browser, true)
	tb.do(chromedp.Navigate(shop.ask(i)), chromedp.WaitVisible(".reveal"))
	tb.is(`document.activeElement.id === "username"`)
	tb.do(chromedp.SendKeys("#username", "ana"), chromedp.SendKeys("#password", anaPassword), chromedp.Click(".reveal"))
	tb.is(`document.querySelector("#password").type === "text"`)
	tb.do(chromedp.Click(".reveal"))
	tb.is(`document.querySelector("#password").type === "password"`)
	// Both clicks happen before the browser leaves the page.
	_, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool](
		`(document.querySelector("button.primary").click(), document.querySelector("button.primary").click(), true)`))
	require.NoError(t, err)
	tb.do(chromedp.WaitVisible("#arrived"))
	tb.mu.Lock()
	defer tb.mu.Unlock()
	require.Len(t, tb.posts, 1)
	require.Len(t, shop.called(), 1)
}

func chromiumOnAPhone(t *testing.T, browser chrome) {
	shop := newShop(t, "127.0.0.1:0", arrived)
	i := start(t, withShops(shop))
	for _, language := range []string{"en", "pt-BR", "es"} {
		t.Run(language, func(t *testing.T) {
			tb := openTab(t, browser, true)
			tb.do(chromedp.EmulateViewport(320, 640))
			fits := func(what string) {
				t.Helper()
				tb.do(chromedp.WaitVisible("main h1"))
				tb.is(`document.documentElement.lang === "` + language + `"`)
				tb.is(`document.scrollingElement.scrollWidth <= innerWidth && innerWidth === 320`)
				require.Empty(t, tb.violations(), what)
			}
			speak := func(address string) string { return address + "&ui_locales=" + language }
			tb.do(chromedp.Navigate(shop.ask(i, "ui_locales", language)))
			fits("login")
			tb.fillIn(strings.Repeat("a-very-long-name-without-a-space", 4), "wrong")
			tb.do(chromedp.WaitVisible("#problems"))
			fits("wrong password")
			tb.do(chromedp.Navigate(speak(i.Issuer("one") + "/authorize?" + authorization("redirect_uri", "https://evil.example/"+strings.Repeat("x", 200)).Encode())))
			fits("error")
			tb.do(chromedp.Navigate(speak(i.Issuer("one") + "/login?tx=AAAA")))
			fits("gone")
			tb.do(chromedp.Navigate(shop.ask(i, "ui_locales", language)))
			tb.fillIn("ana", anaPassword)
			tb.do(chromedp.WaitVisible("#arrived"), chromedp.Navigate(speak(i.Issuer("one")+"/end_session?client_id=web")))
			fits("logout")
			tb.do(chromedp.Click("main button[type=submit]"), chromedp.WaitNotPresent("main form"))
			fits("signed out")
		})
	}
}

func chromiumElsewhere(t *testing.T, browser chrome) {
	shop := newShop(t, "127.0.0.1:0", arrived)
	i := start(t, withShops(shop))
	own, other := openTab(t, browser, true), openTab(t, browser, true)
	own.do(chromedp.Navigate(shop.ask(i)), chromedp.WaitVisible("#username"))
	other.do(chromedp.Navigate(own.where()), chromedp.WaitVisible("main h1"))
	other.is(`document.querySelector("#username") === null && document.querySelector("main").innerText.includes("flow_unknown")`)
	own.fillIn("ana", anaPassword)
	own.do(chromedp.WaitVisible("#arrived"))
}

func chromiumGoesBack(t *testing.T, browser chrome) {
	shop := newShop(t, "127.0.0.1:0", arrived)
	i := start(t, withShops(shop))
	tb := openTab(t, browser, true)
	tb.do(chromedp.Navigate(shop.ask(i)))
	tb.fillIn("ana", anaPassword)
	tb.do(chromedp.WaitVisible("#arrived"))
	tb.do(chromedp.NavigateBack())
	tb.do(chromedp.WaitVisible("#arrived"))
	require.Empty(t, tb.violations())
}

func chromiumComesAgain(t *testing.T, browser chrome) {
	shop := newShop(t, "127.0.0.1:0", arrived)
	i := start(t, withShops(shop))
	tb := openTab(t, browser, true)
	tb.do(chromedp.Navigate(shop.ask(i)))
	tb.fillIn("ana", anaPassword)
	tb.do(chromedp.WaitVisible("#arrived"), chromedp.Navigate(shop.ask(i, "state", "again")), chromedp.WaitVisible("#arrived"))
	require.Equal(t, []string{"GET state=state-1 code=true", "GET state=again code=true"}, shop.called())
}
