package passkey

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
	"troth/internal/text"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema of this package.
var Migrations fs.FS = migrations

// Tables are the tables of this package.
var Tables = []string{"passkey", "passkey_handle", "passkey_challenge"}

// Changed is told of every change of somebody's passkeys. Package account fills
// it.
type Changed interface {
	// FactorChangedTx does what a change of credentials brings, in the
	// transaction of the change: the holder is told by mail, and what was proven
	// before no longer holds where a factor was removed.
	FactorChangedTx(ctx context.Context, tx *store.Tx, by access.Subject, account id.Account, what text.Text, removed bool) error
}

// Staff knows who works for the installation itself. Package account fills it.
type Staff interface {
	// StaffTx reports whether the account is staff, as fresh as the transaction.
	StaffTx(tx *store.Tx, account id.Account) (bool, error)
}

// Options are what a [Passkeys] is made of.
type Options struct {
	DB      *store.DB
	Keys    *keys.Keys
	Log     *audit.Log
	Changed Changed // nil: nobody is told
	Staff   Staff   // nil: nobody is staff
	Config  Config
	Origin  string           // "https://app.example.com"
	Hosts   []string         // further names of the front door
	Service string           // what the service is called
	Now     func() time.Time // nil: time.Now
}

// Passkeys is everything that can be done with passkeys. It is safe for
// concurrent use.
type Passkeys struct {
	Options
	now    func() time.Time
	rpID   string
	free   *webauthn.WebAuthn // without attestation
	strict *webauthn.WebAuthn // with it; nil where nobody is asked for it
}

// challengeLife is how long a challenge can be answered.
const challengeLife = 5 * time.Minute

// Max is how many passkeys an account can have.
const Max = 25

// Open makes the passkeys of a migrated database. Where the service is reached
// by an address, or by a name of one label that is not localhost, there can be
// none (L3, 5.4.2: the RP ID is a valid domain): see [Passkeys.Enabled].
func Open(o Options) (*Passkeys, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Service == "" {
		o.Service = "Troth"
	}
	p := &Passkeys{Options: o, now: o.Now}
	origin, err := url.Parse(o.Origin)
	if err != nil {
		return nil, fmt.Errorf("reading the origin %q: %w", o.Origin, err)
	}
	host, err := idna.Lookup.ToASCII(origin.Hostname()) // as browsers write it
	if err != nil || protocol.ValidateRPID(host) != nil {
		return p, nil
	}
	if p.rpID = o.Config.RPID; p.rpID == "" {
		p.rpID = host
	}
	if suffix, icann := publicsuffix.PublicSuffix(p.rpID); !within(host, p.rpID) || icann && suffix == p.rpID || protocol.ValidateRPID(p.rpID) != nil {
		return nil, fault.New(fault.Invalid, "passkey.rp_id", "passkey.rp_id is %q; it can be the host of the origin, %s, or a domain above it that is yours.", p.rpID, host).On("passkey.rp_id")
	}
	return p, p.configure(origin.Scheme, host, origin.Port())
}

// configure sets up the ceremonies.
func (p *Passkeys) configure(scheme, host, port string) (err error) {
	c := &webauthn.Config{
		RPID: p.rpID, RPDisplayName: p.Service, RPOrigins: origins(scheme, host, port, p.Hosts, p.rpID),
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login: webauthn.TimeoutConfig{Timeout: challengeLife, TimeoutUVD: challengeLife}, Registration: webauthn.TimeoutConfig{Timeout: challengeLife, TimeoutUVD: challengeLife},
		},
		// Password managers and browsers add outputs of their own. Nothing is
		// decided by them (L3, 7.1 step 20).
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	}
	if p.free, err = webauthn.New(c); err != nil {
		return fmt.Errorf("setting up passkeys: %w", err)
	}
	if p.Config.Attested == AttestNobody {
		return nil
	}
	strict := *c
	strict.AttestationPreference = protocol.PreferDirectAttestation
	if strict.MDS, err = p.Config.anchors(); err != nil {
		return err
	}
	if p.strict, err = webauthn.New(&strict); err != nil {
		return fmt.Errorf("setting up attested passkeys: %w", err)
	}
	return nil
}

// origins are those at which a passkey of the relying party may be used: the
// service's own, and its further names that lie within the RP ID (L3, 13.4.9).
func origins(scheme, own, port string, hosts []string, rpID string) []string {
	var all []string
	for _, host := range append([]string{own}, hosts...) {
		host, err := idna.Lookup.ToASCII(host)
		if err != nil || !within(host, rpID) {
			continue
		}
		if port != "" {
			host = net.JoinHostPort(host, port)
		}
		if origin := scheme + "://" + host; !slices.Contains(all, origin) {
			all = append(all, origin)
		}
	}
	return all
}

// within reports whether a host is a domain or lies below it.
func within(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// algorithms are the signatures that are taken, the best first.
func algorithms() []protocol.CredentialParameter {
	var all []protocol.CredentialParameter
	for _, a := range []webauthncose.COSEAlgorithmIdentifier{
		webauthncose.AlgEdDSA, webauthncose.AlgES256, webauthncose.AlgES384, webauthncose.AlgES512, webauthncose.AlgRS256,
	} {
		all = append(all, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	return all
}

var errDisabled = fault.New(fault.Unavailable, "passkey.disabled", "There are no passkeys here: this service is reached by an address, and passkeys need a whole name. Sign in with your password.")

// Enabled reports whether there can be passkeys.
func (p *Passkeys) Enabled() bool { return p.free != nil }

// RPID is the domain to which passkeys are bound.
func (p *Passkeys) RPID() string { return p.rpID }

// enabled is nil where there can be passkeys.
func (p *Passkeys) enabled() error {
	if !p.Enabled() {
		return errDisabled
	}
	return nil
}
