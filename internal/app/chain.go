package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"troth/internal/audit"
	"troth/internal/edge"
	edgeplug "troth/internal/edge/plug"
	"troth/internal/keys"
	"troth/internal/password"
	"troth/internal/store"
)

// A second chain is a whole installation in a directory of its own, made by the
// same constructor, whose dependencies can be made to fail: what it would be
// wrong to do to the first one. It exercises no claims itself, nobody can reach
// it but the check, and it ends with it.

var errBroken = errors.New("a check has broken this on purpose")

// breakable are the switches of a second chain.
type breakable struct{ store, keys, log atomic.Bool }

func (b *breakable) set(part string, broken bool) {
	map[string]*atomic.Bool{"store": &b.store, "keys": &b.keys, "log": &b.log}[part].Store(broken)
}

func (b *breakable) faults() faults {
	return faults{
		store: func(string) store.Outcome {
			if b.store.Load() {
				return store.Lost
			}
			return store.Works
		},
		root: func(r keys.Root) keys.Root { return brokenRoot{r, &b.keys} },
		log:  func(l edge.AccessLog) edge.AccessLog { return brokenLog{l, &b.log} },
	}
}

// brokenRoot is a root key that cannot be asked while it is broken.
type brokenRoot struct {
	keys.Root
	broken *atomic.Bool
}

// Current fails while the root is broken.
func (r brokenRoot) Current(ctx context.Context) (string, error) {
	if r.broken.Load() {
		return "", errBroken
	}
	return r.Root.Current(ctx)
}

// Wrap fails while the root is broken.
func (r brokenRoot) Wrap(ctx context.Context, epoch string, plain, aad []byte) ([]byte, error) {
	if r.broken.Load() {
		return nil, errBroken
	}
	return r.Root.Wrap(ctx, epoch, plain, aad)
}

// Unwrap fails while the root is broken.
func (r brokenRoot) Unwrap(ctx context.Context, epoch string, wrapped, aad []byte) ([]byte, error) {
	if r.broken.Load() {
		return nil, errBroken
	}
	return r.Root.Unwrap(ctx, epoch, wrapped, aad)
}

// brokenLog takes no lines while it is broken.
type brokenLog struct {
	edge.AccessLog
	broken *atomic.Bool
}

// Begin fails while the log is broken.
func (l brokenLog) Begin(line audit.AccessLine) (edge.Line, error) {
	if l.broken.Load() {
		return nil, errBroken
	}
	return l.AccessLog.Begin(line)
}

// secondChain builds a second chain with an application behind it.
func (in *Installation) secondChain(ctx context.Context) (_ *edgeplug.Chain, err error) {
	dir, err := os.MkdirTemp("", "troth-chain-")
	if err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	undo := []func() error{func() error { return os.RemoveAll(dir) }}
	end := func() error {
		var all error
		for i := len(undo) - 1; i >= 0; i-- {
			all = errors.Join(all, undo[i]())
		}
		return all
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, end())
		}
	}()
	var reached atomic.Int64
	socket := filepath.Join(dir, "app.sock")
	stop, err := application(socket, &reached)
	if err != nil {
		return nil, err
	}
	undo = append(undo, stop)
	set := defaults(filepath.Join(dir, "data"))
	set.adapt(development)
	set.site.Origin, set.site.Upstream = "https://localhost", "unix:"+socket
	set.routes = []route{{Path: "/public/", Access: edge.Public}}
	if _, err := makeData(set); err != nil {
		return nil, err
	}
	hashing, err := password.NewHasher(password.Floor, 64<<20, 5*time.Second)
	if err != nil {
		return nil, err
	}
	var b breakable
	second, err := open(ctx, set, options{now: in.now, log: slog.New(slog.DiscardHandler), faults: b.faults(), hashing: hashing, idle: true})
	if err != nil {
		return nil, err
	}
	undo = append(undo, second.Close)
	bench, err := second.Bench()
	if err != nil {
		return nil, err
	}
	return &edgeplug.Chain{Bench: bench, Public: "/public/", Reached: func() int { return int(reached.Load()) }, Break: b.set, Close: end}, nil
}

// application answers on a socket and counts what reaches it.
func application(socket string, reached *atomic.Int64) (stop func() error, err error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listening for the second chain: %w", err)
	}
	s := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { _ = s.Serve(l) }() // ends with Close
	return s.Close, nil
}
