package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Destinations are what the guard of outbound requests lets through beyond public hosts on the ordinary port.
type Destinations struct{ list []destination }

// destination is a host, by name or address, with or without a port; or a network.
type destination struct {
	host    string
	port    uint16
	network netip.Prefix
}

// NamesHost tells whether host (a name in lower case or an address) is listed for that port: with it, or without any
// port when it is the ordinary one of https or http.
func (d Destinations) NamesHost(host string, port uint16) bool {
	return slices.ContainsFunc(d.list, func(e destination) bool {
		return e.host != "" && e.host == host && (e.port == port || e.port == 0 && (port == 443 || port == 80))
	})
}

// NamesPort tells whether host is listed with exactly that port.
func (d Destinations) NamesPort(host string, port uint16) bool {
	return slices.Contains(d.list, destination{host: host, port: port})
}

// HoldsAddress tells whether addr lies in one of the listed networks.
func (d Destinations) HoldsAddress(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(d.list, func(e destination) bool { return e.network.IsValid() && e.network.Contains(addr) })
}

// UnmarshalText reads a comma list of host, host:port and network.
func (d *Destinations) UnmarshalText(text []byte) error {
	var list []destination
	for _, item := range splitList(string(text)) {
		one, err := parseDestination(item)
		if err != nil {
			return fmt.Errorf("%q %w", item, err)
		}
		list = append(list, one)
	}
	d.list = list
	return nil
}

func parseDestination(item string) (destination, error) {
	if strings.Contains(item, "://") {
		return destination{}, errors.New("is a URL; write only its host, or host:port")
	}
	if strings.Contains(item, "/") {
		network, err := netip.ParsePrefix(item)
		switch {
		case err != nil:
			return destination{}, errors.New("is not a network such as 10.0.0.0/8")
		case network != network.Masked():
			return destination{}, fmt.Errorf("has bits beyond its mask; did you mean %s?", network.Masked())
		case network.Bits() == 0:
			return destination{}, errors.New("is every address; name those that are meant")
		case network.Addr().Is4In6():
			return destination{}, errors.New("is an IPv4 network in IPv6 form; write it as IPv4")
		}
		return destination{network: network}, nil
	}
	if host, ok := parseHost(strings.TrimSuffix(strings.TrimPrefix(item, "["), "]")); ok {
		return destination{host: host}, nil
	}
	name, text, err := net.SplitHostPort(item)
	host, ok := parseHost(name)
	if err != nil || !ok {
		return destination{}, errors.New("is not a host, host:port or network")
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return destination{}, errors.New("has a port that is not a number from 1 to 65535")
	}
	return destination{host: host, port: uint16(port)}, nil
}

// parseHost canonicalises a host: a name in lower case without the root's dot, or an address.
func parseHost(host string) (string, bool) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String(), addr.Zone() == ""
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	if host == "" || len(host) > 253 || strings.Trim(host, letters) != "" || strings.Contains(host, "..") {
		return "", false
	}
	// Some resolvers read numbers as addresses (127.1); a name's last label is not a number.
	last := host[strings.LastIndexByte(host, '.')+1:]
	return host, strings.Trim(last, "0123456789") != ""
}
