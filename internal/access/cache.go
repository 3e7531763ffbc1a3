package access

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"troth/internal/id"
)

// key names one decision. An empty account stands for a whole tenant, an empty
// key for everything.
type key struct {
	tenant  id.Tenant
	account id.Account
}

// String is the key as it stands in the change feed.
func (k key) String() string { return string(k.tenant) + "/" + string(k.account) }

// decision is what is cached: the role, from which the bits follow, the
// authorization version, and what the tenant demands.
type decision struct {
	role       Role
	version    uint64
	factorFrom int64 // microseconds; 0 is never
	forgets    bool
}

type entry struct {
	key
	decision
}

const (
	cacheSets = 1 << 14
	cacheWays = 4 // 65,536 decisions: 0.5 MB empty, about 10 MB full
)

// cache is a set-associative table of decisions: bounded by construction, read
// with at most four atomic loads, and never locked by a reader. Writers are
// rare (a miss or a change) and share a mutex.
//
// A decision that was read from the database before a change and put after it
// would stay wrong for ever. So every eviction moves the mark, and a decision
// whose reading began before the current mark is not put.
type cache struct {
	seed maphash.Seed
	sets [cacheSets][cacheWays]atomic.Pointer[entry]

	mu    sync.Mutex
	marks uint64 // how many evictions there were
	next  uint32 // which way of a full set is given up
}

func newCache() *cache { return &cache{seed: maphash.MakeSeed()} }

func (c *cache) set(k key) *[cacheWays]atomic.Pointer[entry] {
	h := maphash.String(c.seed, string(k.account)) ^ 31*maphash.String(c.seed, string(k.tenant))
	return &c.sets[h%cacheSets]
}

// get returns a cached decision.
func (c *cache) get(k key) (decision, bool) {
	set := c.set(k)
	for i := range set {
		if e := set[i].Load(); e != nil && e.key == k {
			return e.decision, true
		}
	}
	return decision{}, false
}

// mark is taken before a decision is read from the database.
func (c *cache) mark() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.marks
}

// put keeps a decision, unless something was evicted since the mark.
func (c *cache) put(k key, d decision, mark uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.marks != mark {
		return
	}
	set, free := c.set(k), -1
	for i := range set {
		switch e := set[i].Load(); {
		case e == nil:
			free = i
		case e.key == k:
			set[i].Store(&entry{k, d})
			return
		}
	}
	if free < 0 {
		c.next++
		free = int(c.next % cacheWays)
	}
	set[free].Store(&entry{k, d})
}

// evict forgets what a key of the change feed names: one person in a tenant,
// a whole tenant, or, for a key that it cannot read, everything.
func (c *cache) evict(feed string) {
	tenant, account, _ := strings.Cut(feed, "/")
	k := key{id.Tenant(tenant), id.Account(account)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marks++
	if k.tenant != "" && k.account != "" {
		drop(c.set(k), func(e *entry) bool { return e.key == k })
		return
	}
	for i := range c.sets {
		drop(&c.sets[i], func(e *entry) bool { return k.tenant == "" || e.tenant == k.tenant })
	}
}

func drop(set *[cacheWays]atomic.Pointer[entry], which func(*entry) bool) {
	for i := range set {
		if e := set[i].Load(); e != nil && which(e) {
			set[i].Store(nil)
		}
	}
}
