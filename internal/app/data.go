package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"troth/internal/edge"
	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/store"
)

// databaseRef is the key of the embedded database: AES-256-XTS takes two keys
// of 256 bits.
var databaseRef = keys.ServiceRef("database")

const databaseKeySize = 64

// data is what stands under everything: root key, keyring, database.
type data struct {
	root *keys.FileRoot
	ring *store.Ring
	keys *keys.Keys
	db   *store.DB
}

// faults makes operations fail, in tests and in the checks that look whether
// anything fails open.
type faults struct {
	store, ring func(op string) store.Outcome
	root        func(keys.Root) keys.Root
	log         func(edge.AccessLog) edge.AccessLog
}

// openData opens root, keyring and database, in this order, and changes no
// schema. What belongs together and is not there together it refuses.
func openData(ctx context.Context, s *Settings, o options) (*data, error) {
	d := &data{}
	var err error
	if d.root, err = keys.OpenRoot(s.rootDir()); err != nil {
		return nil, err
	}
	at, err := s.places()
	if err != nil {
		return nil, err
	}
	if err := at.ringBelongs(); err != nil {
		return nil, err
	}
	if d.ring, err = store.OpenRingWith(ctx, store.Options{URL: at.ringURL, Now: o.now, Log: o.log, Fault: o.faults.ring}); err != nil {
		return nil, err
	}
	var root keys.Root = d.root
	if o.faults.root != nil {
		root = o.faults.root(root)
	}
	d.keys = keys.New(root, d.ring, o.now)
	if err := d.openStore(ctx, at, o); err != nil {
		return nil, errors.Join(err, d.ring.Close())
	}
	return d, nil
}

func (d *data) openStore(ctx context.Context, at places, o options) error {
	if err := at.storeBelongs(ctx, d.keys); err != nil {
		return err
	}
	if err := d.keys.Create(ctx, databaseRef, databaseKeySize); err != nil {
		return fmt.Errorf("making the database key: %w", err)
	}
	key, err := d.keys.Secret(ctx, databaseRef)
	if err != nil {
		return fmt.Errorf("reading the database key: %w", err)
	}
	if d.db, err = store.Open(ctx, store.Options{URL: at.storeURL, Key: key, Now: o.now, Log: o.log, Fault: o.faults.store}); err != nil {
		return err
	}
	if err := at.serverBelongs(ctx, d.keys, d.db); err != nil {
		return errors.Join(err, d.db.Close())
	}
	return nil
}

func (d *data) close() error {
	return errors.Join(d.db.Close(), d.ring.Close())
}

// makeData makes the data directory and the first root key, if there is none.
// It reports whether the directory was new.
func makeData(s *Settings) (fresh bool, err error) {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return false, fault.Wrap(err, fault.Invalid, "app.data", "The data directory %s cannot be made: %v.", s.Data, reason(err))
	}
	_, err = keys.OpenRoot(s.rootDir())
	if err == nil {
		return false, nil
	}
	if fault.KindOf(err) != fault.NotFound {
		return false, err
	}
	// What needs a root key, without one, is not a new installation but a lost key.
	at, wrong := s.places()
	if wrong != nil {
		return false, wrong
	}
	if filled(at.ring) || filled(at.database) || filled(at.checkpoint) {
		return false, err
	}
	_, err = keys.CreateRoot(s.rootDir())
	return true, err
}

// keyring and store are nil while nothing is open.
func (in *Installation) keyring() *keys.Keys {
	if in.data == nil {
		return nil
	}
	return in.data.keys
}

func (in *Installation) store() *store.DB {
	if in.data == nil {
		return nil
	}
	return in.data.db
}

func (in *Installation) authorityPath() string { return filepath.Join(in.set.Data, "ca.pem") }
