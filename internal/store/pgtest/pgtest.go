// Package pgtest runs a throw-away Postgres server for tests.
//
// The server is started once per test process, by the first test that asks for
// a database; it listens on a socket in a temporary folder and nowhere else,
// runs as the user "postgres" when the tests run as root, and ends, with its
// folder, when the test process does, however that ends. Every test gets a
// database of its own.
//
// A machine without Postgres fails the tests: half of the contract would
// otherwise go untested without a word. It does not sync to disk, so it is
// not for tests of durability.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// URL makes an empty database for the test and returns its URL. The database
// is dropped when the test has ended.
func URL(t testing.TB) string {
	t.Helper()
	dir, err := server()
	if err != nil {
		t.Fatalf("starting Postgres for tests (Debian: apt-get install postgresql): %v", err)
	}
	name := "t" + strings.ToLower(rand.Text())
	if err := admin(dir, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("making a database for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := admin(dir, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("dropping the test's database: %v", err)
		}
	})
	return address(dir, name)
}

// address is the URL of a database.
func address(dir, name string) string {
	return "postgres:///" + name + "?" + url.Values{"host": {dir}, "user": {"postgres"}}.Encode()
}

// admin runs one statement as the superuser.
func admin(dir, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, address(dir, "postgres"))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statement)
	return err
}

// server starts the server of this process and returns its folder.
var server = sync.OnceValues(start)

// script runs the server until its input ends, which is when the test process
// is gone, then stops it by its process number and removes the folder.
const script = `"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c synchronous_commit=off \
	-c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB -c max_pred_locks_per_transaction=256 </dev/null &
pid=$!
cat >/dev/null
kill -QUIT $pid
wait $pid
rm -rf "$2"`

func start() (dir string, err error) {
	bin, err := binaries()
	if err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		return "", err
	}
	attr, err := asPostgres(dir)
	if err != nil {
		return "", err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", err
	}
	defer log.Close()
	run := exec.Command("/bin/sh", "-c", script, "sh", bin, dir)
	run.SysProcAttr, run.Dir, run.Stdout, run.Stderr = attr, dir, log, log
	life, err := run.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := run.Start(); err != nil {
		return "", err
	}
	alive = life
	return dir, ready(dir)
}

// alive is the script's input: it ends with this process.
//
//lint:ignore U1000 holding it is its use: collected, it would be closed
var alive io.Closer

// ready waits until the server answers.
func ready(dir string) error {
	var err error
	for range 300 {
		if err = admin(dir, "SELECT 1"); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return fmt.Errorf("the server does not answer: %w: %s", err, log)
}

// binaries finds the folder of the server's programs.
func binaries() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // Debian keeps them out of PATH
	for i := len(dirs) - 1; i >= 0; i-- {
		if _, err := os.Stat(filepath.Join(dirs[i], "initdb")); err == nil {
			return dirs[i], nil
		}
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("there is no initdb in /usr/lib/postgresql/*/bin or in PATH")
	}
	return filepath.Dir(path), nil
}

// asPostgres gives the folder to the user "postgres" when the tests run as
// root, whom the server refuses.
func asPostgres(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, nil
}
