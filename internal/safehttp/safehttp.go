// Package safehttp is the one client of everything that this server asks of others on its own account. The addresses
// it is given come from people who administer realms and may not be trusted with the network that the server stands
// in, so it guards against requests to where they must not go (SSRF):
//
//   - The address is checked when it is dialled, on the very address that is connected to, for each attempt: what a
//     name resolved to before does not count. Loopback, private, link-local, shared, multicast and other special
//     addresses are refused, IPv4 in IPv6 clothes too.
//   - https on port 443 only. The operator's list (GATEHOUSE_OUTBOUND_ALLOW) opens other ports by host:port, and
//     private addresses by host or network; what it opens may also speak http where the address is private. Addresses
//     that hand out a cloud machine's credentials it cannot open.
//   - Redirects are not followed, cookies not kept, proxies of the environment not used, answers not unpacked; an
//     answer has five seconds and 1 MiB.
//
// What to do with an answer is the caller's, and so is what to show of it to whom: the errors of this package tell
// about the network and are for the log.
package safehttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

var (
	// ErrRefused says that a request may not go where it was meant to go; nothing was sent.
	ErrRefused = errors.New("destination refused")
	// ErrRedirect says that the answer was a redirect, which is not followed.
	ErrRedirect = errors.New("the answer is a redirect")
	// ErrTooLarge says that the answer has more than MaxBody bytes.
	ErrTooLarge = errors.New("the answer is too large")
	// ErrTimeout says that the answer was not complete in time.
	ErrTimeout = errors.New("no answer in time")
)

const (
	// MaxBody is how many bytes an answer may have.
	MaxBody = 1 << 20
	// maxHeader is how many bytes its header may have.
	maxHeader = 64 << 10
	// timeout is how long a request may take, from looking up the name to the last byte.
	timeout = 5 * time.Second
	// maxIdle bounds the connections that are kept for the next request.
	maxIdle = 16
)

// Options of a Client. The zero value reaches public hosts by https.
type Options struct {
	// Allow is the operator's list of what else may be reached.
	Allow config.Destinations
	// Resolver looks names up; nil takes the system's.
	Resolver *net.Resolver
	// RootCAs are trusted instead of the system's when not nil.
	RootCAs *x509.CertPool
	// Timeout replaces the five seconds when not 0.
	Timeout time.Duration
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	o Options
	// Each scheme has connections of its own, because what may be dialled differs.
	secure, plain *http.Transport
}

// New makes a client.
func New(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = timeout
	}
	c := &Client{o: o}
	c.secure, c.plain = c.transport(false), c.transport(true)
	return c
}

func (c *Client) transport(plain bool) *http.Transport {
	return &http.Transport{
		Proxy: nil, // a proxy would look the name up itself
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.dial(ctx, network, address, plain)
		},
		TLSClientConfig:   &tls.Config{RootCAs: c.o.RootCAs, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns: maxIdle, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
		TLSHandshakeTimeout: c.o.Timeout, ResponseHeaderTimeout: c.o.Timeout,
	}
}

// dial connects to host:port, but for each address that the host has checks first whether it may.
func (c *Client) dial(ctx context.Context, network, address string, plain bool) (net.Conn, error) {
	host, port, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{
		Timeout: c.o.Timeout, Resolver: c.o.Resolver,
		Control: func(network, address string, _ syscall.RawConn) error {
			peer, err := netip.ParseAddrPort(address)
			if err != nil || !strings.HasPrefix(network, "tcp") {
				return fmt.Errorf("%w: %s %q", ErrRefused, network, address)
			}
			return c.permit(host, port, peer.Addr(), plain)
		},
	}
	return dialer.DialContext(ctx, network, address)
}

// permit tells whether a connection to addr may be made on behalf of host.
func (c *Client) permit(host string, port uint16, addr netip.Addr, plain bool) error {
	switch reachOf(addr) {
	case public:
		if plain {
			return fmt.Errorf("%w: http to a public address", ErrRefused)
		}
		return nil
	case private:
		if c.o.Allow.NamesHost(host, port) || c.o.Allow.HoldsAddress(addr) {
			return nil
		}
		return fmt.Errorf("%w: %s has the private address %s, which GATEHOUSE_OUTBOUND_ALLOW does not list", ErrRefused, host, addr)
	case never:
	}
	return fmt.Errorf("%w: %s has the special address %s", ErrRefused, host, addr)
}

// check tells whether u may be asked at all, as far as that can be known before its host is looked up.
func (c *Client) check(u *url.URL) error {
	address, ordinary := u.Host, uint16(443)
	if u.Scheme == "http" {
		ordinary = 80
	}
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), strconv.Itoa(int(ordinary)))
	}
	host, port, err := splitAddress(address)
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%w: scheme %q", ErrRefused, u.Scheme)
	case u.User != nil:
		return fmt.Errorf("%w: the URL has a user name or password", ErrRefused)
	case err != nil:
		return err
	case port != ordinary && !c.o.Allow.NamesPort(host, port):
		return fmt.Errorf("%w: port %d of %s, which GATEHOUSE_OUTBOUND_ALLOW does not list", ErrRefused, port, host)
	}
	return nil
}

// splitAddress reads host:port. The host is canonical: lower case, no dot at its end.
func splitAddress(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%w: port %q", ErrRefused, text)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String(), uint16(number), nil
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", 0, fmt.Errorf("%w: host %q", ErrRefused, host)
	}
	return host, uint16(number), nil
}

// Response is a complete answer.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Get asks for address. accept is the media type that is wanted.
func (c *Client) Get(ctx context.Context, address, accept string) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Response{}, fmt.Errorf("%w: not a URL", ErrRefused)
	}
	req.Header.Set("Accept", accept)
	return c.Do(req)
}

// Do sends a request and reads the whole answer. Any status but a redirect is an answer.
func (c *Client) Do(req *http.Request) (Response, error) {
	if err := c.check(req.URL); err != nil {
		return Response{}, err
	}
	ctx, cancel := context.WithTimeoutCause(req.Context(), c.o.Timeout, ErrTimeout)
	defer cancel()
	req = req.Clone(ctx)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Gatehouse")
	}
	transport := c.secure
	if req.URL.Scheme == "http" {
		transport = c.plain
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return Response{}, explain(ctx, req, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return Response{}, fmt.Errorf("%w (%d)", ErrRedirect, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return Response{}, explain(ctx, req, err)
	}
	if len(body) > MaxBody {
		return Response{}, ErrTooLarge
	}
	return Response{resp.StatusCode, resp.Header, body}, nil
}

// Close closes the connections that are kept for later. The client can still be used.
func (c *Client) Close() {
	c.secure.CloseIdleConnections()
	c.plain.CloseIdleConnections()
}

// explain says what was attempted, and tells our own limit of time from the caller's.
func explain(ctx context.Context, req *http.Request, err error) error {
	var slow net.Error
	if errors.Is(context.Cause(ctx), ErrTimeout) || ctx.Err() == nil && errors.As(err, &slow) && slow.Timeout() {
		err = fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return fmt.Errorf("ask %s: %w", req.URL.Host, err)
}
