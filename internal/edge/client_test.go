package edge

import (
	"net/netip"
	"strings"
	"testing"
)

func prefixes(t testing.TB, list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestTheClientIsTheRightmostUntrustedHop(t *testing.T) {
	trusted := prefixes(t, "10.0.0.0/8", "fd00::/8")
	for _, c := range []struct {
		remote  string
		headers []string
		want    string
	}{
		{"203.0.113.7:443", nil, "203.0.113.7"},
		{"203.0.113.7:443", []string{"198.51.100.1"}, "203.0.113.7"}, // a stranger's word
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"1.2.3.4", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"198.51.100.1:8080"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"[2001:db8::1]:8080"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"[::ffff:10.0.0.1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"[fd00::1]:1", []string{"2001:db8::1%eth0"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"unknown"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1, nonsense, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:1", []string{"198.51.100.1,"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{strings.Repeat("10.0.0.9,", 100) + "10.0.0.8"}, "10.0.0.9"},
		{"", []string{"198.51.100.1"}, "invalid IP"},
		{"@", nil, "invalid IP"},
	} {
		if got := clientAddr(c.remote, c.headers, trusted); got.String() != c.want {
			t.Errorf("%s with %v is %s, not %s", c.remote, c.headers, got, c.want)
		}
	}
}

func FuzzForwardedFor(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.1", "10.0.0.2")
	f.Add("10.0.0.1:1", "1.2.3.4, [::1]:5", "")
	f.Add("203.0.113.7:1", "x", ",")
	trusted := prefixes(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, remote, a, b string) {
		got := clientAddr(remote, []string{a, b}, trusted)
		peer, err := netip.ParseAddrPort(remote)
		if err != nil {
			if got.IsValid() {
				t.Errorf("%q has no address, yet it is %s", remote, got)
			}
			return
		}
		if !got.IsValid() {
			t.Errorf("no address for %q", remote)
		}
		if p := peer.Addr().Unmap().WithZone(""); !contains(trusted, p) && got != p {
			t.Errorf("a stranger %s passes for %s", p, got)
		}
		// Whatever stands left of the first untrusted hop changes nothing.
		if more := clientAddr(remote, []string{"192.0.2.66, " + a, b}, trusted); !contains(trusted, got) && more != got {
			t.Errorf("a client chose its address: %s, then %s", got, more)
		}
	})
}
