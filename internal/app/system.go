package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/internal/attempt"
	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/interaction"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/limit/redis"
	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/mail/capture"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/oidc"
	"github.com/gatehouse-id/gatehouse/internal/oidc/admission"
	"github.com/gatehouse-id/gatehouse/internal/oidc/assertion"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/password/policy"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
	"github.com/gatehouse-id/gatehouse/internal/safehttp"
	"github.com/gatehouse-id/gatehouse/internal/server"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
	"github.com/gatehouse-id/gatehouse/internal/user"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/sql"
	"github.com/gatehouse-id/gatehouse/templates"
)

// Process is what a command gives.
type Process struct {
	Config          config.Config
	Log             *slog.Logger
	Stdout, Stderr  io.Writer
	Version, Commit string
}

// Options of a System that tests set; the zero value is what a process uses.
type Options struct {
	// Now is the clock; nil takes the system's.
	Now func() time.Time
	// PublicURL replaces the configured one, for development, where it is the listener's address.
	PublicURL string
	// Home is where "/" leads; "" when nowhere.
	Home string
}

// System is every part of a process, made and connected.
type System struct {
	DB      *postgres.DB
	Realms  *realm.Directory
	Clients *client.Store
	Users   *user.Store
	Keys    *keyset.Store
	Hasher  *password.Hasher
	// Passwords checks new ones.
	Passwords *policy.Checker
	Engine    *flow.Engine
	Applier   *realmfile.Applier
	Registry  *prometheus.Registry
	// Mail delivers the messages that package notify wrote.
	Mail *notify.Deliverer
	// Outbox keeps the mails of a development server that has no mail server; nil elsewhere.
	Outbox *capture.Outbox
	// Handler answers on the public listener.
	Handler http.Handler

	catalogue *i18n.Catalogue
	limits    limit.Source
	redis     *redis.Source // nil without Redis
	decisions *limit.Metrics
	guard     flow.Guard
	mailer    challenge.Mailer
	mails     *mail.Chain
	outbound  *safehttp.Client
	breaches  *os.File // nil without a list
	seen      *session.Seen
	changes   *realm.Changes
	readers   []event.Reader
	jobs      *jobs.Runner // nil in a process that does no background work
	now       func() time.Time
	log       *slog.Logger
}

// migrations is the folder of migrations.
func migrations() (fs.FS, error) { return fs.Sub(sql.Migrations, "migrations") }

// Open connects to the database, checks that schema, roles and secret key fit, and makes every part. Close it.
func Open(ctx context.Context, p Process, o Options) (*System, error) {
	s := &System{now: o.Now, log: p.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if o.PublicURL == "" {
		o.PublicURL = string(p.Config.PublicURL)
	}
	if err := s.openStorage(ctx, p, o); err != nil {
		return nil, err
	}
	if err := s.make(p, o); err != nil {
		s.DB.Close()
		return nil, err
	}
	if err := s.makeJobs(ctx, p); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *System) openStorage(ctx context.Context, p Process, o Options) (err error) {
	keyring, err := envelope.ParseKeyring(keyringText(p.Config.SecretKey))
	if err != nil {
		return fmt.Errorf("read GATEHOUSE_SECRET_KEY: %w", err)
	}
	if err := requireTLS(p, p.Config.DatabaseURL.Reveal()); err != nil {
		return err
	}
	s.DB, err = postgres.Open(ctx, postgres.Options{
		URL:      p.Config.DatabaseURL.Reveal(),
		MaxConns: int32(p.Config.DatabaseMaxConns), MinConns: int32(p.Config.DatabaseMinConns), //nolint:gosec // bounded by config
		AllowSuperuser: p.Config.Mode == config.ModeDev,
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.DB.Close()
		}
	}()
	list, err := migrations()
	if err != nil {
		return err
	}
	if err := s.DB.CheckSchema(ctx, list); err != nil {
		return err
	}
	s.Realms = realm.NewDirectory(realm.Options{
		DB: s.DB, Keyring: keyring, PublicURL: o.PublicURL, Defaults: flags(p.Config), Now: s.now, Random: rand.Reader,
	})
	return s.Realms.Prepare(ctx, func(tx realm.Tx) error {
		return event.Record(ctx, tx, event.RealmPrepared{}, s.now())
	})
}

// requireTLS refuses a database on another machine without verified TLS, but for development, and where the operator
// says outright that there is none, as in a network of containers on one machine.
func requireTLS(p Process, url string) error {
	if p.Config.Mode == config.ModeDev {
		return nil
	}
	err := postgres.CheckTLS(url)
	if errors.Is(err, postgres.ErrPlaintext) && postgres.WantsPlaintext(url) {
		p.Log.Warn("the database is reached without TLS, as its connection string says (sslmode=disable): whoever is on the network in between can read every secret")
		return nil
	}
	return err
}

func flags(c config.Config) realm.Flags {
	return realm.Flags{
		AllowAutoRegistration: &c.AllowAutoRegistration, RequireEmailVerification: &c.RequireEmailVerification,
		ForcePasswordRotation: &c.ForcePasswordRotation, EnableMFA: &c.EnableMFA,
	}
}

func (s *System) make(p Process, o Options) (err error) {
	s.Clients, s.Users, s.Keys = client.NewStore(s.now), user.NewStore(s.now, rand.Reader), keyset.NewStore(s.now, rand.Reader)
	s.changes = &realm.Changes{DB: s.DB, Tables: map[string][]realm.Watched{
		"realms": s.Realms.Watched(), "realm_hosts": s.Realms.Watched(),
		"clients": s.Clients.Watched(), "client_secrets": s.Clients.Watched(), "keys": s.Keys.Watched(),
	}}
	s.seen, s.outbound = session.NewSeen(), safehttp.New(safehttp.Options{Allow: p.Config.OutboundAllow})
	if err := s.makePasswords(p); err != nil {
		return err
	}
	if s.catalogue, err = i18n.New(templates.FS); err != nil {
		return fmt.Errorf("read the catalogues: %w", err)
	}
	if s.Registry, err = telemetry.NewRegistry(p.Version, p.Commit); err != nil {
		return fmt.Errorf("make the metrics registry: %w", err)
	}
	if err := s.makeLimits(p); err != nil {
		return err
	}
	s.Applier = realmfile.New(realmfile.Options{
		Realms: s.Realms, Clients: s.Clients, Users: s.Users, Keys: s.Keys, Hasher: s.Hasher, Catalogue: s.catalogue,
		Now: s.now, Random: rand.Reader,
	})
	if err := s.makeMail(p); err != nil {
		return err
	}
	s.Engine = &flow.Engine{Clients: s.Clients, Seen: s.seen, Now: s.now, Random: rand.Reader}
	s.Engine.Authenticate, s.Engine.Require = s.steps()
	consumers, err := s.consumers()
	if err != nil {
		return fmt.Errorf("make the event consumers: %w", err)
	}
	for _, c := range consumers {
		s.readers = append(s.readers, event.Reader{DB: s.DB, Realms: s.Realms, Consumer: c, Now: s.now, Log: p.Log})
	}
	return s.makeHandler(p, o)
}

// makePasswords prepares the check of new passwords. A list of breached ones stays open and is read where it matters.
func (s *System) makePasswords(p Process) (err error) {
	hashing := password.Options{MemoryBudget: int64(p.Config.PasswordMemory), Rand: rand.Reader}
	if peppers := p.Config.PasswordPepper; !peppers.IsZero() {
		if hashing.Peppers, err = password.ParsePeppers(keyringText(peppers)); err != nil {
			return fmt.Errorf("read GATEHOUSE_PASSWORD_PEPPER: %w", err)
		}
	}
	if s.Hasher, err = password.New(hashing); err != nil {
		return fmt.Errorf("prepare password hashing: %w", err)
	}
	o := policy.Options{HTTP: s.outbound, RangeURL: string(p.Config.BreachRangeURL), Log: p.Log}
	if name := p.Config.BreachList; name != "" {
		if s.breaches, err = os.Open(name); err != nil {
			return fmt.Errorf("open GATEHOUSE_BREACH_LIST: %w", err)
		}
		info, err := s.breaches.Stat()
		if err != nil {
			return fmt.Errorf("read GATEHOUSE_BREACH_LIST: %w", err)
		}
		o.List, o.ListSize = s.breaches, info.Size()
	}
	s.Passwords = policy.NewChecker(o)
	return nil
}

// makeLimits decides where limits are counted: in Redis when there is one, else in this process. Tries at secrets of
// people are counted in the database.
func (s *System) makeLimits(p Process) (err error) {
	s.limits = limit.NewMemory(s.now, 0)
	if url := p.Config.RedisURL; !url.IsZero() {
		s.redis, err = redis.New(redis.Options{URL: url.Reveal(), Fallback: s.limits, Now: s.now, Log: p.Log})
		if err != nil {
			return fmt.Errorf("read GATEHOUSE_REDIS_URL: %w", err)
		}
		s.limits = s.redis
	}
	if s.decisions, err = limit.NewMetrics(s.Registry); err != nil {
		return err
	}
	s.guard = flow.Guard{
		Passwords: attempt.Counters{Now: s.now, Decided: s.decisions.Decided("password")},
		Codes:     attempt.Counters{Now: s.now, Decided: s.decisions.Decided("code")},
	}
	s.mailer = challenge.Mailer{Random: rand.Reader, Limits: s.decisions.Observe("mail", s.limits), Unproved: registerSoon}
	return nil
}

func (s *System) makeHandler(p Process, o Options) error {
	metrics, err := telemetry.NewHTTPMetrics(s.Registry)
	if err != nil {
		return fmt.Errorf("make the HTTP metrics: %w", err)
	}
	w, err := web.New(web.Options{
		Catalogue: s.catalogue, Files: templates.FS, Log: p.Log, Metrics: metrics, Dev: p.Config.Mode == config.ModeDev,
		TrustedProxies: p.Config.TrustedProxies.Prefixes(), PublicURL: o.PublicURL, Now: s.now, Random: rand.Reader,
	})
	if err != nil {
		return err
	}
	public, err := url.Parse(o.PublicURL)
	if err != nil || public.Host == "" {
		return errors.Join(fmt.Errorf("the public URL %q has no host", o.PublicURL), err)
	}
	var locales []string
	for _, l := range s.catalogue.Locales() {
		locales = append(locales, l.Tag())
	}
	tokens, err := telemetry.NewTokenMetrics(s.Registry)
	if err != nil {
		return err
	}
	var mails http.Handler
	if s.Outbox != nil {
		if mails, err = outbox.NewHandler(s.Outbox, public.Host); err != nil {
			return err
		}
	}
	provider := oidc.New(oidc.Options{
		Gate: admission.NewGate(s.decisions.Observe("address", s.limits), s.decisions.Observe("client", s.limits),
			s.decisions.Observe("client_authentication", s.limits)),
		Metrics: tokens,
		Clients: s.Clients, Assertions: assertion.Verifier{Keys: client.NewKeys(s.outbound, s.now), Now: s.now},
		Keys: s.Keys, Engine: s.Engine, Web: w, Now: s.now, Random: rand.Reader, Log: p.Log, Locales: locales,
	})
	s.Handler = server.New(server.Options{
		Web: w, Realms: s.Realms, PublicHost: public.Host, Home: o.Home, Discovery: provider.Discovery, Refusals: provider.Refusals, Outbox: mails,
		PageLimit: s.decisions.Observe("page", s.limits),
		Surfaces:  []server.Surface{provider, &interaction.Surface{Engine: s.Engine, Web: w}},
	})
	return s.register(s.databaseReadings(), s.passwordReadings(), s.eventReadings(), s.limitReadings(s.redis), s.mailReadings(),
		s.cacheReadings(s.Realms.CacheStats, s.Clients.CacheStats, s.Keys.CacheStats, provider.CacheStats))
}

// makeJobs makes the runner of jobs. Its clock is the machine's also where s has another: River goes by the database's.
func (s *System) makeJobs(ctx context.Context, p Process) (err error) {
	if !p.Config.Works() {
		return nil
	}
	o := s.backgroundWork()
	o.DB, o.Log, o.Now, o.StopAfter = s.DB, p.Log, time.Now, p.Config.DrainTimeout
	if s.jobs, err = jobs.New(ctx, o); err != nil {
		return err
	}
	return s.register(s.jobReadings())
}

// Work runs everything that a process does beside answering requests, until ctx ends.
func (s *System) Work(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.keep(ctx) })
	wg.Go(func() { s.background(ctx) })
	wg.Wait()
}

// keep is what each process does for itself: it hears of changes that its caches must forget, writes when sessions were
// last seen, and watches Redis.
func (s *System) keep(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.seen.Run(ctx, s.log) })
	wg.Go(func() { s.changes.Run(ctx) })
	if s.redis != nil {
		wg.Go(func() { s.redis.Run(ctx) })
	}
	wg.Wait()
}

// background is what some process must do, and any number may share: jobs, each worked by one of them, and the consumers
// of events, each at work in one at a time, whichever holds its cursor.
func (s *System) background(ctx context.Context) {
	if s.jobs == nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.jobs.Run(ctx); err != nil {
			s.log.ErrorContext(ctx, "jobs are not worked", "err", err)
		}
	})
	for _, r := range s.readers {
		wg.Go(func() { r.Run(ctx) })
	}
	wg.Wait()
}

// Close closes what Open opened.
func (s *System) Close() {
	s.outbound.Close()
	if s.jobs != nil {
		s.jobs.Close()
	}
	if s.breaches != nil {
		_ = s.breaches.Close() // only read from
	}
	s.DB.Close()
}
