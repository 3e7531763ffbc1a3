package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Certificates is where the front door's certificate comes from: the local
// authority, files, and later an ACME directory.
type Certificates interface {
	// Certificate returns what to present to a client. It never blocks on
	// anything outside of the process.
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// Refresh renews or reloads what needs it; it is called every few
	// seconds. After an error the former certificate stays in use.
	Refresh(ctx context.Context) error
	// Roots are the authorities that a client must trust, or nil for those of
	// its system.
	Roots() *x509.CertPool
}

var errNoCertificate = errors.New("there is no certificate yet")

// held is the certificate in use.
type held struct {
	p atomic.Pointer[tls.Certificate]
}

func (h *held) set(c *tls.Certificate) { h.p.Store(c) }

func (h *held) get() (*tls.Certificate, error) {
	c := h.p.Load()
	if c == nil {
		return nil, errNoCertificate
	}
	return c, nil
}

// files is a certificate source that somebody else renews.
type files struct {
	cert, key string
	seen      stamp
	leaf      held
	now       func() time.Time
}

// stamp tells whether files changed. Two files that are replaced one after the
// other do not fit together for a moment; the reload then fails and is tried
// again.
type stamp struct {
	cert, key   time.Time
	certN, keyN int64
}

// CertificateFiles reads a chain and a private key in PEM, and again whenever
// one of them changes.
func CertificateFiles(certFile, keyFile string, now func() time.Time) (Certificates, error) {
	f := &files{cert: certFile, key: keyFile, now: now}
	return f, f.Refresh(context.Background())
}

// Certificate returns the certificate that was read last.
func (f *files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.leaf.get() }

// Roots is nil: a certificate from outside is for everybody.
func (f *files) Roots() *x509.CertPool { return nil }

// Refresh reads the files if they changed.
func (f *files) Refresh(context.Context) error {
	s, err := f.stat()
	if err != nil {
		return fmt.Errorf("looking at the certificate: %w", err)
	}
	if s == f.seen {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return fmt.Errorf("reading the certificate %s with the key %s: %w", f.cert, f.key, err)
	}
	if f.now().After(pair.Leaf.NotAfter) {
		return fmt.Errorf("the certificate %s ended on %s: renew it", f.cert, pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	f.leaf.set(&pair)
	f.seen = s
	return nil
}

func (f *files) stat() (stamp, error) {
	c, err := os.Stat(f.cert)
	if err != nil {
		return stamp{}, err
	}
	k, err := os.Stat(f.key)
	if err != nil {
		return stamp{}, err
	}
	return stamp{c.ModTime(), k.ModTime(), c.Size(), k.Size()}, nil
}
