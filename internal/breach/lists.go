package breach

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/password"
	"troth/internal/secret"
	"troth/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations is the schema of this package.
var Migrations fs.FS = migrations

// Tables are the tables of this package.
var Tables = []string{"breach_own"}

// lookEvery is how often a process looks whether a list was replaced.
const lookEvery = 10 * time.Second

// Options are what a [Lists] is made of.
type Options struct {
	Dir    string // where the imported lists lie, if Config.Dir says nothing
	Config Config
	DB     *store.DB
	Keys   *keys.Keys
	Log    *audit.Log
	Client *http.Client     // asks the range service; nil: one of its own
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discard
}

// Lists is everything that is known about breached passwords. It is safe for
// concurrent use.
type Lists struct {
	Options
	dir    string
	now    func() time.Time
	log    *slog.Logger
	ranges *ranges // nil: nobody is asked
	full   int     // entries of a shard of a list that is imported; tests make small ones

	mu     sync.RWMutex // held for reading while a list is asked
	open   map[Kind]*list
	wrong  map[Kind]error       // why the file that lies there is not believed
	last   map[Kind]os.FileInfo // of the file that was looked at last
	looked atomic.Int64         // when, in nanoseconds
	first  sync.Once
}

// New makes the lists. What lies in the directory is looked at when it is first
// needed.
func New(o Options) *Lists {
	l := &Lists{Options: o, dir: o.Config.Dir, full: shardEntries, now: o.Now, log: o.Logger, open: map[Kind]*list{}, wrong: map[Kind]error{}, last: map[Kind]os.FileInfo{}}
	if l.dir == "" {
		l.dir = o.Dir
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.ranges = newRanges(o.Config.RangeURL, o.Config.RangeTimeout.D(), o.Client, l.now, l.log)
	return l
}

// Close lets go of the files.
func (l *Lists) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all error
	for kind, open := range l.open {
		all = errors.Join(all, open.close())
		delete(l.open, kind)
	}
	return all
}

// Known says what is known about a normalised password: that it is common, or
// that it appears in lists of breached ones. It keeps nothing. When a list that
// was imported is damaged and no other one knows the password, that is
// fault.Unavailable: the damaged one might have. When the range service does not
// answer, the password is unheard of; it is not asked while somebody types.
func (l *Lists) Known(ctx context.Context, p secret.String) (password.Finding, error) {
	text := p.Reveal()
	if isCommon(text) {
		return password.Common, nil
	}
	l.look()
	found, err := l.imported(text)
	if found {
		return password.Breached, nil
	}
	own, ownErr := l.own(ctx, text)
	if own {
		return password.Breached, nil
	}
	if err := errors.Join(err, ownErr); err != nil {
		return password.Unheard, err
	}
	if l.ranges != nil && !password.Typing(ctx) && l.ranges.has(ctx, text) {
		return password.Breached, nil
	}
	return password.Unheard, nil
}

// Listed reports whether a normalised password stands in a list that was
// imported, and asks nothing else: no database and no network. The errors are
// those of [Lists.Known].
func (l *Lists) Listed(p secret.String) (bool, error) {
	l.look()
	return l.imported(p.Reveal())
}

// imported asks the imported lists.
func (l *Lists) imported(text string) (bool, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var problem error
	for _, kind := range kinds {
		problem = errors.Join(problem, l.wrong[kind])
		open := l.open[kind]
		if open == nil {
			continue
		}
		found, err := open.has(kind.of(text))
		if found {
			return true, nil
		}
		problem = errors.Join(problem, err)
	}
	if problem != nil {
		return false, fault.Wrap(problem, fault.Unavailable, "breach.damaged", "The list of breached passwords is damaged, so no password can be compared with it. Tell whoever runs this service: “troth breach status” says more.")
	}
	return false, nil
}

// path is the file of a kind.
func (l *Lists) path(kind Kind) string { return filepath.Join(l.dir, string(kind)+".list") }

// look opens what is new in the directory, now and then. Nobody is answered
// before it was looked at once.
func (l *Lists) look() {
	l.first.Do(l.reload)
	now, last := l.now().UnixNano(), l.looked.Load()
	if last != 0 && now-last < int64(lookEvery) && now >= last || !l.looked.CompareAndSwap(last, now) {
		return
	}
	l.reload()
}

// reload opens every list that is not the one that is open.
func (l *Lists) reload() {
	for _, kind := range kinds {
		info, err := os.Stat(l.path(kind))
		if errors.Is(err, fs.ErrNotExist) {
			l.mu.Lock()
			if l.last[kind] != nil {
				l.log.Warn("a list of breached passwords was removed, and is not asked any more", "kind", kind)
			}
			delete(l.last, kind)
			l.mu.Unlock()
			l.swap(kind, nil, nil)
			continue
		}
		l.mu.RLock()
		open, wrong, last := l.open[kind], l.wrong[kind], l.last[kind]
		l.mu.RUnlock()
		if err == nil && same(last, info) {
			continue // it is in use, or was refused for good
		}
		fresh, err := openList(l.path(kind))
		if err == nil || isDamage(err) {
			l.mu.Lock()
			l.last[kind] = info
			l.mu.Unlock()
		}
		if err != nil && open != nil && wrong == nil {
			l.log.Error("the new list of breached passwords cannot be used; the old one stays in use until the end of the process", "kind", kind, "error", err)
			continue
		}
		if err != nil {
			l.log.Error("a list of breached passwords cannot be used", "kind", kind, "error", err)
			err = fmt.Errorf("the list %s: %w", kind, err)
		}
		l.swap(kind, fresh, err)
	}
}

// swap puts a list in the place of another one, which nobody asks any more.
func (l *Lists) swap(kind Kind, fresh *list, wrong error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.open[kind]; old != nil {
		if err := old.close(); err != nil {
			l.log.Warn("a list that was replaced stays in memory", "kind", kind, "error", err)
		}
	}
	delete(l.open, kind)
	delete(l.wrong, kind)
	if fresh != nil {
		l.open[kind] = fresh
	}
	if wrong != nil {
		l.wrong[kind] = wrong
	}
}

// onHost is nil for the operator on the host.
func onHost(by access.Subject) error {
	if by.Kind != access.KindSystem {
		return fault.New(fault.Denied, "breach.host_only", "Only the operator can do this, on the host: see “troth breach --help”.")
	}
	return nil
}

// The events.
const (
	evImported = "breach.imported"
	evAdded    = "breach.added"
	evRemoved  = "breach.removed"
)

// Events are the types of events that this package writes.
var Events = []audit.Type{
	{Name: evImported, Sentence: "{actor} imported a list of breached passwords ({kind}): {entries} entries"},
	{Name: evAdded, Sentence: "{actor} added passwords to the installation's own list of breached ones: {count}"},
	{Name: evRemoved, Sentence: "{actor} took passwords from the installation's own list of breached ones: {count}"},
}

func (l *Lists) event(name string, by access.Subject, metadata map[string]string) audit.Event {
	return audit.Event{Type: name, Actor: by.Actor(), Context: by.Context, Metadata: metadata, OccurredAt: l.now()}
}
