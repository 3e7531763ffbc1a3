package plug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/keys"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/trust"
)

func (p plug) claim() trust.Claim {
	return trust.Claim{
		ID:       "D1",
		Sentence: "Personal data and all customer content are encrypted at rest with AES-256, live data and backups alike.",
		Scope:    "What this installation keeps about people and organisations: names, addresses, messages on their way and the log, in its database and in its backups.",
		Criteria: []string{"CC6.1", "A.8.24", "PR.DS-01", "SC-28", "SC-28(1)"},
		NotProven: "That the root key is kept away from the data, and that the memory and the swap space of the machine are protected: the operator sees to both. " +
			"With Postgres, personal data are encrypted before they reach the server, and the server's disk is the operator's to encrypt. " +
			"What the application behind Troth stores by itself is its own. Files of more than 2 GiB are searched at their beginning and end.",
		Fresh: checkFresh,
		Checks: []trust.Check{{
			Name: "keys.at_rest", Version: 1, Period: checkPeriod, Timeout: checkTimeout,
			Method: "A synthetic person changes their name to random letters through the front door and reads it there again. " +
				"Then those letters are looked for, also in base 16, base 64 and UTF-16, in every row of the database, in every file of the data directory but the root key, and in a backup taken for it. " +
				"The key of the database is looked for in the same files, and a sealed field with one bit changed must not open.",
			Run: p.atRest,
		}},
	}
}

// atRest exercises the claim.
func (p plug) atRest(ctx context.Context, b trust.Bench) (trust.Result, error) {
	var look trust.Look
	name := marker()
	if err := plant(ctx, b, &look, name); err != nil {
		return trust.Result{}, err
	}
	if err := p.searchRows(ctx, &look, name); err != nil {
		return trust.Result{}, err
	}
	dir, err := p.workDir(b)
	if err != nil {
		return trust.Result{}, fmt.Errorf("making a directory for the check: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := p.searchFiles(ctx, &look, name, dir); err != nil {
		return trust.Result{}, err
	}
	if err := p.tamper(ctx, &look); err != nil {
		return trust.Result{}, err
	}
	return look.Result()
}

// workDir makes a directory for the backup to search, on the data's own disk,
// and removes what runs that were killed left behind.
func (p plug) workDir(b trust.Bench) (string, error) {
	old, err := filepath.Glob(filepath.Join(p.Data, ".check-*"))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		if info, err := os.Stat(dir); err == nil && b.Now().Sub(info.ModTime()) > time.Hour {
			os.RemoveAll(dir)
		}
	}
	return os.MkdirTemp(p.Data, ".check-")
}

// marker is 20 random lower-case letters: nothing else in the world has them.
func marker() string {
	var b strings.Builder
	for b.Len() < 20 {
		for _, c := range strings.ToLower(secret.NewToken().Reveal()) {
			if c >= 'a' && c <= 'z' && b.Len() < 20 {
				b.WriteRune(c)
			}
		}
	}
	return b.String()
}

// plant gives the canary a name through the front door and reads it again.
func plant(ctx context.Context, b trust.Bench, look *trust.Look, name string) error {
	canary, err := b.Canary(ctx, "encryption")
	if err != nil {
		return err
	}
	v, err := canary.SignIn(ctx, netip.Addr{})
	if err != nil {
		return err
	}
	p, err := v.Post(ctx, "/-/account/", "name", name)
	if err != nil {
		return err
	}
	if p.Status != 303 {
		return fault.New(fault.Unavailable, "keys.canary_name", "The canary could not change its name: the front door answered %d.", p.Status)
	}
	if p, err = v.Get(ctx, "/-/account/"); err != nil {
		return err
	}
	look.That(p.Status == 200 && strings.Contains(p.Body, name), "the new name, read again through the front door", "shown", said(strings.Contains(p.Body, name), "shown", "not shown"))
	return nil
}

func said(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

// searchRows looks through the rows as the database returns them: what is
// personal is sealed in its column, whatever the file is encrypted with.
func (p plug) searchRows(ctx context.Context, look *trust.Look, name string) error {
	s := newSearch(spellings([]byte(name)))
	if err := p.DB.Dump(ctx, s); err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("reading the rows: %w", err)
	}
	look.That(s.bytes > 0 && !s.found[0], fmt.Sprintf("the name in the rows of the database (%s read)", size(s.bytes)), "not found", said(s.found[0], "found", "not found"))
	return nil
}

// searchFiles looks through the files, a backup among them. The search itself
// is tried on a file in the clear.
func (p plug) searchFiles(ctx context.Context, look *trust.Look, name, dir string) error {
	needles := []needle{spellings([]byte(name))}
	key, err := p.Keys.Secret(ctx, keys.ServiceRef("database"))
	switch {
	case err == nil:
		needles = append(needles, spellings(key.Reveal()))
	case fault.KindOf(err) != fault.NotFound:
		return err
	}
	if err := p.backUp(ctx, dir); err != nil {
		return err
	}
	s := newSearch(needles...)
	backup, err := s.tree(ctx, dir, nil)
	if err != nil {
		return err
	}
	look.That(backup > 0 && !s.found[0], fmt.Sprintf("the name in a backup taken now (%s)", size(s.bytes)), "not found", said(s.found[0], "found", "not found"))
	inBackup := s.found[len(s.found)-1] // the key, if there is one

	s = newSearch(needles...)
	files, err := s.tree(ctx, p.Data, append(p.Skip, dir))
	if err != nil {
		return err
	}
	look.That(files > 0 && !s.found[0], fmt.Sprintf("the name in the files of the data directory (%s)", size(s.bytes)), "not found", said(s.found[0], "found", "not found"))
	if len(needles) > 1 {
		found := s.found[1] || inBackup
		look.That(!found, "the key of the database in those files and in the backup", "not found", said(found, "found", "not found"))
	}
	if err := p.header(look); err != nil {
		return err
	}

	control := filepath.Join(dir, "control")
	if err := os.WriteFile(control, []byte("name: "+name+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing the file in the clear: %w", err)
	}
	defer os.Remove(control)
	s = newSearch(needles...)
	if err := s.file(ctx, control); err != nil {
		return err
	}
	look.That(s.found[0], "the name in a file written in the clear, to try the search", "found", said(s.found[0], "found", "not found"))
	return nil
}

// header looks whether the database file begins as one in the clear does.
func (p plug) header(look *trust.Look) error {
	if p.DB.Engine() != store.SQLite {
		return nil
	}
	f, err := os.Open(filepath.Join(p.Data, "troth.db"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // it was put elsewhere
	}
	if err != nil {
		return fmt.Errorf("opening the database file: %w", err)
	}
	defer f.Close()
	begins := make([]byte, 16)
	if _, err := io.ReadFull(f, begins); err != nil {
		return fmt.Errorf("reading the database file: %w", err)
	}
	clear := string(begins) == "SQLite format 3\x00"
	look.That(!clear, "the beginning of the database file", "ciphertext", said(clear, "readable", "ciphertext"))
	return nil
}

func (p plug) backUp(ctx context.Context, dir string) error {
	var err error
	if p.Backup != nil {
		err = p.Backup(ctx, dir)
	} else {
		err = p.DB.BackupTo(ctx, filepath.Join(dir, "troth.db"), nil)
	}
	if err != nil {
		return fmt.Errorf("taking a backup: %w", err)
	}
	return nil
}

// tamper seals a field, changes one bit of it, and expects it not to open.
func (p plug) tamper(ctx context.Context, look *trust.Look) error {
	ref := keys.TenantRef(id.Platform)
	if err := p.Keys.Create(ctx, ref, 32); err != nil {
		return err
	}
	at := keys.Place{Tenant: id.Platform, Table: "check", Column: "field", Row: "1"}
	sealed, err := p.Keys.Seal(ctx, at, []byte("canary"), ref)
	if err != nil {
		return err
	}
	look.Equal("the algorithm that the header of a sealed field names", "XAES-256-GCM", keys.Algorithm(sealed))
	sealed[len(sealed)-20] ^= 1
	_, err = p.Keys.Open(ctx, at, sealed, ref)
	if err != nil && !errors.Is(err, keys.ErrAltered) {
		return err
	}
	look.That(err != nil, "a sealed field with one bit changed", "refused", said(err != nil, "refused", "opened"))
	return nil
}

// size is a number of bytes for people, rounded so that evidence does not tell
// how many customers there are to the row.
func size(n int64) string {
	switch {
	case n < 1<<20:
		return "less than 1 MiB"
	case n < 1<<30:
		return fmt.Sprintf("about %d MiB", (n+1<<19)>>20)
	}
	return fmt.Sprintf("about %d GiB", (n+1<<29)>>30)
}
