package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"troth/internal/secret"
	"troth/internal/text"
)

// A flash message survives one redirect in a cookie of its own: expiry and
// sentence, signed together with the session (HMAC-SHA-256). Whoever can set
// cookies here still cannot put words into Troth's mouth, and a message of one
// session is none in another. It lives a minute and is removed by the page
// that shows it.
const (
	flashCookie = "__Host-troth-flash" // RFC 6265bis, 4.1.3.2: no other host can set it
	flashLife   = time.Minute
	flashLimit  = 600 // characters
)

func newFlashKey() secret.Bytes {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return secret.OfBytes(b)
}

// Flash shows a sentence on the next page, once. Call it before See.
func (r *Request) Flash(t text.Text) {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.Now.Add(flashLife).Unix()))
	b = append(b, clip(r.Text.Say(t), flashLimit)...)
	b = append(r.flashSum(b), b...)
	r.setFlash(base64.RawURLEncoding.EncodeToString(b), int(flashLife/time.Second))
}

func (r *Request) setFlash(value string, age int) {
	http.SetCookie(r.W, &http.Cookie{Name: flashCookie, Value: value, Path: "/", MaxAge: age,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

func (r *Request) flashSum(b []byte) []byte {
	key := r.deps.Renderer.FlashKey
	if key.IsZero() {
		key = r.deps.Renderer.random
	}
	m := hmac.New(sha256.New, key.Reveal())
	m.Write([]byte(r.Subject.Session))
	m.Write([]byte{0})
	m.Write(b)
	return m.Sum(nil)
}

// takeFlash is the message of the request before, or "".
func (r *Request) takeFlash() string {
	c, err := r.Cookie(flashCookie)
	if err != nil || len(c.Value) > 8*flashLimit {
		return ""
	}
	r.flashed = true
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(b) < sha256.Size+8 {
		return ""
	}
	sum, b := b[:sha256.Size], b[sha256.Size:]
	if !hmac.Equal(sum, r.flashSum(b)) || r.Now.Unix() > int64(binary.BigEndian.Uint64(b)) {
		return ""
	}
	return string(b[8:])
}

// dropFlash removes the cookie once its message was shown.
func (r *Request) dropFlash() {
	if r.flashed {
		r.setFlash("", -1)
	}
}
