package keys

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The two vectors of https://c2sp.org/XAES-256-GCM, "Test vectors": in the
// first the most significant bit of L is 0, in the second it is 1.
func TestXAESVectors(t *testing.T) {
	for _, v := range []struct {
		key             byte
		k1, aad, sealed string
	}{
		{1, "e531954aca063d5b8d9c47a47d4cc6f0", "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "23810ec50edb99f374409466ed1f4b7b", "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x, err := newXAES(bytes.Repeat([]byte{v.key}, keySize))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x.k1[:], unhex(t, v.k1)) {
			t.Errorf("key %d: K1 is %x, want %s", v.key, x.k1, v.k1)
		}
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		sealed, err := x.seal(nil, nonce, []byte("XAES-256-GCM"), []byte(v.aad))
		if err != nil || !bytes.Equal(sealed, unhex(t, v.sealed)) {
			t.Errorf("key %d: sealed to %x, %v; want %s", v.key, sealed, err, v.sealed)
		}
		plain, err := x.open(nil, nonce, sealed, []byte(v.aad))
		if err != nil || string(plain) != "XAES-256-GCM" {
			t.Errorf("key %d: opened to %q, %v", v.key, plain, err)
		}
		if _, err := x.open(nil, nonce, sealed, []byte("other")); err != ErrAltered {
			t.Errorf("key %d: other additional data: %v, want ErrAltered", v.key, err)
		}
	}
}

// "Accumulated randomized tests" of the specification: 10,000 inputs from one
// SHAKE-128, their ciphertexts hashed into another.
func TestXAESAccumulated(t *testing.T) {
	const want = "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
	source, sum := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	read := func(n int) []byte {
		b := make([]byte, n)
		source.Read(b)
		return b
	}
	for range 10_000 {
		key, nonce := read(keySize), read(nonceSize)
		plain := read(int(read(1)[0]))
		aad := read(int(read(1)[0]))
		x, err := newXAES(key)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := x.seal(nil, nonce, plain, aad)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := x.open(nil, nonce, sealed, aad)
		if err != nil || !bytes.Equal(opened, plain) {
			t.Fatalf("opening what was sealed: %v", err)
		}
		sum.Write(sealed)
	}
	got := make([]byte, 32)
	sum.Read(got)
	if !bytes.Equal(got, unhex(t, want)) {
		t.Errorf("accumulated hash %x, want %s", got, want)
	}
}

func TestXAESRefusesOtherKeySizes(t *testing.T) {
	for _, n := range []int{0, 16, 24, 31, 33, 64} {
		if _, err := newXAES(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes was taken", n)
		}
	}
}
