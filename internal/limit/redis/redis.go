// Package redis counts limits in Redis, Redis Cluster or what speaks their protocol, so that several processes share
// one budget.
//
// A script decides inside Redis and by its clock (TIME), so clocks of processes do not matter and no two callers can
// spend the same allowance. While Redis does not answer in time, the process counts by itself with a source of its
// own: each process then has the whole budget, never more (SECURITY.md LG-13). Run finds out when Redis is back; what
// was counted meanwhile is forgotten then.
//
// Redis sees digests instead of names and addresses. It is never the only record of anything: losing it costs counts.
package redis

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/gatehouse-id/gatehouse/internal/limit"
)

// Options of a Source. URL, Fallback, Now and Log are required.
type Options struct {
	// URL is redis://, rediss:// or unix://. Beside what rueidis knows, ca_file names a file of certificates that
	// vouch for the server, instead of the system's.
	URL string
	// Fallback counts while Redis is away.
	Fallback limit.Source
	Now      func() time.Time
	Log      *slog.Logger
	// Timeout bounds one answer of Redis; 0 takes 50 ms.
	Timeout time.Duration
	// Namespace begins every key; "" takes "gatehouse".
	Namespace string
	// Clock replaces Redis's own, for tests that move time.
	Clock func() time.Time
}

// defaultTimeout is what a request may lose to a Redis that has just gone away. One late answer may be this process's
// own fault (no processor free, a collection of garbage); that many in a row are not.
const (
	defaultTimeout = 50 * time.Millisecond
	tooLate        = 3
)

// Source is a limit.Source in Redis. Nothing is connected until Run has run.
type Source struct {
	o      Options
	client rueidis.ClientOption
	spend  *rueidis.Lua

	// live is the connection while Redis answers, nil while this process counts by itself.
	live  atomic.Pointer[connection]
	lost  chan error // why live became nil, for Run
	falls atomic.Int64
	late  atomic.Int64 // answers in a row that came too late
}

type connection struct{ rueidis.Client }

var _ limit.Source = (*Source)(nil)

// New makes a source, which counts by itself until Run has reached Redis. Its errors do not repeat the URL, which may
// hold a password.
func New(o Options) (*Source, error) {
	client, err := parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("read the address of Redis: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Namespace == "" {
		o.Namespace = "gatehouse"
	}
	return &Source{
		o: o, client: client, lost: make(chan error, 1), spend: rueidis.NewLuaScript(spendScript),
	}, nil
}

func parse(address string) (rueidis.ClientOption, error) {
	u, err := url.Parse(address)
	if err != nil {
		return rueidis.ClientOption{}, errors.New("it is not a URL")
	}
	q := u.Query()
	caFile := q.Get("ca_file")
	q.Del("ca_file")
	u.RawQuery = q.Encode()
	o, err := rueidis.ParseURL(u.String())
	if err != nil {
		return rueidis.ClientOption{}, errors.New("it is not a Redis URL; expected rediss://user:password@host:port/0")
	}
	if caFile != "" {
		if o.TLSConfig == nil {
			return rueidis.ClientOption{}, errors.New("ca_file needs rediss://")
		}
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return rueidis.ClientOption{}, err
		}
		o.TLSConfig.RootCAs = x509.NewCertPool()
		if !o.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return rueidis.ClientOption{}, fmt.Errorf("%s holds no certificate", caFile)
		}
	}
	if o.TLSConfig != nil {
		o.TLSConfig.MinVersion = tls.VersionTLS12
	}
	o.ClientName = "gatehouse"
	o.DisableRetry, o.DisableCache = true, true // the source itself decides what happens then, and reads nothing twice
	o.Dialer.Timeout, o.ConnWriteTimeout = time.Second, time.Second
	o.ReadBufferEachConn, o.WriteBufferEachConn = 32<<10, 32<<10
	return o, nil
}

// Away tells whether this process counts by itself.
func (s *Source) Away() bool { return s.live.Load() == nil }

// Falls is how often Redis has gone away since the start.
func (s *Source) Falls() int64 { return s.falls.Load() }

// do runs the script. ok is false when the caller must ask the fallback. What a caller's ctx allows does not matter:
// hanging up must not be a way around.
func (s *Source) do(ctx context.Context, keys, args []string) (answer []int64, ok bool) {
	c := s.live.Load()
	if c == nil {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Timeout)
	defer cancel()
	answer, err := s.spend.Exec(ctx, c.Client, keys, args).AsIntSlice()
	if _, answered := rueidis.IsRedisErr(err); err != nil && !answered && ctx.Err() == nil {
		// That a connection was closed while it was idle is noticed in use only; the next try opens another. If the
		// first one was counted after all, the count is one too high.
		answer, err = s.spend.Exec(ctx, c.Client, keys, args).AsIntSlice()
	}
	if err == nil {
		s.late.Store(0)
		return answer, true
	}
	if ctx.Err() == nil || s.late.Add(1) >= tooLate {
		s.fall(c, err)
	}
	return nil, false
}

// fall makes this process count by itself, once for many callers.
func (s *Source) fall(c *connection, err error) {
	if s.live.CompareAndSwap(c, nil) {
		s.late.Store(0)
		s.falls.Add(1)
		s.lost <- err
	}
}

// rateKey stands for a key: of fixed size, whatever was typed, and not readable by who looks at Redis. Each stands alone, so that a cluster spreads them over its machines.
func (s *Source) rateKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return s.o.Namespace + ":r:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}
