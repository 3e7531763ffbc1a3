package main

import (
	"context"
	"strings"
	"sync"

	"github.com/ncruces/go-sqlite3/vfs"

	"troth/internal/secret"
	"troth/internal/store"
)

// Package store opens no SQLite file without encrypting it, and needs no switch
// for that only because a benchmark wants to know what encryption costs. So the
// switch is here: a file system that takes the place of the encrypting one under
// its name, and passes the files of directories with plainName on to the bare
// one. Everything above it is the same code.

// plainName marks directories whose databases are not encrypted.
const plainName = "plain-"

// storeVFS is the name under which package store registers its file system.
const storeVFS = "troth"

type byName struct{ encrypted, bare vfs.VFSFilename }

// Open implements vfs.VFS.
func (b byName) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return b.of(name).Open(name, flags)
}

// OpenFilename implements vfs.VFSFilename. What has no name, as the journals of
// savepoints, is opened alike on both sides.
func (b byName) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return b.of(name.String()).OpenFilename(name, flags)
}

// Delete implements vfs.VFS.
func (b byName) Delete(name string, dirSync bool) error { return b.of(name).Delete(name, dirSync) }

// Access implements vfs.VFS.
func (b byName) Access(name string, flags vfs.AccessFlag) (bool, error) {
	return b.of(name).Access(name, flags)
}

// FullPathname implements vfs.VFS.
func (b byName) FullPathname(name string) (string, error) { return b.of(name).FullPathname(name) }

func (b byName) of(name string) vfs.VFSFilename {
	if strings.Contains(name, plainName) {
		return b.bare
	}
	return b.encrypted
}

var split sync.Once

// openStore opens a database as package app does.
func openStore(ctx context.Context, path string, key secret.Bytes) (*store.DB, error) {
	o := store.Options{URL: "sqlite:" + path, Key: key}
	var err error
	split.Do(func() {
		// The first opening registers the encrypting file system.
		var first *store.DB
		if first, err = store.Open(ctx, store.Options{URL: "sqlite:" + path + ".first", Key: key}); err == nil {
			err = first.Close()
		}
		if encrypted, ok := vfs.Find(storeVFS).(vfs.VFSFilename); ok {
			vfs.Register(storeVFS, byName{encrypted, vfs.Find("").(vfs.VFSFilename)})
		}
	})
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, o)
}
