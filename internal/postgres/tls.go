package postgres

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrPlaintext says that a database on another machine would be reached without TLS, or without knowing whose it is:
// whoever sits in between could read every secret and answer in its place.
var ErrPlaintext = errors.New("the database would be reached without verified TLS")

// CheckTLS returns ErrPlaintext for a connection string that leads to another machine and does not demand TLS with a
// verified certificate, be it as a second choice (SECURITY.md OP-01).
func CheckTLS(url string) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("parse the database URL: %w", redactURL(err))
	}
	if !local(cfg.Host) && !verified(cfg.TLSConfig) {
		return fmt.Errorf("%w at %q", ErrPlaintext, cfg.Host)
	}
	for _, f := range cfg.Fallbacks {
		if !local(f.Host) && !verified(f.TLSConfig) {
			return fmt.Errorf("%w at %q", ErrPlaintext, f.Host)
		}
	}
	return nil
}

// WantsPlaintext tells whether a connection string says outright that there is to be no TLS (sslmode=disable).
func WantsPlaintext(connection string) bool {
	return plaintext.MatchString(connection)
}

var plaintext = regexp.MustCompile(`(^|[?&\s])sslmode\s*=\s*disable($|[&\s])`)

// local tells whether a host is this machine: a socket in the file system, or a loopback address.
func local(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" || ip != nil && ip.IsLoopback()
}

// verified tells whether a certificate is looked at: by crypto/tls or, as for sslmode=verify-ca, by pgx.
func verified(c *tls.Config) bool {
	return c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil || c.VerifyConnection != nil)
}
