package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v5" //nolint:depguard // the floor of HTTP is one of its handlers, empty

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
	"github.com/gatehouse-id/gatehouse/internal/server"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
)

// childVariable holds the database's connection string and makes a process the server under measurement.
const childVariable = "GATEHOUSE_BENCH_DATABASE_URL"

// announcement is what the server says of itself on standard output once it serves.
type announcement struct {
	PID             int
	Public, Private string // addresses, host:port
}

// serve runs the server until its standard input ends, which it does with the process that measures.
func serve(ctx context.Context, database string, stdin io.Reader, stdout, stderr io.Writer) error {
	app.TuneMemory()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _, _ = io.Copy(io.Discard, stdin); stop() }()
	public, err := listen(ctx)
	if err != nil {
		return err
	}
	private, err := listen(ctx)
	if err != nil {
		return err
	}
	p, err := process(database, public.Addr().String(), stderr)
	if err != nil {
		return err
	}
	s, err := open(ctx, p)
	if err != nil {
		return err
	}
	defer s.Close()
	floor, err := openFloor(ctx, database, p.Config.DatabaseMaxConns)
	if err != nil {
		return err
	}
	defer floor.close(context.WithoutCancel(ctx))
	if err := json.NewEncoder(stdout).Encode(announcement{os.Getpid(), public.Addr().String(), private.Addr().String()}); err != nil {
		return fmt.Errorf("announce the server: %w", err)
	}
	worked := make(chan struct{})
	go func() { s.Work(ctx); close(worked) }()
	ready := &atomic.Bool{}
	err = server.Listeners{
		Public: public, Private: private, PublicHandler: withEmpty(s.Handler),
		PrivateHandler: withReadings(server.Private(s.Registry, ready, s.DB.Ping), s, floor),
		Log:            p.Log, DrainFor: time.Second, Ready: ready,
	}.Run(ctx)
	stop()
	<-worked
	return err
}

func listen(ctx context.Context) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// process is that of `gatehouse serve`, with the settings it has by itself.
func process(database, public string, stderr io.Writer) (app.Process, error) {
	key, err := envelope.GenerateKey("bench", rand.Reader)
	if err != nil {
		return app.Process{}, fmt.Errorf("make a secret key: %w", err)
	}
	cfg, err := config.Load([]string{
		"GATEHOUSE_DATABASE_URL=" + database, "GATEHOUSE_SECRET_KEY=" + key, "GATEHOUSE_PUBLIC_URL=http://" + public,
		"GATEHOUSE_TRUSTED_PROXIES=127.0.0.1/32",
	}, config.Options{Mode: config.ModeServe})
	if err != nil {
		return app.Process{}, fmt.Errorf("make the configuration: %w", err)
	}
	log, _, err := telemetry.NewServerLogger(stderr, "json", slog.LevelInfo)
	if err != nil {
		return app.Process{}, err
	}
	return app.Process{Config: cfg, Log: log, Stdout: stderr, Stderr: stderr, Version: "bench"}, nil
}

// open migrates the empty database and applies the realms.
func open(ctx context.Context, p app.Process) (*app.System, error) {
	if _, err := app.MigrateUp(ctx, p); err != nil {
		return nil, err
	}
	s, err := app.Open(ctx, p, app.Options{})
	if err != nil {
		return nil, err
	}
	if err := makeRealms(ctx, s); err != nil {
		s.Close()
		return nil, fmt.Errorf("make the realms: %w", err)
	}
	return s, nil
}

func makeRealms(ctx context.Context, s *app.System) error {
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	texts := []string{realmText(hash)}
	for _, alg := range serviceAlgs() {
		texts = append(texts, serviceRealm(alg))
	}
	for _, text := range texts {
		file, err := realmfile.Parse([]byte(text), "the realm to measure", realmfile.Lookup{})
		if err != nil {
			return err
		}
		if _, err := s.Applier.Apply(ctx, file, realmfile.ApplyOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// emptyPath is where the empty handler is.
const emptyPath = "/floor/http"

// withEmpty puts the empty handler beside the product's, behind the same listener.
func withEmpty(product http.Handler) http.Handler {
	e := echo.New()
	e.GET(emptyPath, func(c *echo.Context) error { return c.NoContent(http.StatusNoContent) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, emptyPath) {
			e.ServeHTTP(w, r)
			return
		}
		product.ServeHTTP(w, r)
	})
}

// spent is what the server's process has used since it started.
type spent struct {
	CPU        time.Duration
	Statements int64
}

// withReadings adds to the private handler what the process has spent, and the floors' loops.
func withReadings(private http.Handler, s *app.System, f *floor) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", private)
	mux.HandleFunc("GET /bench/spent", func(w http.ResponseWriter, _ *http.Request) {
		cpu, err := cpuTime()
		answer(w, spent{cpu, s.DB.Stats().Statements}, err)
	})
	mux.HandleFunc("POST /bench/loop", func(w http.ResponseWriter, r *http.Request) {
		var o loop
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			answer(w, nil, fmt.Errorf("read the loop: %w", err))
			return
		}
		step, ok := f.steps()[o.Op]
		if !ok {
			answer(w, nil, errors.New("there is no such loop"))
			return
		}
		answer(w, drive(r.Context(), o.Workers, o.budget, step), nil)
	})
	return mux
}

func answer(w http.ResponseWriter, v any, err error) {
	content, encoding := json.Marshal(v)
	if err = errors.Join(err, encoding); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(content)
}
