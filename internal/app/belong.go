package app

import (
	"context"
	"os"
	"strings"

	"troth/internal/fault"
	"troth/internal/keys"
	"troth/internal/store"
)

// places are where an installation's state is. A path is "" for a part that a
// server keeps.
type places struct {
	ringURL, storeURL          string
	ring, database, checkpoint string
}

func (s *Settings) places() (p places, err error) {
	if p.ringURL, err = s.keyringURL(); err != nil {
		return p, err
	}
	if p.storeURL, err = s.storeURL(); err != nil {
		return p, err
	}
	p.ring, p.database, p.checkpoint = embedded(p.ringURL), embedded(p.storeURL), s.publishedPath()
	return p, nil
}

// embedded is the file that a URL names, or "".
func embedded(url string) string {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok {
		return ""
	}
	return path
}

// filled reports whether there is a file with something in it. An empty one is
// left by a first start that was ended in its first moment.
func filled(path string) bool {
	info, err := os.Stat(path)
	return path != "" && err == nil && info.Size() > 0
}

// A lost part must never be taken for a new installation: it would serve, and
// what was stored and promised would be gone without a word. Each of the
// following is asked before anything is made.

// ringBelongs refuses to make a keyring beside what another one belongs to.
func (p places) ringBelongs() error {
	if p.ring == "" || filled(p.ring) {
		return nil
	}
	for _, path := range []string{p.database, p.checkpoint} {
		if filled(path) {
			return fault.New(fault.NotFound, "app.no_keyring",
				"The keyring %s is not there, but %s is, and only its keyring opens it. Put the keyring back, or restore a backup to an empty directory with “troth restore”; if this is meant to be a new installation, move the other files away.", p.ring, path)
		}
	}
	return nil
}

// logKeyRef is made after the first schema: a keyring that has it belongs to a
// database with tables.
var logKeyRef = keys.ServiceRef("log-signer")

// storeBelongs refuses a keyring that is not the database's, and to make a
// database when there was one.
func (p places) storeBelongs(ctx context.Context, k *keys.Keys) error {
	if p.database == "" {
		return nil
	}
	known, err := has(ctx, k, databaseRef)
	if err != nil {
		return err
	}
	if filled(p.database) {
		if !known {
			return fault.New(fault.Invalid, "app.other_keyring",
				"The keyring %s has no key for the database %s: they do not belong together. Put the keyring back that belongs to it, or restore both from the same backup.", p.ring, p.database)
		}
		return nil
	}
	served, err := has(ctx, k, logKeyRef)
	if err != nil {
		return err
	}
	if served || filled(p.checkpoint) {
		return lostDatabase(p.database+" is not there", p.checkpoint)
	}
	return nil
}

// serverBelongs refuses an empty database on a server when there was a full one.
func (p places) serverBelongs(ctx context.Context, k *keys.Keys, db *store.DB) error {
	if p.database != "" {
		return nil
	}
	served, err := has(ctx, k, logKeyRef)
	if err != nil || !served && !filled(p.checkpoint) {
		return err
	}
	tables, err := db.Tables(ctx)
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		return lostDatabase("on the server has no tables", p.checkpoint)
	}
	return nil
}

func lostDatabase(how, checkpoint string) error {
	return fault.New(fault.NotFound, "app.no_database",
		"The database %s, but the keyring and the log's published checkpoint say that there was one. Put it back, or restore a backup to an empty place with “troth restore”; if this is meant to be a new installation, move the keyring and %s away.", how, checkpoint)
}

// has reports whether there ever was a key of this name.
func has(ctx context.Context, k *keys.Keys, ref keys.Ref) (bool, error) {
	_, err := k.Secret(ctx, ref)
	switch fault.KindOf(err) {
	case fault.NotFound:
		return false, nil
	case fault.Gone:
		return true, fault.Wrap(err, fault.Invalid, "app.other_root",
			"The root keys do not open the keyring: %s was wrapped by one that is not there. Put the files of the root key there that belong to the keyring.", string(ref))
	}
	return err == nil, err
}
