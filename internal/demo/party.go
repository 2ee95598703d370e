package demo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Options of a RelyingParty. All but HTTPClient and Outbox are needed.
type Options struct {
	Issuer, ClientID, ClientSecret string
	// BaseURL is where the application is served: an origin on a loopback address.
	BaseURL string
	Now     func() time.Time
	// Outbox is where the mails of the issuer can be read; "" when a mail server has them.
	Outbox string
	// Random makes states, nonces, verifiers and cookies.
	Random io.Reader
	// HTTPClient calls the issuer; by default one that gives up after ten seconds.
	HTTPClient *http.Client
	Log        *slog.Logger
}

const (
	loginLife   = 15 * time.Minute
	sessionLife = time.Hour
	maxKept     = 1000
	patience    = 10 * time.Second

	browserCookie = "gatehouse_demo_browser"
	sessionCookie = "gatehouse_demo_session"
)

// RelyingParty is the demo application, an http.Handler. It asks the issuer for its metadata at the first request that
// needs them, so that the two may start in any order.
type RelyingParty struct {
	o        Options
	host     string
	headers  map[string]string
	handler  http.Handler
	views    *template.Template
	attempts *memory[attempt]
	sessions *memory[session]
	goodbyes *memory[struct{}] // states of sign-outs that are under way

	mu       sync.Mutex
	provider *provider
}

// attempt is a sign-in that is under way, by its state.
type attempt struct{ browser, nonce, verifier string }

// session is somebody who is signed in.
type session struct{ result result }

// provider is the issuer as its metadata describe it.
type provider struct {
	*oidc.Provider
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	metadata struct {
		EndSession string `json:"end_session_endpoint"`
		SendsIss   bool   `json:"authorization_response_iss_parameter_supported"`
	}
}

// NewRelyingParty makes the application. A BaseURL that other machines could reach is refused.
func NewRelyingParty(o Options) (*RelyingParty, error) {
	base, err := url.Parse(o.BaseURL)
	if err != nil || base.Scheme != "http" || base.Host == "" || base.Path != "" || base.RawQuery != "" || base.User != nil {
		return nil, fmt.Errorf("demo: %q is not an origin such as %s", o.BaseURL, BaseURL)
	}
	if !loopback(base.Hostname()) {
		return nil, fmt.Errorf("demo: %q can be reached from other machines; the demo application shows tokens and lives on a loopback address only", o.BaseURL)
	}
	issuer, err := url.Parse(o.Issuer)
	if err != nil || issuer.Host == "" {
		return nil, fmt.Errorf("demo: %q is not an issuer", o.Issuer)
	}
	if o.ClientID == "" || o.ClientSecret == "" || o.Now == nil || o.Random == nil || o.Log == nil {
		return nil, errors.New("demo: ClientID, ClientSecret, Now, Random and Log are needed")
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Timeout: patience}
	}
	p := &RelyingParty{
		o: o, host: base.Host,
		attempts: newMemory[attempt](o.Now, loginLife, maxKept),
		sessions: newMemory[session](o.Now, sessionLife, maxKept),
		goodbyes: newMemory[struct{}](o.Now, loginLife, maxKept),
		headers: map[string]string{
			// Forms post here and are sent on to the issuer, which form-action covers as well.
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; " +
				"form-action 'self' " + issuer.Scheme + "://" + issuer.Host,
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		},
	}
	if p.views, err = parseViews(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("POST /login", p.login)
	mux.HandleFunc("GET "+callbackPath, p.callback)
	mux.HandleFunc("POST /logout", p.logout)
	mux.HandleFunc("GET /demo.css", p.asset("demo.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /demo.svg", p.asset("demo.svg", "image/svg+xml"))
	p.handler = http.NewCrossOriginProtection().Handler(mux)
	return p, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// ServeHTTP implements http.Handler.
func (p *RelyingParty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range p.headers {
		w.Header().Set(name, value)
	}
	if r.Host != p.host {
		p.elsewhere(w, r)
		return
	}
	p.handler.ServeHTTP(w, r)
}

// elsewhere answers requests under another name. Cookies belong to one name, so people are sent to the right one; a
// name that is none of this machine's is an attempt to reach it from a page elsewhere (DNS rebinding).
func (p *RelyingParty) elsewhere(w http.ResponseWriter, r *http.Request) {
	name := r.Host
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		name = host
	}
	if !loopback(strings.Trim(name, "[]")) || r.Method != http.MethodGet {
		http.Error(w, "The demo application is served at "+p.o.BaseURL+"/ only.", http.StatusMisdirectedRequest)
		return
	}
	http.Redirect(w, r, p.o.BaseURL+"/", http.StatusSeeOther)
}

// discover returns the issuer's metadata, asking for them when nobody has yet.
func (p *RelyingParty) discover(ctx context.Context) (*provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.provider != nil {
		return p.provider, nil
	}
	found, err := oidc.NewProvider(p.client(ctx), p.o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("read the metadata of %s: %w", p.o.Issuer, err)
	}
	known := &provider{Provider: found}
	if err := found.Claims(&known.metadata); err != nil {
		return nil, fmt.Errorf("read the metadata of %s: %w", p.o.Issuer, err)
	}
	endpoint := found.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // what the application is registered with; guessing would try both
	known.oauth = oauth2.Config{
		ClientID: p.o.ClientID, ClientSecret: p.o.ClientSecret, Endpoint: endpoint,
		RedirectURL: p.o.BaseURL + callbackPath, Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
	// The accepted algorithms are those of id_token_signing_alg_values_supported.
	known.verifier = found.VerifierContext(p.client(context.WithoutCancel(ctx)), &oidc.Config{ClientID: p.o.ClientID, Now: p.o.Now})
	p.provider = known
	return known, nil
}

// client is ctx with the HTTP client that both libraries look for there.
func (p *RelyingParty) client(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.o.HTTPClient)
}

// token makes 256 random bits in base64url: also the form of a PKCE verifier (RFC 7636 §4.1).
func (p *RelyingParty) token() (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(p.o.Random, b[:]); err != nil {
		return "", fmt.Errorf("make a random value: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

func (p *RelyingParty) tokens(into ...*string) error {
	for _, t := range into {
		var err error
		if *t, err = p.token(); err != nil {
			return err
		}
	}
	return nil
}

func setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	//nolint:gosec // G124: http on loopback, which browsers send no Secure cookie to
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}
