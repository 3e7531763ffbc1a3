package app

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// property is a testing.TB over one run of a property, so that what helps in
// tests helps there, and a failure is made small instead of ending everything.
type property struct {
	testing.TB
	run  *rapid.T
	dir  string
	n    int
	last []func()
}

func (p *property) Helper()                           {}
func (p *property) Log(args ...any)                   { p.run.Log(args...) }
func (p *property) Logf(format string, args ...any)   { p.run.Logf(format, args...) }
func (p *property) Error(args ...any)                 { p.run.Error(args...) }
func (p *property) Errorf(format string, args ...any) { p.run.Errorf(format, args...) }
func (p *property) Fatal(args ...any)                 { p.run.Fatal(args...) }
func (p *property) Fatalf(format string, args ...any) { p.run.Fatalf(format, args...) }
func (p *property) Failed() bool                      { return p.run.Failed() }
func (p *property) Context() context.Context          { return context.Background() }
func (p *property) Cleanup(fn func())                 { p.last = append(p.last, fn) }

func (p *property) TempDir() string {
	p.n++
	dir := filepath.Join(p.dir, strconv.Itoa(p.n))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.Fatal(err)
	}
	return dir
}

// end runs what was left for the end, the last first.
func (p *property) end() {
	for len(p.last) > 0 {
		fn := p.last[len(p.last)-1]
		p.last = p.last[:len(p.last)-1]
		fn()
	}
	os.RemoveAll(p.dir)
}

// check checks a property so many times; -rapid.checks asks for more.
func check(t *testing.T, name string, times int, fn func(p *property)) {
	t.Helper()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := flag.Set("rapid.checks", strconv.Itoa(times)); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = flag.Set("rapid.checks", f.DefValue) }()
	}
	n := 0
	rapid.Check(t, func(run *rapid.T) {
		n++
		p := &property{TB: t, run: run, dir: filepath.Join(t.TempDir(), name+strconv.Itoa(n))}
		defer p.end()
		fn(p)
	})
}
