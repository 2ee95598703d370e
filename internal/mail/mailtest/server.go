// Package mailtest is the suite that every mail.Sender passes, and an SMTP server that misbehaves as real ones do.
package mailtest

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Behaviour is what the server does with one connection.
type Behaviour int

// The behaviours.
const (
	Accept          Behaviour = iota
	Hang                      // connects and says nothing, until the client goes
	HangAfterData             // takes the content and says nothing more
	Close                     // connects and closes
	DieInData                 // closes in the middle of the content
	DieAfterTaking            // takes the mail and closes without saying so
	DieAtFarewell             // takes the mail, says so, and hangs at QUIT
	Greylist                  // 451 for the recipient
	Busy                      // 421 instead of a greeting
	RefuseSender              // 550 for the sender
	RefuseRecipient           // 550 for the recipient, repeating the address
	RefuseContent             // 554 for the content
)

// Server is an SMTP server. Each connection takes the next behaviour that Next was given; without one it accepts.
type Server struct {
	// Host and Port are where it listens, on loopback.
	Host string
	Port int
	// Roots verify its certificate, which is for localhost and 127.0.0.1.
	Roots *x509.CertPool

	o     ServerOptions
	tls   *tls.Config
	mu    sync.Mutex
	next  []Behaviour
	taken []Taken
	seen  int
}

// ServerOptions of a server.
type ServerOptions struct {
	// StartTLS offers it; Implicit expects TLS from the first byte.
	StartTLS, Implicit bool
	// User and Password are demanded when there is a User.
	User, Password string
}

// Taken is a mail that the server took.
type Taken struct {
	Hello, From, To string
	// Data is the mail as it came, headers and all.
	Data string
	TLS  bool
}

// NewServer starts a server that ends with the test.
func NewServer(t testing.TB, o ServerOptions) *Server {
	t.Helper()
	certificate, roots := selfSigned(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	s := &Server{
		Host: "127.0.0.1", Port: address.Port, Roots: roots, o: o,
		tls: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	var open sync.WaitGroup
	stop := make(chan struct{})
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { s.serve(conn, stop) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); close(stop); open.Wait() })
	return s
}

// Next says what the server does with the next connections, one behaviour each.
func (s *Server) Next(b ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, b...)
}

// Taken are the mails that it took.
func (s *Server) Taken() []Taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Taken(nil), s.taken...)
}

// Connections counts those that it saw.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *Server) take(m Taken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, m)
}

func (s *Server) behaviour() Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if len(s.next) == 0 {
		return Accept
	}
	b := s.next[0]
	s.next = s.next[1:]
	return b
}

// dialogue is one connection.
type dialogue struct {
	*Server
	b      Behaviour
	conn   net.Conn
	in     *bufio.Reader
	mail   Taken
	authed bool
}

func (s *Server) serve(conn net.Conn, stop <-chan struct{}) {
	done := make(chan struct{})
	defer close(done)
	defer func() { _ = conn.Close() }()
	go func() {
		select {
		case <-stop:
			_ = conn.Close()
		case <-done:
		}
	}()
	if s.o.Implicit {
		conn = tls.Server(conn, s.tls)
	}
	d := &dialogue{Server: s, b: s.behaviour(), conn: conn, in: bufio.NewReader(conn), authed: s.o.User == ""}
	d.mail.TLS = s.o.Implicit
	switch d.b { //nolint:exhaustive // the others come later in the dialogue
	case Close:
		return
	case Hang:
		_, _ = d.in.ReadByte() // the client waits for a greeting, so this ends with it
		return
	case Busy:
		d.say("421 4.3.2 too busy")
		return
	}
	d.say("220 mail.test ESMTP")
	for d.command() {
	}
}

func (d *dialogue) say(lines ...string) {
	_, _ = fmt.Fprint(d.conn, strings.Join(lines, "\r\n")+"\r\n")
}

// command answers one command and tells whether the dialogue goes on.
func (d *dialogue) command() bool {
	line, err := d.in.ReadString('\n')
	if err != nil {
		return false
	}
	line = strings.TrimRight(line, "\r\n")
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		d.mail.Hello = rest
		d.say(d.extensions()...)
	case "STARTTLS":
		d.say("220 2.0.0 go ahead")
		d.conn = tls.Server(d.conn, d.tls)
		d.in, d.mail.TLS = bufio.NewReader(d.conn), true
	case "AUTH":
		d.auth(rest)
	case "MAIL":
		d.from(rest)
	case "RCPT":
		d.to(rest)
	case "DATA":
		return d.data()
	case "QUIT":
		if d.b == DieAtFarewell {
			_, _ = d.in.ReadByte()
			return false
		}
		d.say("221 2.0.0 bye")
		return false
	default:
		d.say("502 5.5.1 unknown command")
	}
	return true
}

func (d *dialogue) extensions() []string {
	list := []string{"250-mail.test", "250-8BITMIME", "250-ENHANCEDSTATUSCODES", "250-SMTPUTF8"}
	if d.o.StartTLS && !d.mail.TLS {
		list = append(list, "250-STARTTLS")
	}
	if d.o.User != "" {
		list = append(list, "250-AUTH PLAIN")
	}
	return append(list, "250 HELP")
}

func (d *dialogue) auth(rest string) {
	want := base64.StdEncoding.EncodeToString([]byte("\x00" + d.o.User + "\x00" + d.o.Password))
	if rest != "PLAIN "+want {
		d.say("535 5.7.8 wrong credentials")
		return
	}
	d.authed = true
	d.say("235 2.7.0 welcome")
}

func (d *dialogue) from(rest string) {
	switch {
	case !d.authed:
		d.say("530 5.7.0 sign in first")
	case d.b == RefuseSender:
		d.say("550 5.7.1 you may not send as that")
	default:
		d.mail.From, _, _ = strings.Cut(strings.TrimPrefix(rest, "FROM:<"), ">")
		d.say("250 2.1.0 fine")
	}
}

func (d *dialogue) to(rest string) {
	switch d.b {
	case Greylist:
		d.say("451 4.7.1 come back later")
	case RefuseRecipient:
		d.say("550 5.1.1 " + strings.TrimPrefix(rest, "TO:") + ": no such mailbox")
	default:
		d.mail.To, _, _ = strings.Cut(strings.TrimPrefix(rest, "TO:<"), ">")
		d.say("250 2.1.5 fine")
	}
}

// data takes the content and tells whether the dialogue goes on.
func (d *dialogue) data() bool {
	d.say("354 go ahead")
	var content bytes.Buffer
	for {
		line, err := d.in.ReadString('\n')
		if err != nil || d.b == DieInData && content.Len() > 100 {
			return false
		}
		if line == ".\r\n" {
			break
		}
		content.WriteString(strings.TrimPrefix(line, "."))
	}
	d.mail.Data = content.String()
	switch d.b { //nolint:exhaustive // the others came earlier in the dialogue
	case RefuseContent:
		d.say("554 5.6.0 not this")
		return true
	case HangAfterData:
		_, _ = d.in.ReadByte()
		return false
	}
	d.take(d.mail)
	if d.b == DieAfterTaking {
		return false
	}
	d.say("250 2.0.0 taken")
	return true
}

// selfSigned makes a certificate for localhost and the pool that verifies it.
func selfSigned(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}
