package redis_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/limit/limittest"
	"github.com/gatehouse-id/gatehouse/internal/limit/redis"
)

// logs keeps what a source logs.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.buf.Bytes(), []byte(text))
}

const (
	wentAway = "redis is away"
	cameBack = "limits are counted in redis"
)

// open makes a source and runs it until the test ends. The timeout is generous, since tests share a small machine.
func open(t *testing.T, o redis.Options) (*redis.Source, *logs) {
	t.Helper()
	out := &logs{}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fallback == nil {
		o.Fallback = limit.NewMemory(o.Now, 0)
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	o.Log = slog.New(slog.NewTextHandler(out, nil))
	s, err := redis.New(o)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	return s, out
}

func requireLive(t *testing.T, s *redis.Source) {
	t.Helper()
	require.Eventually(t, func() bool { return !s.Away() }, 30*time.Second, 5*time.Millisecond, "redis was not reached")
}

func TestSuiteWithRedis(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	limittest.Run(t, func(t *testing.T) limittest.Bench {
		t.Helper()
		var clock limittest.Clock
		s, _ := open(t, redis.Options{URL: "redis://" + server.Addr, Namespace: t.Name(), Clock: clock.Now, Now: clock.Now})
		requireLive(t, s)
		t.Cleanup(func() { require.Zero(t, s.Falls(), "everything was counted in redis") })
		return limittest.Bench{Source: s, Advance: clock.Advance}
	})
}

func TestSuiteWithRedisCluster(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
	admin, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr}, ForceSingleClient: true, DisableCache: true})
	require.NoError(t, err)
	defer admin.Close()
	require.NoError(t, admin.Do(t.Context(), admin.B().ClusterAddslotsrange().StartSlotEndSlot().StartSlotEndSlot(0, 16383).Build()).Error())
	require.Eventually(t, func() bool {
		info, err := admin.Do(t.Context(), admin.B().ClusterInfo().Build()).ToString()
		return err == nil && bytes.Contains([]byte(info), []byte("cluster_state:ok"))
	}, 20*time.Second, 10*time.Millisecond)
	limittest.Run(t, func(t *testing.T) limittest.Bench {
		t.Helper()
		var clock limittest.Clock
		s, _ := open(t, redis.Options{URL: "redis://" + server.Addr, Namespace: t.Name(), Clock: clock.Now, Now: clock.Now})
		requireLive(t, s)
		t.Cleanup(func() { require.Zero(t, s.Falls(), "everything was counted in redis") })
		return limittest.Bench{Source: s, Advance: clock.Advance}
	})
}

// TestLG13_SuiteWhileRedisDiesAndReturns keeps the same sources through a crash and a restart.
func TestLG13_SuiteWhileRedisDiesAndReturns(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	var mu sync.Mutex
	benches := map[string]limittest.Bench{}
	reuse := func(away bool) func(sub *testing.T) limittest.Bench {
		return func(sub *testing.T) limittest.Bench {
			sub.Helper()
			name := path.Base(sub.Name())
			mu.Lock()
			b, known := benches[name]
			mu.Unlock()
			if !known {
				var clock limittest.Clock
				s, _ := open(t, redis.Options{URL: "redis://" + server.Addr, Namespace: name, Clock: clock.Now, Now: clock.Now})
				b = limittest.Bench{Source: s, Advance: clock.Advance}
				mu.Lock()
				benches[name] = b
				mu.Unlock()
			}
			if !away {
				s, ok := b.Source.(*redis.Source)
				require.True(sub, ok)
				requireLive(sub, s)
			}
			return b
		}
	}
	t.Run("redis_answers", func(t *testing.T) { limittest.Run(t, reuse(false)) })
	server.Kill()
	t.Run("redis_is_dead", func(t *testing.T) { limittest.Run(t, reuse(true)) })
	server.Start(t)
	t.Run("redis_is_back", func(t *testing.T) { limittest.Run(t, reuse(false)) })
}

func TestLG13_ACrashNeverMeansUnlimited(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	s, out := open(t, redis.Options{URL: "redis://" + server.Addr})
	requireLive(t, s)
	rate := limit.Rate{Burst: 7, Every: time.Hour}
	var allowed atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if s.Spend(t.Context(), "k", rate).OK {
					allowed.Add(1)
				}
			}
		})
	}
	require.Eventually(t, func() bool { return allowed.Load() >= 7 }, 10*time.Second, time.Millisecond)
	server.Kill()
	require.Eventually(t, s.Away, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return allowed.Load() >= 14 }, 10*time.Second, time.Millisecond, "the process counts by itself")
	server.Start(t) // it has forgotten everything
	requireLive(t, s)
	require.Eventually(t, func() bool { return allowed.Load() >= 21 }, 10*time.Second, time.Millisecond)
	close(stop)
	wg.Wait()
	require.EqualValues(t, 21, allowed.Load(), "one budget of each")
	require.EqualValues(t, 1, s.Falls())
	require.Equal(t, 1, out.count(wentAway), "one line for each change")
	require.Equal(t, 2, out.count(cameBack))
}

func TestLG13_FiftyCallersShareOneBudgetOfTwoProcesses(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	early, _ := open(t, redis.Options{URL: "redis://" + server.Addr})
	late, _ := open(t, redis.Options{URL: "redis://" + server.Addr, Now: func() time.Time { return time.Now().Add(time.Hour) }})
	requireLive(t, early)
	requireLive(t, late)
	var spent atomic.Int64
	inParallel(50, func(n int) {
		s := []limit.Source{early, late}[n%2]
		if s.Spend(t.Context(), "k", limit.Rate{Burst: 9, Every: time.Hour}).OK {
			spent.Add(1)
		}
	})
	require.EqualValues(t, 9, spent.Load())
	require.Zero(t, early.Falls()+late.Falls())
	d := late.Spend(t.Context(), "k", limit.Rate{Burst: 9, Every: time.Hour})
	require.False(t, d.OK)
	require.LessOrEqual(t, d.RetryAfter, time.Hour, "the clock is redis's, not the process's")
	require.Greater(t, d.RetryAfter, time.Hour/2)
}

func inParallel(n int, f func(n int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

func TestLG13_AProcessStartsWithoutRedis(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	server.Kill()
	s, out := open(t, redis.Options{URL: "redis://" + server.Addr})
	require.Eventually(t, func() bool { return out.count(wentAway) == 1 }, 20*time.Second, time.Millisecond)
	rate := limit.Rate{Burst: 2, Every: time.Hour}
	for range 2 {
		require.True(t, s.Spend(t.Context(), "k", rate).OK)
	}
	require.False(t, s.Spend(t.Context(), "k", rate).OK)
	server.Start(t)
	requireLive(t, s)
	require.True(t, s.Spend(t.Context(), "k", rate).OK)
	require.Equal(t, 1, out.count(wentAway))
}

func TestLG13_ARedisThatHangsCostsFewTimeouts(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	s, _ := open(t, redis.Options{URL: "redis://" + server.Addr, Timeout: 50 * time.Millisecond})
	requireLive(t, s)
	require.NoError(t, syscall.Kill(server.PID(), syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(server.PID(), syscall.SIGCONT) }()
	rate := limit.Rate{Burst: 3, Every: time.Hour}
	allowed, begin := 0, time.Now()
	for range 1000 {
		if s.Spend(t.Context(), "k", rate).OK {
			allowed++
		}
	}
	require.Less(t, time.Since(begin), 2*time.Second)
	require.Equal(t, 3, allowed)
	require.True(t, s.Away())
	require.NoError(t, syscall.Kill(server.PID(), syscall.SIGCONT))
	requireLive(t, s)
}

func TestLG13_WhatWasSpentBeforeAnOutageStaysSpent(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	s, _ := open(t, redis.Options{URL: "redis://" + server.Addr, Timeout: 200 * time.Millisecond})
	other, _ := open(t, redis.Options{URL: "redis://" + server.Addr})
	requireLive(t, s)
	requireLive(t, other)
	rate := limit.Rate{Burst: 2, Every: time.Hour}
	require.Eventually(t, func() bool { return !other.Spend(t.Context(), "k", rate).OK }, 10*time.Second, time.Millisecond)
	require.NoError(t, syscall.Kill(server.PID(), syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(server.PID(), syscall.SIGCONT) }()
	require.Eventually(t, func() bool { s.Spend(t.Context(), "k", rate); return s.Away() }, 10*time.Second, time.Millisecond)
	require.NoError(t, syscall.Kill(server.PID(), syscall.SIGCONT))
	requireLive(t, s)
	require.Zero(t, other.Falls(), "nobody counted beside redis for the one that waited")
	require.False(t, other.Spend(t.Context(), "k", rate).OK, "redis has kept count")
	decided := s.Spend(t.Context(), "k", rate)
	require.True(t, s.Away() || !decided.OK, "and so it is for the one that counted by itself meanwhile")
}

func TestLG13_HangingUpIsNoWayAround(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	s, _ := open(t, redis.Options{URL: "redis://" + server.Addr})
	requireLive(t, s)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	rate := limit.Rate{Burst: 1, Every: time.Hour}
	require.True(t, s.Spend(gone, "k", rate).OK)
	require.False(t, s.Spend(t.Context(), "k", rate).OK, "it was counted where everybody counts")
	require.False(t, s.Away())
}

func TestLG13_ARedisThatRefusesToWriteIsAway(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	s, out := open(t, redis.Options{URL: "redis://" + server.Addr})
	requireLive(t, s)
	admin, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr}, DisableCache: true})
	require.NoError(t, err)
	defer admin.Close()
	set := func(bytes string) {
		require.NoError(t, admin.Do(t.Context(), admin.B().ConfigSet().ParameterValue().ParameterValue("maxmemory", bytes).Build()).Error())
	}
	set("1")
	rate := limit.Rate{Burst: 1, Every: time.Hour}
	require.True(t, s.Spend(t.Context(), "k", rate).OK)
	require.False(t, s.Spend(t.Context(), "k", rate).OK)
	require.True(t, s.Away())
	require.Eventually(t, func() bool { return out.count(wentAway) == 1 }, 10*time.Second, time.Millisecond)
	set("0")
	requireLive(t, s)
}

func TestRedisSeesNoNames(t *testing.T) {
	t.Parallel()
	server := limittest.StartRedis(t)
	s, _ := open(t, redis.Options{URL: "redis://" + server.Addr})
	requireLive(t, s)
	s.Spend(t.Context(), "realm|canary", limit.Rate{Burst: 5, Every: time.Second})
	admin, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr}, DisableCache: true})
	require.NoError(t, err)
	defer admin.Close()
	keys, err := admin.Do(t.Context(), admin.B().Keys().Pattern("*").Build()).AsStrSlice()
	require.NoError(t, err)
	require.Len(t, keys, 2, "with the probe")
	for _, k := range keys {
		require.NotContains(t, k, "canary")
		require.NotContains(t, k, "realm")
		ttl, err := admin.Do(t.Context(), admin.B().Ttl().Key(k).Build()).AsInt64()
		require.NoError(t, err)
		require.Positive(t, ttl, "%s never expires", k)
	}
}

func TestOP01_RedisOverTLSWithAPassword(t *testing.T) {
	t.Parallel()
	ca, cert, key := certificate(t)
	server := limittest.StartRedis(t, "--port", "0", "--tls-port", "TLSPORT", "--tls-auth-clients", "no",
		"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca, "--requirepass", "hunter2")
	_, port, err := net.SplitHostPort(server.Addr)
	require.NoError(t, err)

	s, _ := open(t, redis.Options{URL: fmt.Sprintf("rediss://:hunter2@localhost:%s?ca_file=%s", port, ca)})
	requireLive(t, s)
	require.True(t, s.Spend(t.Context(), "k", limit.Rate{Burst: 1, Every: time.Hour}).OK)
	require.Zero(t, s.Falls())

	for claim, address := range map[string]string{
		"a_certificate_nobody_vouches_for": "rediss://:hunter2@localhost:%s",
		"another_name":                     "rediss://:hunter2@127.0.0.1:%s?ca_file=" + ca,
		"a_wrong_password":                 "rediss://:wrong@localhost:%s?ca_file=" + ca,
		"without_tls":                      "redis://:hunter2@localhost:%s",
	} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			s, out := open(t, redis.Options{URL: fmt.Sprintf(address, port)})
			require.Eventually(t, func() bool { return out.count(wentAway) == 1 }, 20*time.Second, 5*time.Millisecond)
			require.True(t, s.Away())
			require.Zero(t, out.count("hunter2"))
		})
	}
}

func TestBadAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"redis://:hunter2@%zz", "http://:hunter2@x", "redis://x/one", "redis://x?ca_file=/x", "rediss://x?ca_file=/nowhere"} {
		_, err := redis.New(redis.Options{URL: address})
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

// certificate writes a certificate for localhost that vouches for itself.
func certificate(t *testing.T) (ca, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	return cert, cert, key
}
