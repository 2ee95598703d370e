package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// spa is an application that runs in the browser on oidc-client-ts, served from an origin of its own.
type spa struct {
	*tab
	url string
}

// newSPA starts the application, a realm that knows it and a browser.
func newSPA(t *testing.T) *spa {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	origin := "http://" + listener.Addr().String()
	i := start(t, `
realm: parties
settings: {lifetimes: {access_token: 30s}}
applications:
  - client_id: spa
    application_type: browser
    consent: never
    grant_types: [authorization_code, refresh_token]
    redirect_uris: ["`+origin+`/callback", "`+origin+`/popup"]
    post_logout_redirect_uris: ["`+origin+`/goodbye"]
    origins: ["`+origin+`"]
`+personOfParties)
	settings, err := json.Marshal(map[string]any{
		"authority": i.Issuer("parties"), "client_id": "spa",
		// The access token lives for 30 s, so that the library renews it as soon as it has it.
		"accessTokenExpiringNotificationTimeInSeconds": 29,
	})
	require.NoError(t, err)
	library := filepath.Join(libraries(t), "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(libraryFolder, "oidc-client-ts.html"))
	})
	mux.HandleFunc("GET /oidc-client-ts.min.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, library) })
	mux.HandleFunc("GET /settings.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(settings)
	})
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}}
	server.Start()
	t.Cleanup(server.Close)
	return &spa{openTab(t, chromium(t), true), origin}
}

// eventually waits until an expression holds, whatever pages come and go, and fails with the library's complaint.
func (s *spa) eventually(expression string) {
	s.t.Helper()
	var complaints []string
	require.Eventually(s.t, func() bool {
		holds, err := chromedp.Run(s.ctx, chromedp.Evaluate[bool]("window.seen !== undefined && ("+expression+" || seen.errors.length > 0)"))
		if err != nil || !holds {
			return false
		}
		complaints, err = chromedp.Run(s.ctx, chromedp.Evaluate[[]string]("seen.errors"))
		return err == nil
	}, 15*time.Second, 50*time.Millisecond, expression)
	require.Empty(s.t, complaints, "%s: the library failed", expression)
}

// press clicks a button as a person would. A click by the mouse has no answer while the tab is behind its popup.
func (s *spa) press(button string) {
	s.t.Helper()
	byHand := func(p *runtime.EvaluateParams) { p.UserGesture = new(true) }
	_, err := chromedp.Run(s.ctx, chromedp.Evaluate[bool](`setTimeout(() => document.querySelector("`+button+`").click()) > 0`, byHand))
	require.NoError(s.t, err)
}

func TestRelyingPartyInTheBrowser(t *testing.T) {
	t.Parallel()
	s := newSPA(t)
	ready := chromedp.WaitReady("body[data-ready]")
	s.do(chromedp.Navigate(s.url+"/"), ready)

	opened := chromedp.WaitNewTarget(s.ctx, func(info *target.Info) bool { return info.URL != "" })
	s.press("#popup")
	ctx, cancel := chromedp.NewContext(s.ctx, chromedp.WithTargetID(<-opened))
	defer cancel()
	popup := &spa{tab: &tab{t: t, ctx: ctx}}
	popup.do(chromedp.WaitVisible("#username"), chromedp.SendKeys("#username", "ana"), chromedp.SendKeys("#password", anaPassword))
	popup.press("main button[type=submit]")
	s.eventually(`seen.name === "Ana Silva"`)
	t.Log("checked popup sign-in; token and userinfo across origins")

	s.eventually(`new Set(seen.tokens).size >= 3`)
	t.Log("checked silent renewal by refresh token")

	s.press("#leave")
	s.eventually(`location.pathname === "/goodbye" && seen.left`)
	t.Log("checked sign-out by redirect")

	s.do(chromedp.Navigate(s.url+"/"), ready)
	s.press("#redirect")
	s.fillIn("ana", anaPassword)
	s.eventually(`location.pathname === "/callback" && seen.name === "Ana Silva"`)
	t.Log("checked sign-in by redirect")
}
