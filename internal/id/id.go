// Package id makes and reads the typed identifiers of Troth.
//
// An identifier is a prefix that names its type, an underscore, and the 26
// characters of a UUID version 7 (RFC 9562, 5.7) in Crockford's base 32, lower
// case: "acc_01jd…". The prefix makes a foreign identifier recognisable in a
// log; the type makes it impossible to pass a tenant where an account is
// expected. Identifiers sort by the time of their making, to a quarter of a
// microsecond. They are names, not secrets: whoever holds one may do nothing with it.
package id

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"

	"troth/internal/fault"
)

// The identifiers. Each is a string in the database, in JSON and in a URL.
type (
	Account    string // a person's account, "acc_"
	Tenant     string // an organisation, or the personal space of an account, "ten_"
	Session    string // a signed-in browser, "ses_"
	Event      string // an entry of the log, "evt_"
	Invitation string // an invitation to an organisation, "inv_"
	Mail       string // a message on its way out, "eml_"
	Text       string // a text message on its way out, "txt_"
	Factor     string // a second factor of an account, "fct_"
	Job        string // one piece of background work, "job_"
	Request    string // one request; also the reference that an error page shows, "req_"
	Evidence   string // one piece of evidence of the trust page, "evi_"
	Change     string // one entry of the change feed, "chg_"
	Device     string // a browser in which an account has signed in, "dev_"
	Passkey    string // a passkey of an account, "pky_"
	Recovery   string // a recovery of an account that waits, "rec_"
)

// Platform is the tenant that stands for the installation itself: events that
// belong to no customer are logged under it. It is no tenant that a person can
// be a member of.
const Platform Tenant = "ten_00000000000000000000000000"

func (Account) prefix() string    { return "acc" }
func (Tenant) prefix() string     { return "ten" }
func (Session) prefix() string    { return "ses" }
func (Event) prefix() string      { return "evt" }
func (Invitation) prefix() string { return "inv" }
func (Mail) prefix() string       { return "eml" }
func (Text) prefix() string       { return "txt" }
func (Factor) prefix() string     { return "fct" }
func (Job) prefix() string        { return "job" }
func (Request) prefix() string    { return "req" }
func (Evidence) prefix() string   { return "evi" }
func (Change) prefix() string     { return "chg" }
func (Device) prefix() string     { return "dev" }
func (Passkey) prefix() string    { return "pky" }
func (Recovery) prefix() string   { return "rec" }

// Typed is any of the identifiers of this package.
type Typed interface {
	~string
	prefix() string
}

// alphabet is Crockford's, in lower case: no i, l, o, u.
var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

const (
	prefixLen = 3
	bodyLen   = 26 // ceil(128 bits / 5)
	textLen   = prefixLen + 1 + bodyLen
)

// New makes an identifier from the time and 62 bits of crypto/rand. Twelve bits
// hold the part of the millisecond (RFC 9562, 6.2, method 3), so that what one
// action does in order also sorts in order.
func New[T Typed](now time.Time) T {
	var u [16]byte
	rand.Read(u[:]) // never fails: crypto/rand stops the program instead
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(u[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:], uint32(ms))
	part := uint16(now.UnixNano() % int64(time.Millisecond) * 4096 / int64(time.Millisecond))
	binary.BigEndian.PutUint16(u[6:], part&0x0fff|0x7000) // RFC 9562, 4.2: version 7
	u[8] = u[8]&0x3f | 0x80                               // RFC 9562, 4.1: variant
	var zero T
	b := make([]byte, 0, textLen)
	b = append(b, zero.prefix()...)
	b = append(b, '_')
	return T(alphabet.AppendEncode(b, u[:]))
}

// Parse reads an identifier of type T. Anything that New or [Platform] cannot
// have made is fault.NotFound: a wrong identifier names nothing, and the
// answer does not tell a malformed one from a foreign one.
func Parse[T Typed](s string) (T, error) {
	var zero T
	if len(s) != textLen || s[prefixLen] != '_' || s[:prefixLen] != zero.prefix() {
		return "", errUnknown
	}
	var u [17]byte
	if n, err := alphabet.Decode(u[:], []byte(s[prefixLen+1:])); err != nil || n != 16 {
		return "", errUnknown
	}
	if !strings.HasSuffix(s, alphabet.EncodeToString(u[:16])) {
		return "", errUnknown // the spare bits of the last character must be zero
	}
	return T(s), nil
}

// Time is the millisecond in which the identifier was made. The identifier
// must come from New or Parse; otherwise the time is zero.
func Time[T Typed](v T) time.Time {
	if len(v) != textLen {
		return time.Time{}
	}
	var u [17]byte
	if n, err := alphabet.Decode(u[:], []byte(v[prefixLen+1:])); err != nil || n != 16 {
		return time.Time{}
	}
	ms := uint64(binary.BigEndian.Uint16(u[0:]))<<32 | uint64(binary.BigEndian.Uint32(u[2:]))
	return time.UnixMilli(int64(ms))
}

var errUnknown = fault.New(fault.NotFound, "id.unknown", "There is nothing here under that identifier.")
