package passkey

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/store"
)

// row is a passkey as it is stored.
type row struct {
	passkey     id.Passkey
	account     id.Account
	home        id.Tenant
	credential  []byte
	publicKey   []byte
	counter     int64
	eligible    bool
	backedUp    bool
	aaguid      []byte
	attachment  string
	transports  string
	format      string
	attestation string
	attested    bool
	statement   []byte
	name        []byte // sealed
	createdAt   int64
	usedAt      int64
	stoppedAt   int64
}

const columns = `passkey, account, home, credential, public_key, counter, eligible, backed_up, aaguid, attachment, transports,
	format, attestation, attested, name, created_at, used_at, stopped_at`

// scanner is a row of one or of many.
type scanner interface{ Scan(dest ...any) error }

func (r *row) scan(s scanner) error {
	return s.Scan(&r.passkey, &r.account, &r.home, &r.credential, &r.publicKey, &r.counter, &r.eligible, &r.backedUp, &r.aaguid,
		&r.attachment, &r.transports, &r.format, &r.attestation, &r.attested, &r.name, &r.createdAt, &r.usedAt, &r.stoppedAt)
}

// find reads one passkey; none is a zero row.
func find(tx *store.Tx, where string, args ...any) (row, error) {
	var r row
	err := r.scan(tx.QueryRow(`SELECT `+columns+` FROM passkey WHERE `+where, args...))
	if errors.Is(err, store.ErrNoRows) {
		return row{}, nil
	}
	return r, err
}

// byCredential finds a passkey by the identifier that its device gave it.
func byCredential(tx *store.Tx, credential []byte) (row, error) {
	digest := sha256.Sum256(credential)
	return find(tx, `digest = $1`, digest[:])
}

// of reads the passkeys of an account, the oldest first.
func of(tx *store.Tx, account id.Account) ([]row, error) {
	rows, err := tx.Query(`SELECT `+columns+` FROM passkey WHERE account = $1 ORDER BY passkey LIMIT $2`, account, 2*Max)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		var r row
		if err := r.scan(rows); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func insert(tx *store.Tx, r row) error {
	digest := sha256.Sum256(r.credential)
	_, err := tx.Exec(`INSERT INTO passkey (passkey, account, home, digest, credential, public_key, counter, eligible, backed_up, aaguid,
			attachment, transports, format, attestation, attested, statement, name, created_at, used_at, stopped_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`,
		r.passkey, r.account, r.home, digest[:], r.credential, r.publicKey, r.counter, r.eligible, r.backedUp, r.aaguid,
		r.attachment, r.transports, r.format, r.attestation, r.attested, r.statement, r.name, r.createdAt, r.usedAt, r.stoppedAt)
	return err
}

// used notes the use of a passkey, if nobody used it meanwhile.
func used(tx *store.Tx, r row, counter uint32, backedUp bool, at time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE passkey SET counter = $1, backed_up = $2, used_at = $3 WHERE passkey = $4 AND counter = $5 AND stopped_at = 0`,
		int64(counter), backedUp, store.Micros(at), r.passkey, r.counter)
	return n == 1, err
}

func stop(tx *store.Tx, r row, at time.Time) error {
	_, err := tx.Exec(`UPDATE passkey SET stopped_at = $1 WHERE passkey = $2 AND stopped_at = 0`, store.Micros(at), r.passkey)
	return err
}

// handleSize is the length of a user handle: as long as one can be, all of it
// random (L3, 5.4.3 and 14.6.1).
const handleSize = 64

// handleOf is the user handle of an account, or nothing.
func handleOf(tx *store.Tx, account id.Account) ([]byte, error) {
	var handle []byte
	err := tx.QueryRow(`SELECT handle FROM passkey_handle WHERE account = $1`, account).Scan(&handle)
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	return handle, err
}

// makeHandle is the user handle of an account, made if there is none.
func makeHandle(tx *store.Tx, account id.Account) ([]byte, error) {
	handle, err := handleOf(tx, account)
	if err != nil || handle != nil {
		return handle, err
	}
	handle = make([]byte, handleSize)
	rand.Read(handle) // never fails: crypto/rand stops the program instead
	_, err = tx.Exec(`INSERT INTO passkey_handle (account, handle) VALUES ($1, $2)`, account, handle)
	return handle, err
}

// ForgetTx removes what is kept about the passkeys of an account that is being
// destroyed.
func (p *Passkeys) ForgetTx(tx *store.Tx, account id.Account) error {
	for _, query := range []string{
		`DELETE FROM passkey WHERE account = $1`, `DELETE FROM passkey_handle WHERE account = $1`, `DELETE FROM passkey_challenge WHERE account = $1`,
	} {
		if _, err := tx.Exec(query, account); err != nil {
			return fmt.Errorf("removing the passkeys of an account: %w", err)
		}
	}
	return nil
}

// place says where the name of a passkey stands, for sealing.
func (r row) place() keys.Place {
	return keys.Place{Tenant: r.home, Table: "passkey", Column: "name", Row: string(r.passkey)}
}

func (r row) refs() []keys.Ref {
	return []keys.Ref{keys.TenantRef(r.home), keys.SubjectRef(r.account)}
}

func (p *Passkeys) seal(ctx context.Context, r row, name string) ([]byte, error) {
	b, err := p.Keys.Seal(ctx, r.place(), []byte(name), r.refs()...)
	if err != nil {
		return nil, fmt.Errorf("sealing the name of a passkey: %w", err)
	}
	return b, nil
}

func (p *Passkeys) open(ctx context.Context, r row) (string, error) {
	b, err := p.Keys.Open(ctx, r.place(), r.name, r.refs()...)
	if err != nil {
		return "", fmt.Errorf("opening the name of a passkey: %w", err)
	}
	return string(b), nil
}

// flags are what is known of a passkey for good, as its device sends them.
func (r row) flags() protocol.AuthenticatorFlags {
	f := protocol.FlagUserPresent | protocol.FlagUserVerified
	if r.eligible {
		f |= protocol.FlagBackupEligible
	}
	if r.backedUp {
		f |= protocol.FlagBackupState
	}
	return f
}

// record is a passkey as the library reads it (L3, 4, credential record).
func (r row) record() webauthn.Credential {
	c := webauthn.Credential{
		ID: r.credential, PublicKey: r.publicKey, AttestationType: r.attestation, AttestationFormat: r.format,
		Flags:         webauthn.NewCredentialFlags(r.flags()),
		Authenticator: webauthn.Authenticator{AAGUID: r.aaguid, SignCount: uint32(r.counter)},
	}
	for _, t := range strings.Fields(r.transports) {
		c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
	}
	return c
}

// user is an account as the library reads it.
type user struct {
	handle      []byte
	email, name string
	passkeys    []row
}

// WebAuthnID is the user handle.
func (u user) WebAuthnID() []byte { return u.handle }

// WebAuthnName tells accounts apart in the device's own list.
func (u user) WebAuthnName() string { return u.email }

// WebAuthnDisplayName is what the person is called.
func (u user) WebAuthnDisplayName() string { return u.name }

// WebAuthnCredentials are the passkeys that can answer.
func (u user) WebAuthnCredentials() []webauthn.Credential {
	var all []webauthn.Credential
	for _, r := range u.passkeys {
		all = append(all, r.record())
	}
	return all
}
