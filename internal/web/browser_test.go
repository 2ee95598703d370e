package web_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// browser opens a tab in a fresh headless Chromium.
func browser(t *testing.T, scripts bool) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	require.NotEmpty(t, path, "there is no Chromium here; make test installs it")
	allocator, cancel := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-dev-shm-usage", true))
	t.Cleanup(cancel)
	timed, cancel := context.WithTimeout(allocator, time.Minute)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(timed)
	t.Cleanup(cancel)
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
	require.NoError(t, err)
	return ctx
}

// application is a relying party on an origin of its own that counts its callbacks.
type application struct {
	*httptest.Server
	callbacks atomic.Int32
	last      atomic.Value // string: "GET code", "POST code"
}

func newApplication(t *testing.T, address string) *application {
	t.Helper()
	a := &application{}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Skip("no such loopback address here: ", err)
	}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/cb" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		a.last.Store(r.Method + " " + r.FormValue("code"))
		a.callbacks.Add(1)
		_, _ = w.Write([]byte(`<!doctype html><p id="arrived">arrived</p>`))
	}))
	a.Listener = listener
	a.Start()
	t.Cleanup(a.Close)
	return a
}

// setupBrowser is setup with the realm, whose issuer is where the server really is.
func setupBrowser(t *testing.T) (*bundle, realm.Realm) {
	t.Helper()
	b := setup(t, func(o *web.Options) { o.PublicURL = plainOrigin })
	r := realmAt(t, b.server.URL, realm.New{Slug: "demo", Name: "Demo"})
	b.echo.GET("/realms/demo/assets/:file", b.Asset)
	return b, r
}

func TestWB13_FormPostReachesTheApplication(t *testing.T) {
	t.Parallel()
	for name, scripts := range map[string]bool{"by_itself": true, "by_the_button_without_scripts": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := browser(t, scripts)
			app := newApplication(t, "127.0.0.1:0")
			b, r := setupBrowser(t)
			b.echo.GET("/formpost", func(c *echo.Context) error {
				return b.Page(c, r, web.Page{
					Template: "formpost", Title: web.Message{Key: "formpost.title", Params: map[string]any{"app": "Notes"}},
					FormAction: web.FormAction(app.URL + "/cb"),
					Data:       web.FormPost{URL: app.URL + "/cb", Hidden: []web.Hidden{{Name: "code", Value: `a"<b>`}}},
				})
			}, b.Pages)
			require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(b.server.URL+"/formpost")))
			if !scripts {
				require.Zero(t, app.callbacks.Load())
				require.NoError(t, chromedp.Do(ctx, chromedp.Click("button.primary")))
			}
			require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible("#arrived")))
			require.Equal(t, `POST a"<b>`, app.last.Load())
		})
	}
}

// The trap: a browser applies form-action to each redirect after the form, so a policy that names only this origin
// ends the sign-in on a dead page.
func TestWB03_SignInReachesTheApplicationUnderItsPolicy(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"ipv4": "127.0.0.1:0", "ipv6": "[::1]:0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := browser(t, true)
			app := newApplication(t, address)
			b, r := setupBrowser(t)
			var posts atomic.Int32
			page := func(admitted []string) echo.HandlerFunc {
				return func(c *echo.Context) error {
					token, err := b.FormToken(r, "login")
					if err != nil {
						return err
					}
					return b.Page(c, r, web.Page{
						Template: "login", Title: web.Message{Key: "login.title_plain"}, Token: token,
						Data: web.Login{OfferRemember: true}, FormAction: admitted,
					})
				}
			}
			submit := func(c *echo.Context) error {
				if err := web.CheckForm(c, r, "login"); err != nil {
					return err
				}
				posts.Add(1)
				return c.Redirect(http.StatusSeeOther, "/resume")
			}
			b.echo.GET("/login", page(web.FormAction(app.URL+"/cb")), b.Pages)
			b.echo.POST("/login", submit, b.Pages)
			b.echo.GET("/trap", page(nil), b.Pages)
			b.echo.POST("/trap", submit, b.Pages)
			b.echo.GET("/resume", func(c *echo.Context) error {
				return c.Redirect(http.StatusSeeOther, app.URL+"/cb?code=1")
			}, b.Pages)
			fill := []chromedp.Action[chromedp.Void]{
				chromedp.SendKeys("#username", "ana"), chromedp.SendKeys("#password", "s3cret"),
				chromedp.Click("button.primary"),
			}

			require.NoError(t, chromedp.Do(ctx, append([]chromedp.Action[chromedp.Void]{chromedp.Navigate(b.server.URL + "/trap")}, fill...)...))
			require.Eventually(t, func() bool { return posts.Load() == 1 }, 10*time.Second, 10*time.Millisecond)
			// Until the browser has given up on the blocked redirect, it aborts what is opened meanwhile.
			require.Eventually(t, func() bool {
				return chromedp.Do(ctx, chromedp.Navigate(b.server.URL+"/login")) == nil
			}, 10*time.Second, 100*time.Millisecond)
			require.NoError(t, chromedp.Do(ctx, fill...))
			require.NoError(t, chromedp.Do(ctx, chromedp.WaitVisible("#arrived")))
			require.EqualValues(t, 1, app.callbacks.Load(), "the policy of the trap must have stopped it, else this proves nothing")
			require.EqualValues(t, 2, posts.Load())
		})
	}
}

func TestModule(t *testing.T) {
	t.Parallel()
	ctx := browser(t, true)
	b, r := setupBrowser(t)
	mountPages(t, b, r)
	var posts atomic.Int32
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release) // else a failure would wait for the held answer forever
	b.echo.GET("/once", func(c *echo.Context) error { return b.Page(c, r, samplePages()["login"]) }, b.Pages)
	b.echo.POST("/once", func(c *echo.Context) error {
		posts.Add(1)
		<-held
		return c.NoContent(http.StatusNoContent)
	}, b.Pages)
	is := func(expression string) {
		t.Helper()
		got, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		require.NoError(t, err)
		require.True(t, got, expression)
	}

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(b.server.URL+"/login"), chromedp.WaitVisible(".reveal")))
	is(`document.activeElement.id === "username"`)
	is(`document.querySelector(".reveal").getAttribute("aria-label") === "Show password"`)
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(".reveal")))
	is(`document.querySelector("#password").type === "text"`)
	is(`document.querySelector(".reveal").getAttribute("aria-pressed") === "true"`)
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(".reveal")))
	is(`document.querySelector("#password").type === "password"`)

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(b.server.URL+"/login-fields"), chromedp.WaitVisible(".reveal")))
	is(`document.activeElement.id === "problems"`)

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(b.server.URL+"/once"), chromedp.WaitVisible(".reveal"),
		chromedp.SendKeys("#username", "ana"), chromedp.SendKeys("#password", "s3cret")))
	// In one expression: while the form is on its way, Chromium may let the next one wait for the answer.
	is(`(b => (b.click(), b.click(), b.getAttribute("aria-busy") === "true"))(document.querySelector("button.primary"))`)
	release()
	require.Eventually(t, func() bool { return posts.Load() > 0 }, 10*time.Second, 10*time.Millisecond)
	require.EqualValues(t, 1, posts.Load())
}
