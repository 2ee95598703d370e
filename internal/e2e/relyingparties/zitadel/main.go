// Command zitadel is a relying party on github.com/zitadel/oidc. It has a module of its own, so that nothing of it
// enters the product's graph; relyingparties_test.go builds it, runs it and counts what it checked.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/client/rp"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// task is what the test hands over.
type task struct {
	Issuer   string `json:"issuer"`
	Username string `json:"username"`
	Password string `json:"password"`
	// Listener is the origin of the listening socket that this process was given as file descriptor 3.
	Listener string `json:"listener"`
	Zitadel  struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	} `json:"zitadel"`
	Guard    guard `json:"guard"`
	KeyGuard guard `json:"keyguard"`
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	var t task
	if err := json.Unmarshal([]byte(os.Getenv("GATEHOUSE_RELYING_PARTY")), &t); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if strings.HasPrefix(m.Path, "github.com/zitadel/oidc") {
				say("library %s %s", m.Path, m.Version)
			}
		}
	}
	cookies := httphelper.NewCookieHandler(random(32), random(32), httphelper.WithUnsecure())
	party, err := rp.NewRelyingPartyOIDC(ctx, t.Issuer, t.Zitadel.ID, t.Zitadel.Secret, t.Listener+"/callback",
		[]string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail},
		rp.WithCookieHandler(cookies), rp.WithPKCE(cookies), rp.WithSigningAlgsFromDiscovery(),
		rp.WithVerifierOpts(rp.WithAuthTimeMaxAge(10*time.Minute)))
	if err != nil {
		return fmt.Errorf("discover: %w", err)
	}
	say("checked discovery")

	got := make(chan signedIn, 1)
	stop, err := serve(party, got)
	if err != nil {
		return err
	}
	defer stop()
	person, err := newPerson(t)
	if err != nil {
		return err
	}
	if err := person.visit(ctx, t.Listener+"/login", t.Listener+"/done"); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	first := <-got
	if first.info.Name != "Ana Silva" || first.info.Email != "ana@example.test" || !bool(first.info.EmailVerified) {
		return fmt.Errorf("userinfo is %+v", first.info)
	}
	say("checked code, PKCE, state, ID token, at_hash, userinfo")
	if err := ask(ctx, t, first, say); err != nil {
		return err
	}
	return leave(ctx, t, party, person, first, say)
}

// leave refreshes the tokens and signs out.
func leave(ctx context.Context, t task, party rp.RelyingParty, person *person, first signedIn, say func(string, ...any)) error {
	renewed, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, first.tokens.RefreshToken, "", "")
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	if renewed.RefreshToken == first.tokens.RefreshToken || renewed.IDTokenClaims.Subject != first.info.Subject {
		return errors.New("refreshing gave the old refresh token or another person's tokens")
	}
	say("checked refresh")

	goodbye := t.Listener + "/goodbye"
	to, err := rp.EndSession(ctx, party, renewed.IDToken, goodbye, "the-state", "", nil)
	if err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	if err := person.visit(ctx, to.String(), goodbye+"?state=the-state"); err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](ctx, party, renewed.RefreshToken, "", ""); err == nil {
		return errors.New("a refresh token outlived its session")
	}
	say("checked sign-out by POST")
	return nil
}

type signedIn struct {
	tokens *oidc.Tokens[*oidc.IDTokenClaims]
	info   *oidc.UserInfo
}

// serve runs the library's own handlers on the socket that was handed over.
func serve(party rp.RelyingParty, got chan<- signedIn) (stop func(), err error) {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /login", rp.AuthURLHandler(rand.Text, party))
	mux.Handle("GET /callback", rp.CodeExchangeHandler(rp.UserinfoCallback(
		func(w http.ResponseWriter, r *http.Request, tokens *oidc.Tokens[*oidc.IDTokenClaims], _ string, _ rp.RelyingParty, info *oidc.UserInfo) {
			got <- signedIn{tokens, info}
			http.Redirect(w, r, "/done", http.StatusSeeOther)
		}), party))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return func() { _ = server.Close() }, nil
}

// person has a browser without scripts.
type person struct {
	task   task
	client *http.Client
}

func newPerson(t task) (*person, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &person{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

var csrf = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

// visit opens an address and follows, signing in where that is asked, until it is sent to the address until.
func (p *person) visit(ctx context.Context, address, until string) error {
	var form url.Values
	for range 20 {
		if address == until {
			return nil
		}
		method, content := http.MethodGet, io.Reader(nil)
		if form != nil {
			method, content = http.MethodPost, strings.NewReader(form.Encode())
		}
		req, err := http.NewRequestWithContext(ctx, method, address, content)
		if err != nil {
			return err
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := p.client.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		if to, err := resp.Location(); err == nil {
			address, form = to.String(), nil
			continue
		}
		token := csrf.FindSubmatch(body)
		if form != nil || token == nil || !strings.Contains(string(body), `autocomplete="current-password"`) {
			return fmt.Errorf("%s answered %s instead of leading to %s:\n%s", address, resp.Status, until, body)
		}
		form = url.Values{"csrf": {html.UnescapeString(string(token[1]))}, "username": {p.task.Username}, "password": {p.task.Password}}
	}
	return errors.New("no end of redirects")
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}
