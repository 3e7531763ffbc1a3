package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/audit"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/tenant"
)

// The person who signs in.
const (
	email  = "ada@example.org"
	phrase = "correct horse battery staple"
)

// from is where requests in process come from.
var from = audit.Context{IP: netip.MustParseAddr("198.51.100.7"), Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}

// person signs somebody up, as a person does with a link of the operator.
func (c *chain) person(ctx context.Context) (account.Signed, error) {
	link, err := c.accounts.Admit(ctx, access.System("benchmark"))
	if err != nil {
		return account.Signed{}, err
	}
	return c.accounts.SignUp(ctx, access.Nobody(from), account.Application{
		Email: email, Name: "Ada Lovelace", Password: secret.Of(phrase), Admission: secret.Of(filepath.Base(link.Reveal())),
	})
}

// sessions gives somebody further sessions and returns their tokens.
func (c *chain) sessions(ctx context.Context, who account.Signed, n int) ([]string, error) {
	var tokens []string
	now := time.Now()
	err := c.db.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("fills the database of a benchmark")
		tokens = tokens[:0]
		for range n {
			token := secret.NewToken()
			if err := insertSession(tx, who.Account, token, now); err != nil {
				return err
			}
			tokens = append(tokens, token.Reveal())
		}
		return nil
	})
	return tokens, err
}

func insertSession(tx *store.Tx, who id.Account, token secret.String, now time.Time) error {
	digest, _ := secret.DigestOf(token.Reveal())
	_, err := tx.Exec(`INSERT INTO session (session, account, tenant, digest, amr, place, auth_at, seen_at, idle, expires_at)
		VALUES ($1, $2, $3, $4, 'pwd', NULL, $5, $6, $7, $8)`,
		id.New[id.Session](now), who, tenant.HomeOf(who), digest[:], store.Micros(now), store.Micros(now),
		(12 * time.Hour).Microseconds(), store.Micros(now.Add(30*24*time.Hour)))
	return err
}

// crowdSize is how many accounts an existing database has.
const crowdSize = 100_000

// makeCrowd makes a data directory with many accounts: each with its keys, its
// personal tenant and membership, sealed address and name, blind index, a
// password hash, an event that it signed up, and every second one a session.
func (l *lab) makeCrowd(ctx context.Context) error {
	if l.crowd != "" {
		return nil
	}
	dir, err := l.install(ctx, "crowd")
	if err != nil {
		return err
	}
	if err := l.settle(ctx, dir); err != nil {
		return err
	}
	c, err := openChain(ctx, dir)
	if err != nil {
		return err
	}
	defer c.close()
	hash, err := c.accounts.Hashing.Hash(ctx, secret.Of(phrase))
	if err != nil {
		return err
	}
	began := time.Now()
	const step = 2000
	for n := 0; n < crowdSize; n += step {
		if err := c.crowd(ctx, n, step, hash); err != nil {
			return fmt.Errorf("filling the database: %w", err)
		}
		if n%20_000 == 0 {
			l.say("%d of %d accounts after %s", n, crowdSize, time.Since(began).Round(time.Second))
		}
	}
	if _, err := c.log.Sequence(ctx); err != nil {
		return err
	}
	l.say("%d accounts in %s", crowdSize, time.Since(began).Round(time.Second))
	l.crowd = dir
	return nil
}

// crowd adds accounts to the database.
func (c *chain) crowd(ctx context.Context, first, n int, hash string) error {
	rows := make([]crowdRow, n)
	now := time.Now()
	for i := range rows {
		rows[i].account = id.New[id.Account](now)
		rows[i].email = fmt.Sprintf("person-%d@example.org", first+i)
	}
	err := parallel(256, n, func(i int) error { return rows[i].seal(ctx, c.keys) })
	if err != nil {
		return err
	}
	return c.db.Write(ctx, func(tx *store.Tx) error {
		for i := range rows {
			if err := rows[i].insert(tx, c, hash, now, i%2 == 0); err != nil {
				return err
			}
		}
		return nil
	})
}

type crowdRow struct {
	account                    id.Account
	email                      string
	index, address, name, home []byte
}

// seal makes the keys of an account and seals what is personal, as packages
// account and tenant do.
func (r *crowdRow) seal(ctx context.Context, k *keys.Keys) (err error) {
	at := tenant.HomeOf(r.account)
	refs := []keys.Ref{keys.TenantRef(at), keys.SubjectRef(r.account)}
	for _, ref := range refs {
		if err := k.Create(ctx, ref, 32); err != nil {
			return err
		}
	}
	place := keys.Place{Tenant: at, Table: "account", Column: "email", Row: string(r.account)}
	if r.address, err = k.Seal(ctx, place, []byte(r.email), refs...); err != nil {
		return err
	}
	place.Column = "name"
	if r.name, err = k.Seal(ctx, place, []byte("Ada Lovelace"), refs...); err != nil {
		return err
	}
	place = keys.Place{Tenant: at, Table: "tenant", Column: "name", Row: string(at)}
	if r.home, err = k.Seal(ctx, place, []byte("Ada Lovelace"), refs[0]); err != nil {
		return err
	}
	r.index, err = k.Index(ctx, "", "email", keys.Normalise(r.email))
	return err
}

func (r *crowdRow) insert(tx *store.Tx, c *chain, hash string, now time.Time, signedIn bool) error {
	at, micros := tenant.HomeOf(r.account), store.Micros(now)
	_, err := tx.Exec(`INSERT INTO account (account, home, state, staff, email, name, email_index, password, created_at, confirmed_at, password_at, idle, absolute)
		VALUES ($1, $2, 'active', '', $3, $4, $5, $6, $7, $8, $9, 0, 0)`, r.account, at, r.address, r.name, r.index, hash, micros, micros, micros)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO tenant (tenant, kind, name, founder, created_at, destroyed_at, shredded_at) VALUES ($1, 'personal', $2, $3, $4, 0, 0)`,
		at, r.home, r.account, micros); err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT INTO tenant_person (tenant, account, role, since) VALUES ($1, $2, 'owner', $3)`, at, r.account, micros); err != nil {
		return err
	}
	if signedIn {
		if err := insertSession(tx, r.account, secret.NewToken(), now); err != nil {
			return err
		}
	}
	_, err = c.log.AppendTx(tx, audit.Event{Type: "account.signed_up", Tenant: at, Context: from,
		Actor: audit.Actor{Kind: audit.KindPerson, Account: r.account}})
	return err
}

// parallel calls fn for 0 to n-1, so many at once.
func parallel(workers, n int, fn func(i int) error) error {
	var wg sync.WaitGroup
	failed := make(chan error, workers)
	next := make(chan int)
	for range workers {
		wg.Go(func() {
			for i := range next {
				if err := fn(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
feed:
	for i := range n {
		select {
		case next <- i:
		case err = <-failed:
			break feed
		}
	}
	close(next)
	wg.Wait()
	select {
	case err = <-failed:
	default:
	}
	return err
}
