package tenant

import (
	"database/sql"
	"errors"
	"time"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// tenantRow is a row of the table tenant.
type tenantRow struct {
	tenant    id.Tenant
	kind      Kind
	name      []byte // sealed
	founder   id.Account
	createdAt time.Time
}

const tenantColumns = `tenant.tenant, tenant.kind, tenant.name, tenant.founder, tenant.created_at`

type scanner interface{ Scan(dest ...any) error }

func (r *tenantRow) scan(s scanner, more ...any) error {
	var created int64
	err := s.Scan(append([]any{&r.tenant, &r.kind, &r.name, &r.founder, &created}, more...)...)
	r.createdAt = store.FromMicros(created)
	if errors.Is(err, store.ErrNoRows) {
		return access.ErrForeign
	}
	return err
}

// tenantTx reads a tenant that exists; access.ErrForeign otherwise.
func tenantTx(tx *store.Tx, tenant id.Tenant) (tenantRow, error) {
	var r tenantRow
	err := r.scan(tx.QueryRow(`SELECT `+tenantColumns+` FROM tenant WHERE tenant = $1 AND destroyed_at = 0`, tenant))
	return r, err
}

func insertTenantTx(tx *store.Tx, r tenantRow) error {
	_, err := tx.Exec(`INSERT INTO tenant (tenant, kind, name, founder, created_at, destroyed_at, shredded_at)
		VALUES ($1, $2, $3, $4, $5, 0, 0)`,
		r.tenant, r.kind, r.name, r.founder, store.Micros(r.createdAt))
	return err
}

func renameTx(tx *store.Tx, tenant id.Tenant, name []byte) error {
	_, err := tx.Exec(`UPDATE tenant SET name = $1 WHERE tenant = $2 AND destroyed_at = 0`, name, tenant)
	return err
}

func foundedTx(tx *store.Tx, founder id.Account) (n int, err error) {
	err = tx.QueryRow(`SELECT count(*) FROM tenant WHERE founder = $1 AND kind = $2 AND destroyed_at = 0`,
		founder, Organisation).Scan(&n)
	return n, err
}

// ownTx lists the tenants of a person by the time at which they were joined.
func ownTx(tx *store.Tx, account id.Account, limit int) ([]tenantRow, []Membership, error) {
	rows, err := tx.Query(`SELECT `+tenantColumns+`, tenant_person.role, tenant_person.since
		FROM tenant_person JOIN tenant ON tenant.tenant = tenant_person.tenant
		WHERE tenant_person.account = $1 AND tenant.destroyed_at = 0
		ORDER BY tenant_person.since, tenant.tenant LIMIT $2`, account, limit)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var list []tenantRow
	var members []Membership
	for rows.Next() {
		var r tenantRow
		var m Membership
		var since int64
		if err := r.scan(rows, &m.Role, &since); err != nil {
			return nil, nil, err
		}
		m.Since = store.FromMicros(since)
		list, members = append(list, r), append(members, m)
	}
	return list, members, rows.Err()
}

// personRow is a row of the table tenant_person.
type personRow struct {
	Account id.Account
	Role    access.Role
	Since   time.Time
}

// personTx reads a person in a tenant; store.ErrNoRows without one.
func personTx(tx *store.Tx, tenant id.Tenant, account id.Account) (personRow, error) {
	p := personRow{Account: account}
	var since int64
	err := tx.QueryRow(`SELECT role, since FROM tenant_person WHERE tenant = $1 AND account = $2`,
		tenant, account).Scan(&p.Role, &since)
	p.Since = store.FromMicros(since)
	return p, err
}

// peopleTx is one page of the people of a tenant, by identifier.
func peopleTx(tx *store.Tx, tenant id.Tenant, after id.Account, limit int) ([]personRow, error) {
	rows, err := tx.Query(`SELECT account, role, since FROM tenant_person
		WHERE tenant = $1 AND account > $2 ORDER BY account LIMIT $3`, tenant, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []personRow
	for rows.Next() {
		var p personRow
		var since int64
		if err := rows.Scan(&p.Account, &p.Role, &since); err != nil {
			return nil, err
		}
		p.Since = store.FromMicros(since)
		list = append(list, p)
	}
	return list, rows.Err()
}

func insertPersonTx(tx *store.Tx, tenant id.Tenant, p personRow) error {
	_, err := tx.Exec(`INSERT INTO tenant_person (tenant, account, role, since) VALUES ($1, $2, $3, $4)`,
		tenant, p.Account, p.Role, store.Micros(p.Since))
	return err
}

func setRoleTx(tx *store.Tx, tenant id.Tenant, account id.Account, role access.Role) error {
	_, err := tx.Exec(`UPDATE tenant_person SET role = $1 WHERE tenant = $2 AND account = $3`, role, tenant, account)
	return err
}

func deletePersonTx(tx *store.Tx, tenant id.Tenant, account id.Account) error {
	_, err := tx.Exec(`DELETE FROM tenant_person WHERE tenant = $1 AND account = $2`, tenant, account)
	return err
}

// otherOwnerTx reports whether a tenant has an owner other than the account.
// Two owners who step down at once read each other's row: under serializable
// isolation one of the two transactions is replayed and finds no other.
func otherOwnerTx(tx *store.Tx, tenant id.Tenant, account id.Account) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM (SELECT account FROM tenant_person
		WHERE tenant = $1 AND role = 'owner' AND account <> $2 LIMIT 1) AS other`, tenant, account).Scan(&n)
	return n > 0, err
}

// countsTx counts the people of a tenant and the invitations that wait.
func countsTx(tx *store.Tx, tenant id.Tenant) (people, pending int, err error) {
	err = tx.QueryRow(`SELECT count(*) FROM tenant_person WHERE tenant = $1`, tenant).Scan(&people)
	if err != nil {
		return 0, 0, err
	}
	err = tx.QueryRow(`SELECT count(*) FROM tenant_invitation WHERE tenant = $1 AND outcome = ''`, tenant).Scan(&pending)
	return people, pending, err
}

// invitationRow is a row of the table tenant_invitation.
type invitationRow struct {
	tenant     id.Tenant
	invitation id.Invitation
	token      []byte
	index      []byte
	address    []byte // sealed
	role       access.Role
	inviter    id.Account
	createdAt  time.Time
	sentAt     time.Time
	sent       int
	expiresAt  time.Time
	outcome    string
}

// The outcomes of an invitation; "" still waits.
const (
	accepted = "accepted"
	revoked  = "revoked"
	expired  = "expired"
)

const invitationColumns = `tenant, invitation, token, address_index, address, role, inviter, created_at, sent_at, sent, expires_at, outcome`

func (r *invitationRow) scan(s scanner) error {
	var created, sent, expires int64
	err := s.Scan(&r.tenant, &r.invitation, &r.token, &r.index, &r.address, &r.role, &r.inviter, &created, &sent, &r.sent, &expires, &r.outcome)
	r.createdAt, r.sentAt, r.expiresAt = store.FromMicros(created), store.FromMicros(sent), store.FromMicros(expires)
	if errors.Is(err, store.ErrNoRows) {
		return access.ErrForeign
	}
	return err
}

func invitationTx(tx *store.Tx, tenant id.Tenant, invitation id.Invitation) (invitationRow, error) {
	var r invitationRow
	err := r.scan(tx.QueryRow(`SELECT `+invitationColumns+` FROM tenant_invitation WHERE tenant = $1 AND invitation = $2`, tenant, invitation))
	return r, err
}

// byTokenTx finds an invitation by what stands in its link.
func byTokenTx(tx *store.Tx, d secret.Digest) (invitationRow, error) {
	var r invitationRow
	err := r.scan(tx.QueryRow(`SELECT `+invitationColumns+` FROM tenant_invitation WHERE token = $1`, d[:]))
	return r, err
}

// pendingTx lists the invitations of a tenant that wait for an answer.
func pendingTx(tx *store.Tx, tenant id.Tenant, now time.Time) ([]invitationRow, error) {
	return listInvitations(tx.Query(`SELECT `+invitationColumns+` FROM tenant_invitation
		WHERE tenant = $1 AND outcome = '' AND expires_at > $2 ORDER BY invitation LIMIT $3`, tenant, store.Micros(now), maxPending))
}

func listInvitations(rows *sql.Rows, err error) ([]invitationRow, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []invitationRow
	for rows.Next() {
		var r invitationRow
		if err := r.scan(rows); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// pendingByTx lists the invitations that a person made and that still wait.
func pendingByTx(tx *store.Tx, tenant id.Tenant, inviter id.Account) ([]invitationRow, error) {
	return listInvitations(tx.Query(`SELECT `+invitationColumns+` FROM tenant_invitation
		WHERE tenant = $1 AND inviter = $2 AND outcome = '' ORDER BY invitation LIMIT $3`, tenant, inviter, 2*maxPending))
}

// pendingForTx reports whether an address has an invitation that waits.
func pendingForTx(tx *store.Tx, tenant id.Tenant, index []byte) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM tenant_invitation WHERE tenant = $1 AND address_index = $2 AND outcome = ''`,
		tenant, index).Scan(&n)
	return n > 0, err
}

func insertInvitationTx(tx *store.Tx, r invitationRow) error {
	_, err := tx.Exec(`INSERT INTO tenant_invitation (`+invitationColumns+`, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0)`,
		r.tenant, r.invitation, r.token, r.index, r.address, r.role, r.inviter,
		store.Micros(r.createdAt), store.Micros(r.sentAt), r.sent, store.Micros(r.expiresAt), r.outcome)
	return err
}

// resendTx replaces the link of an invitation: the old one is worth nothing.
func resendTx(tx *store.Tx, r invitationRow) error {
	_, err := tx.Exec(`UPDATE tenant_invitation SET token = $1, sent_at = $2, sent = $3, expires_at = $4
		WHERE tenant = $5 AND invitation = $6 AND outcome = ''`,
		r.token, store.Micros(r.sentAt), r.sent, store.Micros(r.expiresAt), r.tenant, r.invitation)
	return err
}

// sentSinceTx sums the mails of a tenant's invitations.
func sentSinceTx(tx *store.Tx, tenant id.Tenant, since time.Time) (n int, err error) {
	err = tx.QueryRow(`SELECT coalesce(sum(sent), 0) FROM tenant_invitation WHERE tenant = $1 AND sent_at > $2`,
		tenant, store.Micros(since)).Scan(&n)
	return n, err
}

// sentByTx counts the mails of the invitations that a person made, in all
// organisations.
func sentByTx(tx *store.Tx, inviter id.Account, since time.Time) (n int, err error) {
	err = tx.QueryRow(`SELECT coalesce(sum(sent), 0) FROM tenant_invitation WHERE inviter = $1 AND sent_at > $2`,
		inviter, store.Micros(since)).Scan(&n)
	return n, err
}

// endTx ends an invitation that waits and forgets its address. It reports
// whether this call was the one that ended it.
func endTx(tx *store.Tx, r invitationRow, outcome string, now time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE tenant_invitation SET outcome = $1, ended_at = $2, address = $3, address_index = $4
		WHERE tenant = $5 AND invitation = $6 AND outcome = ''`,
		outcome, store.Micros(now), []byte{}, []byte{}, r.tenant, r.invitation)
	return n == 1, err
}

// expireTx ends what waited for too long: of one tenant, or, with an empty
// one, of all.
func expireTx(tx *store.Tx, tenant id.Tenant, now time.Time) (int64, error) {
	return tx.Exec(`UPDATE tenant_invitation SET outcome = $1, ended_at = expires_at, address = $2, address_index = $3
		WHERE outcome = '' AND expires_at <= $4 AND ($5 = '' OR tenant = $6)`,
		expired, []byte{}, []byte{}, store.Micros(now), tenant, tenant)
}

// sweepTx deletes invitations that ended long ago.
func sweepTx(tx *store.Tx, before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM tenant_invitation WHERE outcome <> '' AND ended_at < $1`, store.Micros(before))
}

// destroyTx ends a tenant: the row stays as the memory that the identifier was
// used, without a name. It reports whether it existed.
func destroyTx(tx *store.Tx, tenant id.Tenant, now time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE tenant SET destroyed_at = $1, name = $2 WHERE tenant = $3 AND destroyed_at = 0`,
		store.Micros(now), []byte{}, tenant)
	if err != nil || n == 0 {
		return false, err
	}
	if _, err := tx.Exec(`DELETE FROM tenant_person WHERE tenant = $1`, tenant); err != nil {
		return false, err
	}
	if _, err := tx.Exec(`DELETE FROM tenant_policy WHERE tenant = $1`, tenant); err != nil {
		return false, err
	}
	_, err = tx.Exec(`DELETE FROM tenant_invitation WHERE tenant = $1`, tenant)
	return true, err
}

// unshreddedTx lists tenants that were destroyed and whose keys still exist.
func unshreddedTx(tx *store.Tx, limit int) ([]id.Tenant, error) {
	rows, err := tx.Query(`SELECT tenant FROM tenant WHERE destroyed_at > 0 AND shredded_at = 0 ORDER BY tenant LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []id.Tenant
	for rows.Next() {
		var each id.Tenant
		if err := rows.Scan(&each); err != nil {
			return nil, err
		}
		list = append(list, each)
	}
	return list, rows.Err()
}

func shreddedTx(tx *store.Tx, tenant id.Tenant, now time.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE tenant SET shredded_at = $1 WHERE tenant = $2 AND destroyed_at > 0 AND shredded_at = 0`,
		store.Micros(now), tenant)
	return n == 1, err
}

// sizesTx is one page of all tenants that exist. The counts are by index.
func sizesTx(tx *store.Tx, after id.Tenant, limit int) ([]Size, error) {
	rows, err := tx.Query(`SELECT tenant, kind, created_at,
			(SELECT count(*) FROM tenant_person AS p WHERE p.tenant = tenant.tenant),
			(SELECT count(*) FROM tenant_invitation AS i WHERE i.tenant = tenant.tenant AND i.outcome = '')
		FROM tenant WHERE tenant > $1 AND destroyed_at = 0 ORDER BY tenant LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Size
	for rows.Next() {
		var s Size
		var created int64
		if err := rows.Scan(&s.ID, &s.Kind, &created, &s.People, &s.Pending); err != nil {
			return nil, err
		}
		s.CreatedAt = store.FromMicros(created)
		list = append(list, s)
	}
	return list, rows.Err()
}
