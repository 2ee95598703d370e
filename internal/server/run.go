package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Listeners are what a process serves. A process of background work has no public one.
type Listeners struct {
	Public, Private         net.Listener
	PublicHandler           http.Handler
	PrivateHandler          http.Handler
	Log                     *slog.Logger
	CertFile, KeyFile       string
	ShutdownDelay, DrainFor time.Duration
	// Ready is told "no" before anything stops, so that load balancers look elsewhere.
	Ready *atomic.Bool
}

// The limits of a connection (SECURITY.md OP-03).
const (
	maxHeader    = 16 << 10
	readHeader   = 5 * time.Second
	readRequest  = 20 * time.Second
	writeAnswer  = 30 * time.Second
	idle         = 60 * time.Second
	profileWrite = 2 * time.Minute
)

// Run serves until ctx ends, then stops in three steps: not ready, drained, closed. It returns the error that ended a
// listener by itself.
func (l Listeners) Run(ctx context.Context) error {
	public := &http.Server{
		Handler: l.PublicHandler, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: readHeader, ReadTimeout: readRequest,
		WriteTimeout: writeAnswer, IdleTimeout: idle, ErrorLog: slog.NewLogLogger(l.Log.Handler(), slog.LevelDebug), DisableGeneralOptionsHandler: true,
	}
	private := &http.Server{
		Handler: l.PrivateHandler, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: readHeader, WriteTimeout: profileWrite,
		ErrorLog: slog.NewLogLogger(l.Log.Handler(), slog.LevelDebug),
	}
	l.Ready.Store(true) // before the first answer: the listeners take connections already
	failed := make(chan error, 2)
	if l.Public != nil {
		go func() { failed <- l.servePublic(public) }()
	}
	go func() { failed <- private.Serve(l.Private) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	l.stop(public, private)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (l Listeners) stop(public, private *http.Server) {
	l.Ready.Store(false)
	if l.ShutdownDelay > 0 && l.Public != nil {
		time.Sleep(l.ShutdownDelay)
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.DrainFor)
	defer cancel()
	if err := public.Shutdown(ctx); err != nil {
		l.Log.Warn("requests were cut off", "err", err)
		_ = public.Close()
	}
	_ = private.Close()
}

func (l Listeners) servePublic(s *http.Server) error {
	if l.CertFile == "" {
		return s.Serve(l.Public)
	}
	pair := &certificate{certFile: l.CertFile, keyFile: l.KeyFile}
	if _, err := pair.get(nil); err != nil {
		return err
	}
	s.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	return s.ServeTLS(l.Public, "", "")
}

// certificate is a key pair on disk, read again when the file changed, so that renewing it needs no restart.
type certificate struct {
	certFile, keyFile string
	mu                sync.Mutex
	pair              *tls.Certificate
	changed           time.Time
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.certFile)
	if err == nil && c.pair != nil && info.ModTime().Equal(c.changed) {
		return c.pair, nil
	}
	pair, perr := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err = errors.Join(err, perr); err != nil {
		if c.pair != nil {
			return c.pair, nil // files that are half written are read again at the next connection
		}
		return nil, fmt.Errorf("read the TLS certificate: %w", err)
	}
	c.pair, c.changed = &pair, info.ModTime()
	return c.pair, nil
}
