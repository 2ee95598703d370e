package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// MailSecurity is how the connection to a mail server is protected. Certificates are always verified.
type MailSecurity int

// The ways to protect it.
const (
	// MailStartTLS begins plain and goes on only under TLS (RFC 3207).
	MailStartTLS MailSecurity = iota
	// MailImplicitTLS is TLS from the first byte (RFC 8314 §3.3).
	MailImplicitTLS
	// MailPlain has no protection: for a server on this machine, or when the operator says so.
	MailPlain
)

// MailServer is where and how mails are handed in.
type MailServer struct {
	Host     string
	Port     int
	Security MailSecurity
	// User is who signs in; "" for nobody.
	User     string
	Password Secret
	// CAFile holds the certificates, PEM, that the server's is verified by; "" for the system's.
	CAFile string
}

// Address is host:port.
func (s MailServer) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// MailServers are mail servers in the order in which they are tried. They print as the mask.
type MailServers struct{ list []MailServer }

// All returns the servers in order.
func (m MailServers) All() []MailServer { return slices.Clone(m.list) }

// IsZero reports whether no server was given.
func (m MailServers) IsZero() bool { return len(m.list) == 0 }

// String is the mask, or nothing when no server was given.
func (m MailServers) String() string {
	if m.IsZero() {
		return ""
	}
	return redacted
}

// Format writes the mask for every verb and flag.
func (m MailServers) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }

// LogValue is the mask.
func (m MailServers) LogValue() slog.Value { return slog.StringValue(m.String()) }

// MarshalText writes the mask; JSON uses it too.
func (m MailServers) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// MarshalYAML writes the mask.
func (m MailServers) MarshalYAML() (any, error) { return m.String(), nil }

// UnmarshalText reads a comma list of smtps://user:password@host:465 and smtp://user:password@host:587. smtp:// demands
// STARTTLS, unless the host is this machine or the address ends in ?tls=none. ca_file names the file of a private
// certificate authority. Errors repeat nothing of what was given but names of parameters.
func (m *MailServers) UnmarshalText(text []byte) error {
	var list []MailServer
	for i, item := range splitList(string(text)) {
		server, err := parseMailServer(item)
		if err != nil {
			return fmt.Errorf("server %d %w", i+1, err)
		}
		list = append(list, server)
	}
	m.list = list
	return nil
}

func parseMailServer(address string) (MailServer, error) {
	u, err := url.Parse(address)
	if err != nil {
		return MailServer{}, errors.New("is not a URL; write / @ : % and , of a password as %2F %40 %3A %25 and %2C")
	}
	s := MailServer{Host: u.Hostname(), User: u.User.Username()}
	password, _ := u.User.Password()
	s.Password = NewSecret(password)
	switch {
	case u.Scheme == "smtps":
		s.Port, s.Security = 465, MailImplicitTLS
	case u.Scheme == "smtp" && loopbackHost(s.Host):
		s.Port, s.Security = 587, MailPlain
	case u.Scheme == "smtp":
		s.Port, s.Security = 587, MailStartTLS
	default:
		return MailServer{}, errors.New("does not begin with smtps:// or smtp://")
	}
	switch {
	case s.Host == "":
		return MailServer{}, errors.New("has no host")
	case strings.Trim(u.Path, "/") != "" || u.Fragment != "":
		return MailServer{}, errors.New("has a path or fragment; write / and # of a password as %2F and %23")
	case (s.User == "") != s.Password.IsZero():
		return MailServer{}, errors.New("has a user without a password, or a password without a user")
	}
	if port := u.Port(); port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return MailServer{}, errors.New("has a port that is not a number from 1 to 65535")
		}
		s.Port = int(number)
	}
	return s, s.parameters(u)
}

// parameters reads what stands behind the question mark.
func (s *MailServer) parameters(u *url.URL) error {
	for name, values := range u.Query() {
		switch {
		case name == "ca_file":
			s.CAFile = values[0]
		case name == "tls" && u.Scheme == "smtps":
			return errors.New("has the parameter tls; smtps:// is always TLS")
		case name == "tls" && values[0] == "required":
			s.Security = MailStartTLS
		case name == "tls" && values[0] == "none":
			s.Security = MailPlain
		case name == "tls":
			return errors.New("has a parameter tls that is neither required nor none")
		default:
			return fmt.Errorf("has a parameter %q that is unknown; known are tls and ca_file", name)
		}
	}
	if s.Security == MailPlain && s.User != "" && !loopbackHost(s.Host) {
		return errors.New("would send its password without TLS")
	}
	return nil
}
