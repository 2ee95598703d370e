package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Origin is scheme://host[:port] in lower case, without the scheme's own port
// and without a trailing slash. The empty Origin is "not given".
type Origin string

// Host returns host[:port].
func (o Origin) Host() string {
	_, host, _ := strings.Cut(string(o), "://")
	return host
}

// Secure reports whether the scheme is https.
func (o Origin) Secure() bool { return strings.HasPrefix(string(o), "https://") }

// Loopback reports whether the host can only be this machine: localhost, a name
// below it (RFC 6761 §6.3) or a loopback address.
func (o Origin) Loopback() bool {
	parsed, err := url.Parse(string(o))
	return err == nil && loopbackHost(parsed.Hostname())
}

// UnmarshalText parses and canonicalises an origin.
func (o *Origin) UnmarshalText(text []byte) error {
	parsed, err := url.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return errors.New("is not a URL")
	}
	host := strings.ToLower(parsed.Hostname())
	switch {
	case parsed.Scheme != "https" && parsed.Scheme != "http":
		return errors.New("does not start with https:// or http://")
	case host == "":
		return errors.New("has no host")
	case parsed.User != nil:
		return errors.New("contains a user name or password")
	case strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		return errors.New("has a path, query or fragment; it must be an origin such as https://login.example.com")
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := parsed.Port()
	if port != "" && (parsed.Scheme != "https" || port != "443") && (parsed.Scheme != "http" || port != "80") {
		host += ":" + port
	}
	*o = Origin(parsed.Scheme + "://" + host)
	return nil
}

// Networks is a set of address ranges.
type Networks struct{ list []netip.Prefix }

// Prefixes returns the ranges as given.
func (n Networks) Prefixes() []netip.Prefix { return slices.Clone(n.list) }

// IsZero reports whether there is no range.
func (n Networks) IsZero() bool { return len(n.list) == 0 }

// Contains reports whether one of the ranges holds addr. An IPv4 address in IPv6
// form counts as IPv4.
func (n Networks) Contains(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(n.list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// UnmarshalText reads a comma list of CIDRs; a bare address is the range of
// itself.
func (n *Networks) UnmarshalText(text []byte) error {
	var list []netip.Prefix
	for _, item := range splitList(string(text)) {
		prefix, err := parseNetwork(item)
		if err != nil {
			return err
		}
		list = append(list, prefix)
	}
	n.list = list
	return nil
}

func parseNetwork(item string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(item); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(item)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a network such as 10.0.0.0/8", item)
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its mask; did you mean %s?", item, prefix.Masked())
	}
	return prefix, nil
}

// Bytes is an amount of memory.
type Bytes int64

// UnmarshalText reads a whole number with an optional unit: B, KB, MB, GB by
// thousands, KiB, MiB, GiB by 1,024.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	number, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not an amount such as 256MiB", s)
	}
	unit, known := map[string]int64{
		"": 1, "b": 1,
		"kb": 1000, "mb": 1000 * 1000, "gb": 1000 * 1000 * 1000,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
	}[strings.ToLower(strings.TrimSpace(s[digits:]))]
	if !known || number > (1<<62)/unit {
		return fmt.Errorf("%q is not an amount such as 256MiB", s)
	}
	*b = Bytes(number * unit)
	return nil
}

// loopbackHost reports whether a host name or literal address means this machine.
func loopbackHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// loopbackAddr reports whether a listener on host:port is reachable from this
// machine only. An empty host binds every interface.
func loopbackAddr(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	return err == nil && loopbackHost(host)
}

// splitList splits a comma list, dropping blanks and empty items.
func splitList(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
