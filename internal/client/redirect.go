package client

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// AllowsRedirect tells whether uri is one of the client's redirect addresses. The match is byte-exact, with one
// exception: the port of a registered http loopback address of a native client (RFC 8252 §7.3), everything else
// being equal.
func (s Settings) AllowsRedirect(uri string) bool {
	if slices.Contains(s.RedirectURIs, uri) {
		return true
	}
	if s.ApplicationType != "native" {
		return false
	}
	asked, ok := loopback(uri)
	if !ok {
		return false
	}
	for _, registered := range s.RedirectURIs {
		if have, ok := loopback(registered); ok && have == asked {
			return true
		}
	}
	return false
}

// loopback returns an http loopback address without its port, ready to compare as text.
func loopback(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.User != nil || strings.ContainsRune(uri, '#') {
		return "", false
	}
	ip := net.ParseIP(u.Hostname())
	if ip == nil || !ip.IsLoopback() {
		return "", false
	}
	// What is not the port is compared as it was written: parsing would equate different spellings.
	rest, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", false
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if authority != u.Host {
		return "", false
	}
	return u.Hostname() + path, true
}

// AllowsPostLogoutRedirect tells whether uri is registered for the return after a logout: byte-exact
// (RP-Initiated Logout §3.1).
func (s Settings) AllowsPostLogoutRedirect(uri string) bool {
	return slices.Contains(s.PostLogoutRedirectURIs, uri)
}

// CheckRedirectURI says why uri cannot be registered, "" when it can (RFC 9700 §2.6, RFC 8252 §7).
func CheckRedirectURI(uri string, applicationType string) string {
	if strings.ContainsFunc(uri, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "contains a space or a control character"
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "":
		return "is not an absolute URL"
	case u.Opaque != "" && u.Scheme != "http" && u.Scheme != "https" && !strings.Contains(u.Scheme, "."):
		return forbiddenScheme(u.Scheme)
	case strings.ContainsRune(uri, '#'):
		return "has a fragment"
	case u.User != nil:
		return "has a user name or password"
	case strings.ContainsRune(uri, '*'):
		return "has a wildcard; register each address"
	}
	switch u.Scheme {
	case "https":
		if u.Hostname() == "" {
			return "has no host"
		}
		return ""
	case "http":
		if ip := net.ParseIP(u.Hostname()); (ip != nil && ip.IsLoopback()) || u.Hostname() == "localhost" {
			return ""
		}
		return "uses http; only loopback addresses may (http://127.0.0.1/…)"
	}
	if why := forbiddenScheme(u.Scheme); why != "" {
		return why
	}
	if applicationType != "native" {
		return "uses a scheme of its own; only native applications may"
	}
	return ""
}

// forbiddenScheme says why a scheme other than http and https cannot be used. Schemes of native applications are
// reversed domain names (RFC 8252 §7.1), which keeps out javascript, data, file and their like.
func forbiddenScheme(scheme string) string {
	if strings.Contains(scheme, ".") {
		return ""
	}
	return fmt.Sprintf("uses the scheme %q; a scheme of a native application is a reversed domain name with a dot, such as com.example.app", scheme)
}
