package app

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
	"github.com/gatehouse-id/gatehouse/internal/server"
)

// Serve runs the public and the private listener, and the background work unless other processes do it, until ctx ends. The database must be
// migrated; the realm files of the configuration are applied first.
func Serve(ctx context.Context, p Process) error {
	TuneMemory()
	s, err := Open(ctx, p, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.applyAtStart(ctx, p); err != nil {
		return err
	}
	public, err := listen(ctx, "GATEHOUSE_ADDR", p.Config.Addr)
	if err != nil {
		return err
	}
	private, err := listen(ctx, "GATEHOUSE_PRIVATE_ADDR", p.Config.PrivateAddr)
	if err != nil {
		return errors.Join(err, public.Close())
	}
	p.Log.InfoContext(ctx, "serving", "public_url", string(p.Config.PublicURL), "listener", public.Addr().String(), "private_listener", private.Addr().String(), "version", p.Version)
	return s.run(ctx, p, public, private)
}

// Work runs the background work alone, with the private listener, until ctx ends. The database must be migrated.
func Work(ctx context.Context, p Process) error {
	s, err := Open(ctx, p, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	private, err := listen(ctx, "GATEHOUSE_PRIVATE_ADDR", p.Config.PrivateAddr)
	if err != nil {
		return err
	}
	p.Log.InfoContext(ctx, "working", "private_listener", private.Addr().String(), "version", p.Version)
	return s.run(ctx, p, nil, private)
}

// TuneMemory lets the heap grow further between collections, unless the operator said otherwise (GOGC): the live heap
// is small and short-lived, and collecting it at every doubling costs more CPU than the memory is worth.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

func listen(ctx context.Context, name, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s (is another process using it? set %s to another address): %w", address, name, err)
	}
	return l, nil
}

// run serves until ctx ends; public is nil when there is nothing to serve but health. Background work is not begun any
// more from then on, and what the process keeps for its requests is kept until after the last.
func (s *System) run(ctx context.Context, p Process, public, private net.Listener) error {
	keep, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	background, stopBackground := context.WithCancel(ctx)
	if s.jobs != nil && s.Outbox == nil && p.Config.MailServers.IsZero() {
		p.Log.WarnContext(ctx, "no mail server is configured (GATEHOUSE_SMTP_URL, GATEHOUSE_MAIL_FROM): messages to people wait until they expire")
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.keep(keep) })
	wg.Go(func() { s.background(background) })
	ready := &atomic.Bool{}
	err := server.Listeners{
		Public: public, Private: private, PublicHandler: s.Handler, PrivateHandler: server.Private(s.Registry, ready, s.DB.Ping),
		Log: p.Log, CertFile: p.Config.TLSCertFile, KeyFile: p.Config.TLSKeyFile,
		ShutdownDelay: p.Config.ShutdownDelay, DrainFor: p.Config.DrainTimeout, Ready: ready,
	}.Run(ctx)
	stopKeeping()
	stopBackground()
	wg.Wait()
	return err
}

// applyAtStart applies GATEHOUSE_REALM_FILES. What such a file would generate nobody could be shown: the output of a
// server ends in logs.
func (s *System) applyAtStart(ctx context.Context, p Process) error {
	files, err := readRealmFiles(p.Config.RealmFiles)
	if err != nil {
		return err
	}
	for _, f := range files {
		preview, err := s.Applier.Apply(ctx, f, realmfile.ApplyOptions{DryRun: true})
		if err != nil {
			return err
		}
		if len(preview.Generated) > 0 {
			return fmt.Errorf("the file of realm %s generates a secret or password, which a starting server cannot show; apply it once by hand: gatehouse realm apply -f FILE", f.Realm())
		}
		if len(preview.Changes) == 0 {
			continue
		}
		report, err := s.Applier.Apply(asOperator(ctx), f, realmfile.ApplyOptions{})
		if err != nil {
			return err
		}
		for _, change := range report.Changes {
			p.Log.InfoContext(ctx, "realm file applied", "realm", report.Realm, "change", change.String())
		}
	}
	return nil
}

// keyringText writes the keys as the envelope reads them.
func keyringText(keys config.Keys) string {
	var entries []string
	for _, k := range keys.All() {
		entries = append(entries, k.ID+":"+base64.StdEncoding.EncodeToString(k.Bytes()))
	}
	return strings.Join(entries, ",")
}
