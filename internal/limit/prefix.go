package limit

import "net/netip"

// Prefix returns what counts as one client: an IPv4 address, or the /64 network
// of an IPv6 address, which one subscriber usually has in full. IPv4 addresses
// in IPv6 form are the IPv4 address. An invalid address gives "unknown", so that
// all of them share one counter.
func Prefix(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return "unknown"
	}
	if addr.Is4() {
		return addr.String()
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return network.String()
}
