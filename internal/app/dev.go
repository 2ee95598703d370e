package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/demo"
	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/postgres/devpg"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

// DevOptions of the development server.
type DevOptions struct {
	// DataDir keeps the embedded database, the secret key and the demo's passwords; "" takes the embedded server's
	// default.
	DataDir string
	// Demo serves the demo realm and the demo relying party.
	Demo bool
	// DemoURL is where the demo relying party is served; "" takes demo.BaseURL.
	DemoURL string
}

// Dev runs a server for development: on the embedded PostgreSQL, unless a database is configured, migrated by itself,
// with a secret key of its own that is kept with the data, and with the demo. It prints where everything is.
func Dev(ctx context.Context, p Process, o DevOptions) (err error) {
	dir := o.DataDir
	if p.Config.DatabaseURL.IsZero() {
		pg, err := devpg.Start(ctx, devpg.Options{Dir: o.DataDir, Log: p.Stderr})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, pg.Stop()) }()
		dir = pg.Dir()
		if err := p.Config.DatabaseURL.UnmarshalText([]byte(pg.URL(devpg.Database))); err != nil {
			return err
		}
	}
	if dir == "" {
		if dir, err = defaultDataDir(); err != nil {
			return err
		}
	}
	secrets, err := keepSecrets(filepath.Join(dir, "development.json"))
	if err != nil {
		return err
	}
	if p.Config.SecretKey.IsZero() {
		if err := p.Config.SecretKey.UnmarshalText([]byte(secrets.SecretKey)); err != nil {
			return fmt.Errorf("read the development key in %s: %w", dir, err)
		}
	}
	if _, err := MigrateUp(ctx, p); err != nil {
		return err
	}
	return serveDev(ctx, p, o, secrets)
}

func defaultDataDir() (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for the development key (set --data-dir): %w", err)
	}
	return filepath.Join(base, "gatehouse"), nil
}

func serveDev(ctx context.Context, p Process, o DevOptions, secrets developmentSecrets) error {
	public, err := listen(ctx, "GATEHOUSE_ADDR", p.Config.Addr)
	if err != nil {
		return err
	}
	private, err := listen(ctx, "GATEHOUSE_PRIVATE_ADDR", p.Config.PrivateAddr)
	if err != nil {
		return errors.Join(err, public.Close())
	}
	url := string(p.Config.PublicURL)
	if url == "" {
		url = "http://" + public.Addr().String()
		if p.Config.TLSCertFile != "" {
			url = "https://" + public.Addr().String()
		}
	}
	open := Options{PublicURL: url}
	if o.Demo {
		o.DemoURL = cmp.Or(o.DemoURL, demo.BaseURL)
		open.Home = o.DemoURL + "/"
	}
	s, err := Open(ctx, p, open)
	if err != nil {
		return errors.Join(err, public.Close(), private.Close())
	}
	defer s.Close()
	if err := s.applyAtStart(ctx, p); err != nil {
		return errors.Join(err, public.Close(), private.Close())
	}
	if o.Demo {
		stop, err := s.startDemo(ctx, p, url, o.DemoURL, secrets)
		if err != nil {
			return errors.Join(err, public.Close(), private.Close())
		}
		defer stop()
	}
	greet(p, url, private.Addr().String(), o.DemoURL, secrets)
	return s.run(ctx, p, public, private)
}

// startDemo applies the demo realm and serves the demo relying party until stop is called.
func (s *System) startDemo(ctx context.Context, p Process, url, at string, secrets developmentSecrets) (stop func(), err error) {
	content, err := demo.RealmFile(demo.Params{ClientSecret: secrets.ClientSecret, Password: secrets.Password, BaseURL: at})
	if err != nil {
		return nil, err
	}
	file, err := realmfile.Parse(content, "the demo realm", realmfile.Lookup{})
	if err != nil {
		return nil, err
	}
	if _, err := s.Applier.Apply(asOperator(ctx), file, realmfile.ApplyOptions{}); err != nil {
		return nil, err
	}
	o := demo.Options{
		Issuer: url + "/realms/" + demo.Slug, ClientID: demo.ClientID, ClientSecret: secrets.ClientSecret,
		BaseURL: at, Now: s.now, Random: rand.Reader, Log: p.Log,
	}
	if s.Outbox != nil {
		o.Outbox = url + outbox.Path
	}
	handler, err := demo.NewRelyingParty(o)
	if err != nil {
		return nil, err
	}
	address := strings.TrimPrefix(at, "http://")
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s for the demo application (is another one running? --demo=false leaves it out): %w", address, err)
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(listener) }()
	return func() { _ = srv.Close() }, nil
}

func greet(p Process, url, private, demoURL string, secrets developmentSecrets) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(p.Stdout, format+"\n", args...) }
	say("")
	say("  Gatehouse is running for development.")
	say("")
	if demoURL != "" {
		say("  Demo application   %s/   press \"Sign in\"", demoURL)
		say("  User               %s", demo.Username)
		say("  Password           %s", secrets.Password)
		say("")
		say("  Realm              %s/realms/%s", url, demo.Slug)
		say("  Discovery          %s/realms/%s/.well-known/openid-configuration", url, demo.Slug)
	} else {
		say("  Public             %s", url)
	}
	if p.Config.MailServers.IsZero() {
		say("  Mails              %s%s", url, outbox.Path)
	}
	say("  Health, metrics    http://%s/readyz  /livez  /metrics", private)
	say("")
	say("  Ctrl-C stops it.")
	say("")
}

// developmentSecrets are made once for a data directory and kept there, for its owner only.
type developmentSecrets struct {
	SecretKey    string `json:"secret_key"`
	Password     string `json:"demo_password"`
	ClientSecret string `json:"demo_client_secret"`
}

// keepSecrets reads the secrets in path, or makes them and keeps them there, readable by the owner alone.
func keepSecrets(path string) (developmentSecrets, error) {
	var s developmentSecrets
	content, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(content, &s); err != nil {
			return s, fmt.Errorf("read %s (it holds the key of the development database; restore it or remove the data directory): %w", path, err)
		}
		return s, nil
	case !errors.Is(err, fs.ErrNotExist):
		return s, fmt.Errorf("read the development secrets: %w", err)
	}
	if s.SecretKey, err = envelope.GenerateKey("dev", rand.Reader); err != nil {
		return s, err
	}
	if s.ClientSecret, err = client.NewSecret(); err != nil {
		return s, err
	}
	var b [9]byte
	if _, err := rand.Read(b[:]); err != nil {
		return s, err
	}
	s.Password = base64.RawURLEncoding.EncodeToString(b[:])
	if content, err = json.MarshalIndent(s, "", "  "); err != nil { //nolint:gosec // a file that only its owner can read
		return s, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return s, fmt.Errorf("make the data directory: %w", err)
	}
	return s, os.WriteFile(path, append(content, '\n'), 0o600)
}
