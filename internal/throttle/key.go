package throttle

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"net/netip"
	"sync"

	"troth/internal/secret"
)

// Key names who spends: a keyed digest, from which nobody learns who it was.
type Key [16]byte

// hasher computes keys without allocating. Each is used by one goroutine at once.
type hasher struct {
	mac hash.Hash
	in  []byte
	out []byte
}

// newHashers is a pool of hashers under a key.
func newHashers(key secret.Bytes) *sync.Pool {
	return &sync.Pool{New: func() any {
		return &hasher{mac: hmac.New(sha256.New, key.Reveal()), in: make([]byte, 0, 128), out: make([]byte, 0, sha256.Size)}
	}}
}

// Key is the key of something of a kind: the kind keeps apart what has the same
// bytes. It is the same on all nodes. Data of any length are taken.
func (t *Throttle) Key(kind string, data []byte) Key {
	h := t.hashers.Get().(*hasher)
	h.in = append(append(append(h.in[:0], kind...), 0), data...) // no kind has a zero byte
	k := h.sum()
	t.hashers.Put(h)
	return k
}

// prefixKey is the key of a network.
func (t *Throttle) prefixKey(p netip.Prefix) Key {
	h := t.hashers.Get().(*hasher)
	a := p.Addr().As16()
	h.in = append(append(append(h.in[:0], "network\x00"...), byte(p.Bits())), a[:]...)
	if p.Addr().Is4() {
		h.in = append(h.in, 4)
	}
	k := h.sum()
	t.hashers.Put(h)
	return k
}

func (h *hasher) sum() (k Key) {
	h.mac.Reset()
	h.mac.Write(h.in)
	h.out = h.mac.Sum(h.out[:0])
	copy(k[:], h.out)
	return k
}

// Networks are the networks in which an address is.
type Networks struct {
	Near Key  // the address of version 4, the /64 of version 6
	Wide Key  // the /48 of version 6, of which a customer commonly gets one (RFC 6177)
	Two  bool // whether there is a wide one
}

// Networks finds the keys of the networks in which an address is. An address
// that is none has a key too, which all such share.
func (t *Throttle) Networks(ip netip.Addr) Networks {
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() {
		return Networks{Near: t.Key("nowhere", nil)}
	}
	if ip.Is4() {
		return Networks{Near: t.prefixKey(netip.PrefixFrom(ip, 32))}
	}
	near, _ := ip.Prefix(64) // fails only for lengths that the version has not
	wide, _ := ip.Prefix(48)
	return Networks{Near: t.prefixKey(near), Wide: t.prefixKey(wide), Two: true}
}
