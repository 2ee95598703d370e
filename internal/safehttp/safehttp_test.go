package safehttp_test

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/safehttp"
)

// server is an https server on loopback that counts who connects.
type server struct {
	*httptest.Server
	connections atomic.Int32
}

func serve(t *testing.T, secure bool, handler http.HandlerFunc) *server {
	t.Helper()
	s := &server{Server: httptest.NewUnstartedServer(handler)}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }

func (s *server) address(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	return u.Host
}

// as is the server's URL under another name.
func (s *server) as(t *testing.T, host string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(s.address(t))
	require.NoError(t, err)
	scheme, _, _ := strings.Cut(s.URL, "://")
	return scheme + "://" + net.JoinHostPort(host, port)
}

func allow(t *testing.T, list ...string) config.Destinations {
	t.Helper()
	var d config.Destinations
	require.NoError(t, d.UnmarshalText([]byte(strings.Join(list, ","))))
	return d
}

func client(t *testing.T, s *server, o safehttp.Options) *safehttp.Client {
	t.Helper()
	if s != nil && s.Certificate() != nil {
		o.RootCAs = x509.NewCertPool()
		o.RootCAs.AddCert(s.Certificate())
	}
	c := safehttp.New(o)
	t.Cleanup(c.Close)
	return c
}

func TestOB01_WhereRequestsMayGo(t *testing.T) {
	t.Parallel()
	s := serve(t, true, hello)

	t.Run("not to this machine", func(t *testing.T) {
		t.Parallel()
		alone := serve(t, true, hello)
		for _, list := range [][]string{nil, {"other.example"}, {"10.0.0.0/8"}, {"other.example:1"}} {
			for _, host := range []string{"127.0.0.1", "localhost"} {
				_, err := client(t, alone, safehttp.Options{Allow: allow(t, list...)}).Get(t.Context(), alone.as(t, host), "*/*")
				require.ErrorIs(t, err, safehttp.ErrRefused, "%s with %q", host, list)
			}
		}
		require.Zero(t, alone.connections.Load())
	})
	t.Run("an ordinary port does not help a private address", func(t *testing.T) {
		t.Parallel()
		for _, address := range []string{
			"https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://10.0.0.1/", "https://192.168.0.1",
			"https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://0.0.0.0/", "https://[::]/", "https://100.64.0.1/",
			"https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://224.0.0.1/", "https://[fe80::1]/",
			"http://127.0.0.1/", "http://169.254.169.254/", "http://1.1.1.1/",
		} {
			_, err := client(t, nil, safehttp.Options{}).Get(t.Context(), address, "*/*")
			require.ErrorIs(t, err, safehttp.ErrRefused, address)
		}
	})
	t.Run("no list opens special addresses", func(t *testing.T) {
		t.Parallel()
		everything := allow(t, "169.254.0.0/16", "169.254.169.254", "fe80::/10", "0.0.0.0/8", "[::]", "fd00::/8", "100.64.0.0/10", "224.0.0.0/4")
		for _, address := range []string{"http://169.254.169.254/", "https://0.0.0.0/", "https://[::]/", "https://[fd00:ec2::254]/", "https://100.100.100.200/", "https://224.0.0.1/"} {
			_, err := client(t, nil, safehttp.Options{Allow: everything}).Get(t.Context(), address, "*/*")
			require.ErrorIs(t, err, safehttp.ErrRefused, address)
		}
	})
	t.Run("only where the URL is a plain one", func(t *testing.T) {
		t.Parallel()
		for _, address := range []string{
			"ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "unix:///run/x.sock", "//a.example", "a.example", "", "https://", "https:///x",
			"https://user@a.example/", "https://user:pw@a.example/", "https://a.example:8443/", "https://a.example:80/", "http://a.example:443/",
			"https://a.example:99999/", "https://bücher.example/", "https://a b/", "https://1.1.1.1:22/",
		} {
			_, err := client(t, nil, safehttp.Options{}).Get(t.Context(), address, "*/*")
			require.ErrorIs(t, err, safehttp.ErrRefused, address)
		}
	})
	t.Run("to what the operator lists", func(t *testing.T) {
		t.Parallel()
		r, err := client(t, s, safehttp.Options{Allow: allow(t, s.address(t))}).Get(t.Context(), s.URL, "*/*")
		require.NoError(t, err)
		require.Equal(t, "hello", string(r.Body))
		require.Equal(t, http.StatusOK, r.Status)
		_, err = client(t, s, safehttp.Options{Allow: allow(t, "127.0.0.1", "127.0.0.0/8")}).Get(t.Context(), s.URL, "*/*")
		require.ErrorIs(t, err, safehttp.ErrRefused, "the port is not listed")
	})
	t.Run("by http only there", func(t *testing.T) {
		t.Parallel()
		plain := serve(t, false, hello)
		r, err := client(t, nil, safehttp.Options{Allow: allow(t, plain.address(t))}).Get(t.Context(), plain.URL, "*/*")
		require.NoError(t, err)
		require.Equal(t, "hello", string(r.Body))
		_, err = client(t, nil, safehttp.Options{Allow: allow(t, "1.1.1.1", "1.0.0.0/8")}).Get(t.Context(), "http://1.1.1.1/", "*/*")
		require.ErrorIs(t, err, safehttp.ErrRefused, "a public address has https")
	})
	t.Run("only with a certificate that is trusted", func(t *testing.T) {
		t.Parallel()
		_, err := client(t, nil, safehttp.Options{Allow: allow(t, s.address(t))}).Get(t.Context(), s.URL, "*/*")
		require.ErrorAs(t, err, new(x509.UnknownAuthorityError))
	})
}

// names is a DNS server that answers each question for a name with the next of its addresses.
type names struct {
	mu      sync.Mutex
	answers []string
	asked   int
}

func resolver(t *testing.T, answers ...string) (*net.Resolver, *names) {
	t.Helper()
	n := &names{answers: answers}
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go n.serve(conn)
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, n
}

func (n *names) serve(conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		size, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if query.Unpack(buffer[:size]) != nil || len(query.Questions) != 1 {
			continue
		}
		answer := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: query.ID, Response: true, RecursionAvailable: true},
			Questions: query.Questions,
		}
		if q := query.Questions[0]; q.Type == dnsmessage.TypeA {
			answer.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: n.next().As4()},
			}}
		}
		packed, err := answer.Pack()
		if err == nil {
			_, _ = conn.WriteTo(packed, from)
		}
	}
}

func (n *names) next() netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := min(n.asked, len(n.answers)-1)
	n.asked++
	return netip.MustParseAddr(n.answers[at])
}

func (n *names) times() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func TestOB01_NamesThatChangeTheirMind(t *testing.T) {
	t.Parallel()

	t.Run("a name is judged by each address that it gets", func(t *testing.T) {
		t.Parallel()
		s := serve(t, true, hello)
		lookup, asked := resolver(t, "127.0.0.1", "169.254.169.254", "10.0.0.1")
		c := client(t, s, safehttp.Options{Allow: allow(t, s.as(t, "example.com")[len("https://"):]), Resolver: lookup})
		r, err := c.Get(t.Context(), s.as(t, "example.com"), "*/*")
		require.NoError(t, err)
		require.Equal(t, "hello", string(r.Body))
		c.Close() // the next request dials anew
		_, err = c.Get(t.Context(), s.as(t, "example.com"), "*/*")
		require.ErrorIs(t, err, safehttp.ErrRefused)
		require.Equal(t, 2, asked.times())
		require.EqualValues(t, 1, s.connections.Load())
	})
	t.Run("a public name that leads home is refused", func(t *testing.T) {
		t.Parallel()
		for _, home := range []string{"127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"} {
			lookup, asked := resolver(t, home)
			_, err := client(t, nil, safehttp.Options{Resolver: lookup, Allow: allow(t, "elsewhere.example")}).Get(t.Context(), "https://rebound.example/", "*/*")
			require.ErrorIs(t, err, safehttp.ErrRefused, home)
			require.Equal(t, 1, asked.times(), "one lookup, so that nothing can change between two")
		}
	})
	t.Run("a name in a listed network is let through", func(t *testing.T) {
		t.Parallel()
		lookup, _ := resolver(t, "127.0.0.1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client(t, nil, safehttp.Options{Resolver: lookup, Allow: allow(t, "127.0.0.0/8")}).Get(ctx, "https://inside.example/", "*/*")
		require.NotErrorIs(t, err, safehttp.ErrRefused, "nobody listens on port 443, but it was tried")
		require.Error(t, err)
	})
}

func TestOB01_WhatAnswersMayBe(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, o safehttp.Options, handler http.HandlerFunc) (safehttp.Response, error) {
		t.Helper()
		s := serve(t, false, handler)
		o.Allow = allow(t, s.address(t))
		return client(t, nil, o).Get(t.Context(), s.URL+"/keys", "application/json")
	}
	t.Run("redirects are not followed", func(t *testing.T) {
		t.Parallel()
		for _, status := range []int{301, 302, 303, 307, 308} {
			var asked atomic.Int32
			_, err := ask(t, safehttp.Options{}, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				http.Redirect(w, r, "/elsewhere", status)
			})
			require.ErrorIs(t, err, safehttp.ErrRedirect)
			require.EqualValues(t, 1, asked.Load())
		}
	})
	t.Run("1 MiB and no byte more", func(t *testing.T) {
		t.Parallel()
		for size, want := range map[int]error{safehttp.MaxBody: nil, safehttp.MaxBody + 1: safehttp.ErrTooLarge, 8 * safehttp.MaxBody: safehttp.ErrTooLarge} {
			r, err := ask(t, safehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) })
			require.ErrorIs(t, err, want)
			if want == nil {
				require.Len(t, r.Body, size)
			}
		}
	})
	t.Run("packed answers stay packed", func(t *testing.T) {
		t.Parallel()
		r, err := ask(t, safehttp.Options{}, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "" {
				w.WriteHeader(http.StatusTeapot)
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("bomb"))
		})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, r.Status)
		require.Equal(t, "bomb", string(r.Body))
	})
	t.Run("a slow head, a slow body", func(t *testing.T) {
		t.Parallel()
		for name, handler := range map[string]http.HandlerFunc{
			"head": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"body": func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte("{"))
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			},
		} {
			_, err := ask(t, safehttp.Options{Timeout: 50 * time.Millisecond}, handler)
			require.ErrorIs(t, err, safehttp.ErrTimeout, name)
		}
	})
	t.Run("the caller's end is not our limit", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := serve(t, false, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		_, err := client(t, nil, safehttp.Options{Allow: allow(t, s.address(t))}).Get(ctx, s.URL, "*/*")
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, safehttp.ErrTimeout)
	})
	t.Run("errors of the other side are answers", func(t *testing.T) {
		t.Parallel()
		r, err := ask(t, safehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
		require.NoError(t, err)
		require.Equal(t, http.StatusInternalServerError, r.Status)
	})
	t.Run("nothing is carried from answer to request", func(t *testing.T) {
		t.Parallel()
		s := serve(t, false, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "a=b; Path=/")
			_, _ = w.Write([]byte(r.Header.Get("Cookie") + r.UserAgent()))
		})
		c := client(t, nil, safehttp.Options{Allow: allow(t, s.address(t))})
		for range 2 {
			r, err := c.Get(t.Context(), s.URL, "*/*")
			require.NoError(t, err)
			require.Equal(t, "Gatehouse", string(r.Body))
		}
	})
}

// TestOB01_NoProxyOfTheEnvironment cannot be parallel: the environment is the process's.
func TestOB01_NoProxyOfTheEnvironment(t *testing.T) {
	proxy := serve(t, false, hello)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("HTTP_PROXY", proxy.URL)
	s := serve(t, false, hello)
	_, err := client(t, nil, safehttp.Options{Allow: allow(t, s.address(t))}).Get(t.Context(), s.URL, "*/*")
	require.NoError(t, err)
	_, err = client(t, nil, safehttp.Options{}).Get(t.Context(), "https://10.0.0.1/", "*/*")
	require.ErrorIs(t, err, safehttp.ErrRefused)
	require.Zero(t, proxy.connections.Load())
}
