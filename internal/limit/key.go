package limit

import "net/netip"

// Kind says what a key stands for.
type Kind int

// The kinds of key.
const (
	KindAccount Kind = iota + 1
	KindAddress
	KindPair
)

// Key names one counter. Its value holds the realm, the authenticator and
// canonical names, so that no two things share a counter by accident.
type Key struct {
	Kind  Kind
	Value string
}

// Account is the key of an account: its id where it exists, else the canonical
// identifier that was tried, so that known and unknown names behave alike.
func Account(value string) Key { return Key{KindAccount, value} }

// Address is the key of a client address; see [Prefix].
func Address(value string) Key { return Key{KindAddress, value} }

// Pair is the key of an account seen from an address.
func Pair(value string) Key { return Key{KindPair, value} }

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
