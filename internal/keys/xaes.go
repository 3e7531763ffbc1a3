package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"sync"
)

// Sizes of XAES-256-GCM (https://c2sp.org/XAES-256-GCM).
const (
	keySize   = 32
	nonceSize = 24
	tagSize   = 16
)

// xaes is XAES-256-GCM under one key. It is safe for concurrent use.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte
}

// newXAES prepares a key of exactly 32 bytes.
func newXAES(key []byte) (*xaes, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("an XAES-256-GCM key has %d bytes, not %d", keySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("preparing AES-256: %w", err)
	}
	x := &xaes{block: block}
	// Steps 1 and 2: L = AES(0); K1 = L << 1, reduced (SP 800-38B, 6.1).
	block.Encrypt(x.k1[:], x.k1[:])
	msb := int(x.k1[0] >> 7)
	for i := range x.k1[:aes.BlockSize-1] {
		x.k1[i] = x.k1[i]<<1 | x.k1[i+1]>>7
	}
	x.k1[aes.BlockSize-1] = x.k1[aes.BlockSize-1]<<1 ^ byte(subtle.ConstantTimeSelect(msb, 0b10000111, 0))
	return x, nil
}

// derived is scratch for one derivation, so that it is not allocated each time.
type derived [keySize]byte

var scratch = sync.Pool{New: func() any { return new(derived) }}

// aead derives the AES-256-GCM instance for the first half of a nonce: steps
// 3 to 5 of the specification.
func (x *xaes) aead(nonce []byte) (cipher.AEAD, error) {
	kx := scratch.Get().(*derived)
	defer func() { clear(kx[:]); scratch.Put(kx) }()
	m1, m2 := kx[:aes.BlockSize], kx[aes.BlockSize:]
	copy(m1, []byte{0, 1, 'X', 0})
	copy(m1[4:], nonce[:12])
	copy(m2, []byte{0, 2, 'X', 0})
	copy(m2[4:], nonce[:12])
	subtle.XORBytes(m1, m1, x.k1[:])
	subtle.XORBytes(m2, m2, x.k1[:])
	x.block.Encrypt(m1, m1)
	x.block.Encrypt(m2, m2)
	block, err := aes.NewCipher(kx[:])
	if err != nil {
		return nil, fmt.Errorf("preparing the derived key: %w", err)
	}
	return cipher.NewGCM(block)
}

// seal appends the ciphertext and tag of plain to dst.
func (x *xaes) seal(dst, nonce, plain, aad []byte) ([]byte, error) {
	a, err := x.aead(nonce)
	if err != nil {
		return nil, err
	}
	return a.Seal(dst, nonce[12:], plain, aad), nil
}

// open appends the plaintext to dst, or returns [ErrAltered].
func (x *xaes) open(dst, nonce, sealed, aad []byte) ([]byte, error) {
	a, err := x.aead(nonce)
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(dst, nonce[12:], sealed, aad)
	if err != nil {
		return nil, ErrAltered // the library's error says no more than this
	}
	return plain, nil
}

// sealRandom appends a random nonce, the ciphertext and the tag to dst.
func (x *xaes) sealRandom(dst, plain, aad []byte) ([]byte, error) {
	n := len(dst)
	dst = append(dst, make([]byte, nonceSize)...)
	nonce := dst[n:]
	rand.Read(nonce) // never fails: crypto/rand stops the program instead
	return x.seal(dst, nonce, plain, aad)
}

// openRandom opens what sealRandom appended.
func (x *xaes) openRandom(dst, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < nonceSize+tagSize {
		return nil, ErrAltered
	}
	return x.open(dst, sealed[:nonceSize], sealed[nonceSize:], aad)
}

// Format keeps the key out of every verb of package fmt.
func (x *xaes) Format(f fmt.State, _ rune) { fmt.Fprint(f, "XAES-256-GCM") }
