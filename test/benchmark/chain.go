package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"troth/internal/access"
	"troth/internal/account"
	"troth/internal/audit"
	"troth/internal/keys"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/tenant"
)

// ground is keys, store and log.
type ground struct {
	ring *store.Ring
	keys *keys.Keys
	db   *store.DB
	log  *audit.Log
	path string // of the database
	key  secret.Bytes
}

// newGround makes an encrypted database with the log in it, and the further
// tables; under a name that begins with plainName it is not encrypted.
func (l *lab) newGround(ctx context.Context, name string, types []audit.Type, tables ...fs.FS) (*ground, error) {
	g := &ground{path: filepath.Join(l.dir, name, "troth.db"), key: secret.OfBytes(random(64))}
	root, err := keys.CreateRoot(filepath.Join(l.dir, name, "root"))
	if err != nil {
		return nil, err
	}
	if g.ring, err = store.OpenRing(ctx, "sqlite:"+filepath.Join(l.dir, name, "keyring.db"), time.Now); err != nil {
		return nil, err
	}
	g.keys = keys.New(root, g.ring, time.Now)
	if g.db, err = openStore(ctx, g.path, g.key); err != nil {
		return nil, err
	}
	if err := g.db.Migrate(ctx, append(tables, store.Migrations, audit.Migrations)...); err != nil {
		return nil, err
	}
	g.log, err = audit.New(g.db, g.keys, audit.Options{Origin: "bench.example", Types: types})
	return g, err
}

func (g *ground) close() error { return errors.Join(g.db.Close(), g.ring.Close()) }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// chain is an installation in process, wired as package app does it.
type chain struct {
	ground
	access   *access.Access
	tenants  *tenant.Tenants
	accounts *account.Accounts
}

// install makes a data directory with the program itself.
func (l *lab) install(ctx context.Context, name string) (string, error) {
	dir := filepath.Join(l.dir, name)
	if out, err := exec.CommandContext(ctx, l.binary, "init", "--data", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("making a data directory: %w\n%s", err, out)
	}
	return dir, nil
}

// discard takes messages and sends none: delivery is no part of what is measured.
type discard struct{}

func (discard) SendTx(*store.Tx, mail.Message) error { return nil }

// openChain opens what install made.
func openChain(ctx context.Context, dir string) (*chain, error) {
	c := &chain{ground: ground{path: filepath.Join(dir, "troth.db")}}
	root, err := keys.OpenRoot(filepath.Join(dir, "root"))
	if err != nil {
		return nil, err
	}
	if c.ring, err = store.OpenRing(ctx, "sqlite:"+filepath.Join(dir, "keyring.db"), time.Now); err != nil {
		return nil, err
	}
	c.keys = keys.New(root, c.ring, time.Now)
	if c.key, err = c.keys.Secret(ctx, keys.ServiceRef("database")); err != nil {
		return nil, err
	}
	if c.db, err = openStore(ctx, c.path, c.key); err != nil {
		return nil, err
	}
	c.log, err = audit.New(c.db, c.keys, audit.Options{Origin: "localhost", Types: slices.Concat(account.Events, tenant.Events, access.Events)})
	if err != nil {
		return nil, err
	}
	grants := slices.Concat(account.Permissions, tenant.Grants())
	if c.access, err = access.New(c.db, grants, tenant.Roles{}, c.log, time.Now); err != nil {
		return nil, err
	}
	c.tenants = tenant.New(tenant.Options{DB: c.db, Keys: c.keys, Log: c.log, Access: c.access, Mail: discard{}, Origin: "https://localhost", Now: time.Now})
	c.accounts, err = account.Open(ctx, account.Options{
		DB: c.db, Keys: c.keys, Log: c.log, Access: c.access, Post: discard{},
		Founder: c.tenants, Inviter: c.tenants, Leaver: c.tenants, Config: account.Defaults(), Origin: "https://localhost",
	})
	return c, err
}

// live keeps the change feed read while fn runs: without it no cache is trusted.
func (c *chain) live(ctx context.Context, fn func() error) error {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- c.db.Run(ctx) }()
	for !c.db.Fresh() {
		time.Sleep(time.Millisecond)
	}
	err := fn()
	stop()
	return errors.Join(err, <-done)
}
