package account

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"troth/internal/access"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/secret"
	"troth/internal/store"
)

// Authenticate turns a session token into its subject. What is no token, and
// the token of no live session, is the zero Subject: a stranger.
//
// A session that was seen before is answered from memory, without allocating
// and without the database, as long as the change feed is fresh; otherwise the
// database is asked every time. An error means that nobody can tell who it is:
// refuse.
//
// Who has lost the role in the session's tenant works at home. A request that
// acts comes through [Accounts.AuthenticateFrom].
func (a *Accounts) Authenticate(ctx context.Context, token string) (access.Subject, error) {
	return a.authenticate(ctx, token, a.atHome, usage{counts: true})
}

// Look is Authenticate for a request that goes on, as an open WebSocket does. It
// is no use of the session, which ends when nothing else is done with it.
func (a *Accounts) Look(ctx context.Context, token string) (access.Subject, error) {
	return a.authenticate(ctx, token, a.atHome, usage{})
}

// AuthenticateFrom is [Accounts.Authenticate] for a request, and notes from which
// address the session is being used. One that acts (RFC 9110, 9.2.1: no safe
// method) may be meant for the tenant in which its sender has just lost the role,
// as when a form was still open: it is refused once with fault.Conflict, and never
// lands in the personal space instead. From then on the session works at home.
func (a *Accounts) AuthenticateFrom(ctx context.Context, token string, from netip.Addr, acts bool) (access.Subject, error) {
	if acts {
		return a.authenticate(ctx, token, a.sentHome, usage{counts: true, from: from})
	}
	return a.authenticate(ctx, token, a.atHome, usage{counts: true, from: from})
}

// usage is what a request means to its session.
type usage struct {
	counts bool       // it is a use of the session
	from   netip.Addr // where it comes from, if that is known
}

// authenticate finds the session of a token; lost decides who it is for a
// session in a tenant in which its holder has no role any more.
func (a *Accounts) authenticate(ctx context.Context, token string, lost func(context.Context, *known, bool) (access.Subject, error), use usage) (access.Subject, error) {
	digest, ok := secret.DigestOf(token)
	if !ok {
		return access.Subject{}, nil
	}
	now := store.Micros(a.now())
	if k := a.sessions.get(digest); k != nil && a.DB.Fresh() && live(now, k.seenAt.Load(), k.idle, k.expiresAt) {
		a.touch(k, now, use)
		return a.subject(ctx, k, lost)
	}
	k, err := a.load(ctx, digest, now)
	if err != nil {
		return access.Subject{}, fault.Wrap(err, fault.Unavailable, "account.sessions_unavailable", "It cannot be found out at the moment who you are. Try again in a minute.")
	}
	if k == nil {
		return access.Subject{}, nil
	}
	a.touch(k, now, use)
	return a.subject(ctx, k, lost)
}

// subject decides what the holder of a session may do.
func (a *Accounts) subject(ctx context.Context, k *known, lost func(context.Context, *known, bool) (access.Subject, error)) (access.Subject, error) {
	s, err := a.Access.Person(ctx, k.who)
	if err == nil && s.Tenant == "" && k.who.Tenant != k.home {
		return lost(ctx, k, s.Barred)
	}
	return s, err
}

// atHome is the holder of a session in the personal space.
func (a *Accounts) atHome(ctx context.Context, k *known, barred bool) (access.Subject, error) {
	who := k.who
	who.Tenant = k.home
	s, err := a.Access.Person(ctx, who)
	s.Barred = barred
	return s, err
}

var errLost = fault.New(fault.Conflict, "account.tenant_lost", "You are no longer in the organisation for which you sent this, so nothing was done. From now on you work in your personal space.")

var errBarred = fault.New(fault.Conflict, "account.factor_needed", "The organisation for which you sent this lets in only who used a second factor, so nothing was done. Set one up in your account, or prove yourself again with the one that you have, and switch back to it.")

// sentHome moves a session to the personal space, says so in the log, and
// refuses what it was about to do.
func (a *Accounts) sentHome(ctx context.Context, k *known, barred bool) (access.Subject, error) {
	name, refusal := evLost, errLost
	if barred {
		name, refusal = evBarred, errBarred
	}
	by, err := a.atHome(ctx, k, barred)
	if err != nil {
		return access.Subject{}, err
	}
	err = a.DB.Write(ctx, func(tx *store.Tx) error {
		var digest []byte
		err := tx.QueryRow(`UPDATE session SET tenant = $1 WHERE session = $2 AND tenant = $3 RETURNING digest`,
			k.home, k.who.Session, k.who.Tenant).Scan(&digest)
		if errors.Is(err, store.ErrNoRows) {
			tx.Unaudited("another request of the session was refused at the same moment")
			return nil
		}
		if err != nil {
			return err
		}
		tx.Changed(topic, hex.EncodeToString(digest))
		_, err = a.Log.AppendTx(tx, a.event(name, by, person{k.who.Account, k.home}, map[string]string{"tenant": string(k.who.Tenant)}))
		return err
	})
	if err != nil {
		return access.Subject{}, fault.Wrap(err, fault.Unavailable, "account.unrecorded", "This cannot be recorded at the moment, so it was not done. Try again in a minute.")
	}
	return access.Subject{}, refusal
}

// load reads a live session, and remembers it unless something changed while
// it was being read.
func (a *Accounts) load(ctx context.Context, digest secret.Digest, now int64) (*known, error) {
	before := a.sessions.mark(digest)
	var s session
	var r row
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		err := s.scan(tx.QueryRow(`SELECT `+sessionColumns+` FROM session WHERE digest = $1`, digest[:]))
		if err != nil {
			return err
		}
		r, err = byID(tx, s.account)
		return err
	})
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a session: %w", err)
	}
	s.seenAt = max(s.seenAt, a.sessions.seenAt(digest))
	if r.state != Active || !live(now, s.seenAt, s.idle, s.expiresAt) {
		return nil, nil
	}
	amr := strings.Fields(s.amr)
	k := &known{
		who: access.SignedIn{
			Account: s.account, Tenant: s.tenant, Session: s.session, Staff: r.staff != StaffNone,
			AMR: amr, AuthAt: store.FromMicros(s.authAt),
			Factor: has(amr, amrMulti), Browser: has(amr, amrRemembered), Resistant: usedResistant(amr),
		},
		home: r.home, idle: s.idle, expiresAt: s.expiresAt,
	}
	k.who.Context.Session = s.session
	k.seenAt.Store(s.seenAt)
	a.sessions.put(digest, k, before)
	return k, nil
}

// known is a session in memory. Only seenAt and from change.
type known struct {
	who       access.SignedIn
	home      id.Tenant
	idle      int64
	expiresAt int64
	seenAt    atomic.Int64
	from      atomic.Pointer[netip.Addr] // of the last use that was noted here; nil is not known
}

// every is how often the last use of a session is written down: often enough
// that a short idle time works, and at most once a minute.
func (k *known) every() int64 { return min(time.Minute.Microseconds(), k.idle/4) }

// touch notes that a session is being used, and from where.
func (a *Accounts) touch(k *known, now int64, use usage) {
	if !use.counts {
		return
	}
	seen := k.seenAt.Load()
	if now-seen < k.every() || !k.seenAt.CompareAndSwap(seen, now) {
		return
	}
	s := sighting{account: k.who.Account, at: now}
	if before := k.from.Load(); use.from.IsValid() && (before == nil || *before != use.from) {
		s.from = use.from
		k.from.Store(&s.from)
	}
	a.seen.note(k.who.Session, s)
}

// The size of the cache: its shards keep readers apart; the bound keeps a
// crowd from taking the memory (about 30 MiB when full).
const (
	shards    = 64
	shardSize = 1024
)

// cache keeps sessions that were read. It is never asked whether somebody is
// signed in without asking the change feed whether it is fresh.
type cache struct{ shard [shards]shard }

type shard struct {
	mu      sync.RWMutex
	known   map[secret.Digest]*known
	changes uint64 // counts evictions, so that what was read before one is not put back after it
}

func newCache() *cache {
	c := &cache{}
	for i := range c.shard {
		c.shard[i].known = map[secret.Digest]*known{}
	}
	return c
}

func (c *cache) of(d secret.Digest) *shard { return &c.shard[d[0]%shards] }

func (c *cache) get(d secret.Digest) *known {
	s := c.of(d)
	s.mu.RLock()
	k := s.known[d]
	s.mu.RUnlock()
	return k
}

// seenAt is when a cached session was last used, 0 if it is not cached.
func (c *cache) seenAt(d secret.Digest) int64 {
	if k := c.get(d); k != nil {
		return k.seenAt.Load()
	}
	return 0
}

// mark is taken before a session is read from the database.
func (c *cache) mark(d secret.Digest) uint64 {
	s := c.of(d)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changes
}

// put keeps what was read after the mark was taken, unless there was an
// eviction in between.
func (c *cache) put(d secret.Digest, k *known, mark uint64) {
	s := c.of(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != mark {
		return
	}
	if len(s.known) >= shardSize {
		for victim := range s.known { // any: the order of a map is random
			delete(s.known, victim)
			break
		}
	}
	s.known[d] = k
}

// evict forgets a session by the key of the change feed. A key that cannot be
// read, as when the feed lost its place, forgets everything.
func (c *cache) evict(key string) {
	var d secret.Digest
	if n, err := hex.Decode(d[:], []byte(key)); len(key) != 2*len(d) || err != nil || n != len(d) {
		for i := range c.shard {
			c.shard[i].drop(nil)
		}
		return
	}
	c.of(d).drop(&d)
}

func (s *shard) drop(d *secret.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if d == nil {
		clear(s.known)
		return
	}
	delete(s.known, *d)
}

// flushAfter is how long the last uses of sessions gather before they are
// written in one transaction.
const flushAfter = time.Second

// sighting is the last use of a session.
type sighting struct {
	account id.Account
	at      int64
	from    netip.Addr // the zero address: where it was noted last
}

// seen gathers the last uses of sessions. There is at most one entry a session
// and at most one writer, which runs only while there is something to write.
type seen struct {
	write func(ctx context.Context, at map[id.Session]sighting) error
	mu    sync.Mutex
	at    map[id.Session]sighting
}

func newSeen(write func(context.Context, map[id.Session]sighting) error) *seen {
	return &seen{write: write, at: map[id.Session]sighting{}}
}

// note remembers a use.
func (s *seen) note(session id.Session, last sighting) {
	s.mu.Lock()
	first := len(s.at) == 0
	if !last.from.IsValid() {
		last.from = s.at[session].from
	}
	s.at[session] = last
	s.mu.Unlock()
	if first {
		time.AfterFunc(flushAfter, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_ = s.flush(ctx) // logged by write; a lost last use ends a session early, never late
		})
	}
}

// flush writes what has gathered.
func (s *seen) flush(ctx context.Context) error {
	s.mu.Lock()
	at := s.at
	s.at = map[id.Session]sighting{}
	s.mu.Unlock()
	if len(at) == 0 {
		return nil
	}
	return s.write(ctx, at)
}

func (a *Accounts) writeSeen(ctx context.Context, at map[id.Session]sighting) error {
	last := map[id.Session][]byte{}
	for which, s := range at {
		if !s.from.IsValid() {
			continue
		}
		sealed, err := a.sealOrigin(ctx, session{session: which}.at("last"), s.account, origin{IP: s.from})
		if err != nil { // the key may have been destroyed meanwhile, with the session
			a.log.Warn("where a session is used could not be sealed", "session", string(which), "error", err)
			continue
		}
		last[which] = sealed
	}
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		tx.Unaudited("when and from where a session was last used changes nothing that anybody may do")
		for which, s := range at {
			if _, err := tx.Exec(`UPDATE session SET seen_at = $1, last = COALESCE($2, last) WHERE session = $3 AND seen_at < $4`, s.at, last[which], which, s.at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		a.log.Warn("the last use of sessions could not be written", "sessions", len(at), "error", err)
	}
	return err
}
