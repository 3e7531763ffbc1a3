package place

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// lookEvery is how often it is seen whether the file has changed.
const lookEvery = 10 * time.Second

// Atlas finds places in the database of the operator. It is safe for concurrent
// use, and never fails: see [Atlas.Health] for why it knows nothing. A nil Atlas
// is one without a database.
type Atlas struct {
	file string
	now  func() time.Time
	log  *slog.Logger

	mu     sync.RWMutex // held for writing while the database is replaced
	db     *maxminddb.Reader
	stamp  fs.FileInfo // of the file that was opened, or tried to be
	looked time.Time
	err    error // why there is none, or why it is damaged
}

// Open makes an atlas over the configured file, and logs what it found.
func Open(c Config, now func() time.Time, log *slog.Logger) *Atlas {
	a := &Atlas{file: c.DatabaseFile, now: now, log: log}
	if a.file != "" {
		a.looked = now()
		a.load()
	}
	return a
}

// Close gives the file back.
func (a *Atlas) Close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop()
	a.file = ""
}

// drop forgets the database. The lock is held.
func (a *Atlas) drop() {
	if a.db != nil {
		_ = a.db.Close() // a map of a file that is only read: nothing can be lost
		a.db = nil
	}
}

// record is what the known databases say about an address.
type record struct {
	City struct {
		Names names `maxminddb:"names"`
	} `maxminddb:"city"`
	Country struct {
		Names names  `maxminddb:"names"`
		Code  string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
		Radius    uint16   `maxminddb:"accuracy_radius"`
	} `maxminddb:"location"`
	Number uint   `maxminddb:"autonomous_system_number"`
	Holder string `maxminddb:"autonomous_system_organization"`
}

type names struct {
	English string `maxminddb:"en"`
}

// Find says where an address is. What is not known is left empty.
func (a *Atlas) Find(ip netip.Addr) Place {
	ip = ip.Unmap().WithZone("")
	p := Place{Address: ip}
	if a == nil || !ip.IsValid() {
		return p
	}
	a.refresh()
	var r record
	if err := a.read(ip, &r); err != nil {
		a.damaged(err)
		return p
	}
	p.City, p.Country, p.Holder = shown(r.City.Names.English), shown(r.Country.Names.English), shown(r.Holder)
	if p.Country == "" {
		p.Country = shown(r.Country.Code)
	}
	if p.Holder == "" && r.Number != 0 {
		p.Holder = fmt.Sprintf("AS%d", r.Number)
	}
	if lat, lon := r.Location.Latitude, r.Location.Longitude; lat != nil && lon != nil && math.Abs(*lat) <= 90 && math.Abs(*lon) <= 180 {
		p.Located, p.Latitude, p.Longitude, p.Radius = true, *lat, *lon, float64(r.Location.Radius)
	}
	return p
}

// read looks an address up. The file is mapped into memory: when somebody cuts
// it short, reading what is gone is a fault of the machine, which is made an
// error here (package debug, SetPanicOnFault).
func (a *Atlas) read(ip netip.Addr, r *record) (err error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.db == nil {
		return nil
	}
	return guarded(func() error {
		if ip.Is6() && a.db.Metadata.IPVersion == 4 {
			return nil
		}
		return a.db.Lookup(ip).Decode(r)
	})
}

// guarded calls what reads mapped memory.
func guarded(read func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file was cut short: %v", p)
		}
	}()
	return read()
}

// damaged gives up a database that cannot be read, until the file changes.
func (a *Atlas) damaged(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.db == nil {
		return // somebody else found out
	}
	a.drop()
	a.fails(fmt.Errorf("reading %s: %w", a.file, err))
}

// refresh opens the file again when it has changed since it was opened.
func (a *Atlas) refresh() {
	now := a.now()
	a.mu.RLock()
	due := a.file != "" && now.Sub(a.looked).Abs() >= lookEvery
	a.mu.RUnlock()
	if !due {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == "" || now.Sub(a.looked).Abs() < lookEvery {
		return
	}
	a.looked = now
	stamp, err := os.Stat(a.file)
	if err != nil {
		a.drop()
		a.stamp = nil
		a.fails(err)
		return
	}
	if a.stamp == nil || !os.SameFile(a.stamp, stamp) || a.stamp.Size() != stamp.Size() || !a.stamp.ModTime().Equal(stamp.ModTime()) {
		a.load()
	}
}

// load opens the file. The lock is held, or nobody else has the atlas yet.
func (a *Atlas) load() {
	a.drop()
	var err error
	if a.stamp, err = os.Stat(a.file); err != nil {
		a.fails(err)
		return
	}
	if a.db, err = opened(a.file); err != nil {
		a.db = nil
		a.fails(err)
		return
	}
	a.err = nil
	a.log.Info("a GeoIP database was read", "file", a.file, "type", a.db.Metadata.DatabaseType, "built", a.db.Metadata.BuildTime().UTC().Format(time.DateOnly))
}

func opened(file string) (db *maxminddb.Reader, err error) {
	err = guarded(func() (err error) { db, err = maxminddb.Open(file); return err })
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", file, err)
	}
	return db, nil
}

// fails remembers why there is no database, and says it once.
func (a *Atlas) fails(err error) {
	if a.err == nil || a.err.Error() != err.Error() {
		a.log.Warn("the GeoIP database cannot be used; sessions and mails show addresses instead of places", "file", a.file, "error", err.Error())
	}
	a.err = err
}

// Health is what `troth doctor` tells about an atlas.
type Health struct {
	File  string    // empty: none is configured
	Type  string    // as the publisher calls it: "GeoLite2-City"
	Built time.Time // when it was published
	Err   error     // why it cannot be used
}

// Health looks at the whole database, which takes seconds for a large one.
func (a *Atlas) Health() Health {
	if a == nil || a.file == "" {
		return Health{}
	}
	h := Health{File: a.file}
	db, err := opened(a.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		h.Err = errors.New("there is no such file")
	case err != nil:
		h.Err = err
	default:
		defer db.Close()
		h.Type, h.Built = db.Metadata.DatabaseType, db.Metadata.BuildTime().UTC()
		h.Err = guarded(db.Verify)
	}
	return h
}
