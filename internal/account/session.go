package account

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
)

// topic is the topic of the change feed: its keys are digests of tokens.
const topic = "session"

// maxSessions bounds the sessions of one account; the oldest end first.
const maxSessions = 100

// session is a session as it is stored.
type session struct {
	session   id.Session
	account   id.Account
	tenant    id.Tenant
	digest    secret.Digest
	amr       string
	place     []byte // sealed: where it began
	last      []byte // sealed: where it was used last, if that was noted
	device    id.Device
	authAt    int64
	seenAt    int64
	idle      int64
	expiresAt int64
}

// newSession makes a session that is not stored yet.
func (a *Accounts) newSession(ctx context.Context, by access.Subject, r row, amr string, now time.Time) (session, Signed, error) {
	token := secret.NewToken()
	digest, _ := secret.DigestOf(token.Reveal())
	idle, absolute := a.Config.Idle.D(), a.Config.Absolute.D()
	if r.idle > 0 {
		idle = time.Duration(r.idle) * time.Microsecond
	}
	if r.absolute > 0 {
		absolute = time.Duration(r.absolute) * time.Microsecond
	}
	s := session{
		session: id.New[id.Session](now), account: r.account, tenant: r.home, digest: digest, amr: amr,
		authAt: store.Micros(now), seenAt: store.Micros(now), idle: min(idle, absolute).Microseconds(), expiresAt: store.Micros(now.Add(absolute)),
	}
	var err error
	if s.place, err = a.sealOrigin(ctx, s.at("place"), r.account, originOf(by)); err != nil {
		return session{}, Signed{}, err
	}
	return s, Signed{Account: r.account, Session: s.session, Token: token, ExpiresAt: store.FromMicros(s.expiresAt)}, nil
}

func (s session) at(column string) keys.Place {
	return keys.Place{Tenant: id.Platform, Table: "session", Column: column, Row: string(s.session)}
}

// cut shortens what came from outside to n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}

func insertSession(tx *store.Tx, s session) error {
	_, err := tx.Exec(`INSERT INTO session (session, account, tenant, digest, amr, place, last, device, auth_at, seen_at, idle, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		s.session, s.account, s.tenant, s.digest[:], s.amr, s.place, s.last, s.device, s.authAt, s.seenAt, s.idle, s.expiresAt)
	return err
}

// endSessions ends the sessions that a condition names, and tells every node.
func endSessions(tx *store.Tx, where string, args ...any) (n int64, err error) {
	rows, err := tx.Query(`DELETE FROM session WHERE `+where+` RETURNING digest`, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var digest []byte
		if err := rows.Scan(&digest); err != nil {
			return 0, err
		}
		tx.Changed(topic, hex.EncodeToString(digest))
		n++
	}
	return n, rows.Err()
}

// makeRoom ends the oldest sessions of an account that has too many.
func makeRoom(tx *store.Tx, account id.Account) error {
	_, err := endSessions(tx, `account = $1 AND session NOT IN
		(SELECT session FROM session WHERE account = $2 ORDER BY session DESC LIMIT $3)`, account, account, maxSessions-1)
	return err
}

const sessionColumns = `session, account, tenant, digest, amr, place, last, device, auth_at, seen_at, idle, expires_at`

func (s *session) scan(row scanner) error {
	var digest []byte
	err := row.Scan(&s.session, &s.account, &s.tenant, &digest, &s.amr, &s.place, &s.last, &s.device, &s.authAt, &s.seenAt, &s.idle, &s.expiresAt)
	copy(s.digest[:], digest)
	return err
}

// live reports whether a session has neither expired nor been left idle
// (OWASP ASVS 5.0, 7.3.1 and 7.3.2).
func live(now, seenAt, idle, expiresAt int64) bool {
	return now < expiresAt && now < seenAt+idle
}

// eachSession calls a function with every stored session of an account, the
// newest first, live or not.
func eachSession(tx *store.Tx, account id.Account, each func(session)) error {
	rows, err := tx.Query(`SELECT `+sessionColumns+` FROM session WHERE account = $1 ORDER BY session DESC`, account)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s session
		if err := s.scan(rows); err != nil {
			return err
		}
		each(s)
	}
	return rows.Err()
}

var errNoSession = fault.New(fault.NotFound, "account.no_session", "This session is not one of yours, or it has ended already.")

// EndSession ends one session of the one who asks. The next request with its
// token is a stranger's: here at once, on other nodes within a second.
func (a *Accounts) EndSession(ctx context.Context, by access.Subject, which id.Session) error {
	if err := own(by); err != nil {
		return err
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, by.Account)
		if err != nil {
			return err
		}
		n, err := endSessions(tx, `session = $1 AND account = $2`, which, by.Account)
		if err != nil {
			return err
		}
		if n == 0 {
			return errNoSession
		}
		_, err = a.Log.AppendTx(tx, a.event(evEnded, by, r.person, map[string]string{"session": string(which)}))
		return err
	})
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	return nil
}

// EndOthers ends all sessions of the one who asks but the present one, and
// returns how many they were.
func (a *Accounts) EndOthers(ctx context.Context, by access.Subject) (int64, error) {
	if err := own(by); err != nil {
		return 0, err
	}
	return a.endAll(ctx, by, by.Account, by.Session)
}

// EndAll ends all sessions of an account, for the operator on the host.
func (a *Accounts) EndAll(ctx context.Context, by access.Subject, account id.Account) (int64, error) {
	if err := onHost(by); err != nil {
		return 0, err
	}
	return a.endAll(ctx, by, account, "")
}

func (a *Accounts) endAll(ctx context.Context, by access.Subject, account id.Account, but id.Session) (n int64, err error) {
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, account)
		if err != nil || r.account == "" {
			return orUnknown(err)
		}
		if n, err = endSessions(tx, `account = $1 AND session <> $2`, account, but); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evEndedAll, by, r.person, counted(n)))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ending sessions: %w", err)
	}
	return n, nil
}

// Switch makes another tenant the session's current one. The person has a role
// in it, or it is fault.NotFound: to others it does not exist. One that demands
// a second factor which the session lacks is fault.Denied ([access.ErrBarred]).
func (a *Accounts) Switch(ctx context.Context, by access.Subject, to id.Tenant) error {
	if err := own(by); err != nil {
		return err
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		if err := a.Access.EnterTx(tx, to, by); err != nil {
			return err
		}
		var digest []byte
		err := tx.QueryRow(`UPDATE session SET tenant = $1 WHERE session = $2 AND account = $3 RETURNING digest`, to, by.Session, by.Account).Scan(&digest)
		if errors.Is(err, store.ErrNoRows) {
			return errNobody
		}
		if err != nil {
			return err
		}
		tx.Changed(topic, hex.EncodeToString(digest))
		r, err := byID(tx, by.Account)
		if err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evSwitched, by, r.person, map[string]string{"tenant": string(to)}))
		return err
	})
	if err != nil {
		return fmt.Errorf("switching to another tenant: %w", err)
	}
	return nil
}

// SetLifetimes gives an account lifetimes of its own for sessions that begin
// from now on; zero is the installation's. They can only be shorter. It is for
// whoever wants stricter ones, and for the installation's own checks.
func (a *Accounts) SetLifetimes(ctx context.Context, by access.Subject, account id.Account, idle, absolute time.Duration) error {
	if err := onHost(by); err != nil {
		return err
	}
	if idle < 0 || absolute < 0 || idle > a.Config.Idle.D() || absolute > a.Config.Absolute.D() {
		return fault.New(fault.Invalid, "account.lifetime", "The lifetimes of one account can be shorter than those of the installation, never longer.")
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		r, err := byID(tx, account)
		if err != nil || r.state != Active {
			return orUnknown(err)
		}
		if _, err := tx.Exec(`UPDATE account SET idle = $1, absolute = $2 WHERE account = $3`, idle.Microseconds(), absolute.Microseconds(), account); err != nil {
			return err
		}
		_, err = a.Log.AppendTx(tx, a.event(evLifetime, by, r.person, map[string]string{"idle": idle.String(), "absolute": absolute.String()}))
		return err
	})
	if err != nil {
		return fmt.Errorf("setting the lifetimes of sessions: %w", err)
	}
	return nil
}
