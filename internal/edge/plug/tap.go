package plug

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
)

// Tap is a log handler at which a check can listen: it hears what would be
// written at the most verbose level, for as long as it listens, and keeps nothing
// otherwise.
type Tap struct {
	next slog.Handler
	ear  *ear
	text slog.Handler // the same record as text, into the ear
}

// maxHeard bounds what is kept while a check listens.
const maxHeard = 16 << 20

// ear is shared by all handlers that come from one Tap.
type ear struct {
	active    atomic.Bool // somebody listens
	mu        sync.Mutex
	listeners int
	heard     bytes.Buffer
}

// NewTap listens at a handler. Every logger of the program must go through it.
func NewTap(next slog.Handler) *Tap {
	e := &ear{}
	return &Tap{next: next, ear: e, text: slog.NewTextHandler(e, &slog.HandlerOptions{Level: slog.LevelDebug - 100})}
}

// Write takes a line if somebody listens.
func (e *ear) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listeners > 0 && e.heard.Len() < maxHeard {
		e.heard.Write(p)
	}
	return len(p), nil
}

// listen begins to listen; stop ends it and returns what was heard.
func (t *Tap) listen() (stop func() string) {
	e := t.ear
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners++
	e.active.Store(true)
	from := e.heard.Len()
	return func() string {
		e.mu.Lock()
		defer e.mu.Unlock()
		heard := string(e.heard.Bytes()[from:])
		if e.listeners--; e.listeners == 0 {
			e.active.Store(false)
			e.heard = bytes.Buffer{}
		}
		return heard
	}
}

// Enabled is the next handler's; while somebody listens, everything is made, as
// it would be for an operator who asks for the most verbose log.
func (t *Tap) Enabled(ctx context.Context, l slog.Level) bool {
	return t.next.Enabled(ctx, l) || t.ear.active.Load()
}

// Handle passes the record on, and to the ear.
func (t *Tap) Handle(ctx context.Context, r slog.Record) error {
	if t.ear.active.Load() {
		_ = t.text.Handle(ctx, r.Clone()) // the ear takes everything
	}
	if !t.next.Enabled(ctx, r.Level) {
		return nil
	}
	return t.next.Handle(ctx, r)
}

// WithAttrs keeps listening.
func (t *Tap) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Tap{t.next.WithAttrs(attrs), t.ear, t.text.WithAttrs(attrs)}
}

// WithGroup keeps listening.
func (t *Tap) WithGroup(name string) slog.Handler {
	return &Tap{t.next.WithGroup(name), t.ear, t.text.WithGroup(name)}
}
