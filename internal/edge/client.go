package edge

import (
	"net/netip"
	"strings"
)

// maxHops bounds how many entries of X-Forwarded-For are read, from the right.
const maxHops = 32

// clientAddr is the address of whoever sent the request: the peer, unless the
// peer is a listed proxy. Then it is the rightmost hop of X-Forwarded-For that
// is not a listed proxy; everything left of it was written by the client and
// proves nothing. An entry that is no address ends the walk at the last proxy
// that is known to be one: a proxy that writes nonsense is not believed.
func clientAddr(remote string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	if len(trusted) == 0 || len(forwarded) == 0 {
		return addr
	}
	hops := 0
	for i := len(forwarded) - 1; i >= 0; i-- {
		rest := forwarded[i]
		for {
			if !contains(trusted, addr) || hops == maxHops {
				return addr
			}
			hops++
			cut := strings.LastIndexByte(rest, ',')
			hop, ok := parseHop(rest[cut+1:])
			if !ok {
				return addr
			}
			addr = hop
			if cut < 0 {
				break
			}
			rest = rest[:cut]
		}
	}
	return addr
}

// parseHop reads one entry: an address, or an address with a port, an IPv6
// address possibly in brackets.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.Trim(s, " \t")
	if s == "" || len(s) > 64 {
		return netip.Addr{}, false
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
