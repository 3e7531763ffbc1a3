package factor

import (
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"troth/internal/secret"
)

// What every app understands: RFC 6238, 4 and 1.2; "Key Uri Format" of the
// first such app has no other values that all of them read.
const (
	period  = 30 // seconds
	digits  = 6
	keySize = 20 // bytes; RFC 4226, 4, R6 recommends 160 bits

	// RFC 6238, 5.2 and 6: one step each way for the time that typing takes and
	// for a clock that is a little off.
	window = 1
	// How far off a clock is looked for when an app is set up, to say so.
	reach = 10
)

var base = base32.StdEncoding.WithPadding(base32.NoPadding)

// stepAt is the time step of a moment (RFC 6238, 4.2).
func stepAt(at time.Time) int64 { return at.Unix() / period }

// codeOf is the code of one time step. The key is in base 32.
func codeOf(key string, step int64) (string, error) {
	code, err := hotp.GenerateCodeCustom(key, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "", fmt.Errorf("computing a one-time code: %w", err) // the library's errors do not quote the key
	}
	return code, nil
}

// CodeAt is the code that an app with the key shows at a time. The key is the
// text that a page shows when an app is set up, spaces included: with it, a
// check or a test plays the app.
func CodeAt(key secret.String, at time.Time) (string, error) {
	return codeOf(strings.ToUpper(strings.ReplaceAll(key.Reveal(), " ", "")), stepAt(at))
}

// match looks for a code among the steps around one, and returns the step
// whose code it is. It computes and compares all of them, whatever it finds.
func match(key secret.Bytes, code string, around int64, distance int) (step int64, ok bool, err error) {
	text := base.EncodeToString(key.Reveal())
	for s := around - int64(distance); s <= around+int64(distance); s++ {
		right, err := codeOf(text, s)
		if err != nil {
			return 0, false, err
		}
		equal := subtle.ConstantTimeCompare([]byte(right), []byte(code))
		if equal == 1 && (!ok || abs(s-around) < abs(step-around)) {
			step, ok = s, true // the nearest, should two have the same code
		}
	}
	return step, ok, nil
}

func abs(n int64) int64 { return max(n, -n) }

// typed is a code as somebody typed it, without the spaces and dashes that
// apps and mails group it with.
func typed(code secret.String) string {
	s := code.Reveal()
	if len(s) > 64 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\u00a0', '\u202f', '-', '\u2010', '\u2011', '\u2013':
			return -1
		}
		return r
	}, s)
}

// grouped is a text in groups of four.
func grouped(s, between string) string {
	var groups []string
	for len(s) > 4 {
		groups, s = append(groups, s[:4]), s[4:]
	}
	return strings.Join(append(groups, s), between)
}

// link is the address that sets an app up on the device that opens it, and
// what the picture holds
// (https://github.com/google/google-authenticator/wiki/Key-Uri-Format).
func link(service, address, key string) string {
	issuer := strings.ReplaceAll(service, ":", " ")
	// Apps read spaces as %20 only, and not as the plus sign of forms.
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d",
		escape(issuer), escape(address), key, escape(issuer), digits, period)
}
