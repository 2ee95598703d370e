package safehttp

import "net/netip"

// reach says who may be reached at an address.
type reach int

const (
	public  reach = iota // anybody's host on the internet
	private              // this machine or its network: what the operator lists
	never                // no host of anybody, or one that hands out credentials: no list opens it
)

//nolint:gochecknoglobals // constants that Go cannot spell
var (
	// nat64 carries an IPv4 address in its last 32 bits (RFC 6052 §2.1): in networks without IPv4 that is how every
	// IPv4 host is reached.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	// globalUnicast is all of IPv6 that has been given out (RFC 4291 §2.4).
	globalUnicast = netip.MustParsePrefix("2000::/3")

	privateNetworks = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), // RFC 1918
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT (RFC 6598)
		netip.MustParsePrefix("fc00::/7"),      // unique local (RFC 4193)
	}

	// forbiddenNetworks are special by the registries of RFC 6890, or give a cloud machine's credentials to whoever asks.
	forbiddenNetworks = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.88.99.0/24"),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"),
		netip.MustParsePrefix("2002::/16"), // 6to4: carries any IPv4 address, and is deprecated (RFC 7526)
		netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("fd00:ec2::/32"),
		netip.MustParsePrefix("fd20:ce::254/128"),
	}
)

// reachOf classifies an address by what it means on the wire: an IPv4 address inside an IPv6 one counts as IPv4.
func reachOf(addr netip.Addr) reach {
	if addr.Zone() != "" {
		return never
	}
	addr = addr.Unmap()
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case within(forbiddenNetworks, addr):
		return never
	case within(privateNetworks, addr):
		return private
	case addr.Is6() && !globalUnicast.Contains(addr):
		return never
	}
	return public
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
