package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	proxyRounds  = 9
	proxyFor     = 1500 * time.Millisecond
	proxyClients = 32
)

// side is one of the programs in the comparison.
type side struct {
	*program
	load *loadOn
	rate []float64
	cost []float64 // processor microseconds a request
}

// proxy measures requests to an application, each with a session, a decision,
// an assertion and a line in the access log, against the standard library's
// proxy without any of that: same certificate, same application, same clients.
func proxy(ctx context.Context, l *lab) (err error) {
	dir, err := l.house(ctx)
	if err != nil {
		return err
	}
	tokens, err := l.signedIn(ctx, dir, 2000)
	if err != nil {
		return err
	}
	up, err := upstream()
	if err != nil {
		return err
	}
	defer up.Close()
	to := "http://" + up.Addr().String()
	cert, key, err := certificate(l.dir)
	if err != nil {
		return err
	}
	troth, err := l.serve(ctx, dir, "--upstream", to, certificateFile+cert, "TROTH_TLS_KEY_FILE="+key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, troth.stop()) }()
	if err := troth.quiet(ctx); err != nil {
		return err
	}
	sides := []*side{{program: troth, load: newLoad(troth, tokens, proxyClients)}}
	for _, tuned := range []string{"-tuned=false", "-tuned=true"} {
		p, err := servePeerAt(ctx, to, cert, key, tuned)
		if err != nil {
			return err
		}
		defer func() { _ = p.cmd.Process.Kill() }()
		sides = append(sides, &side{program: p, load: newLoad(p, tokens, proxyClients)})
	}
	many := &side{program: troth, load: newLoad(troth, tokens, len(tokens)/10)}
	for round := range proxyRounds {
		for _, s := range append(sides, many) {
			if s == many && round > 2 {
				continue
			}
			if err := s.once(ctx); err != nil {
				return err
			}
		}
	}
	for _, s := range append(sides, many) {
		s.load.close()
	}
	l.compare(sides[0], sides[1], sides[2], many)
	return nil
}

// compare writes the rows.
func (l *lab) compare(troth, bare, tuned, many *side) {
	var b, t, cb, ct pairs
	for i := range troth.rate {
		b.take(troth.rate[i], bare.rate[i])
		t.take(troth.rate[i], tuned.rate[i])
		cb.take(troth.cost[i], bare.cost[i])
		ct.take(troth.cost[i], tuned.cost[i])
	}
	l.table.add(line{what: fmt.Sprintf("proxied requests, %d connections", proxyClients), asked: "≥ 0.75 of a bare ReverseProxy with TLS",
		measured: perSecond(median(b.ours)), beside: "bare: " + perSecond(median(b.theirs)), ratio: b.String(), holds: median(b.ratio) >= 0.75})
	l.table.note("the same, against a ReverseProxy tuned as the front door is", perSecond(median(t.ours)), "tuned: "+perSecond(median(t.theirs)), t.String())
	l.table.note("processor time of the proxy a request, Troth against bare", fmt.Sprintf("%.0f µs", median(cb.ours)), fmt.Sprintf("bare: %.0f µs", median(cb.theirs)), cb.String())
	l.table.note("the same against tuned", fmt.Sprintf("%.0f µs", median(ct.ours)), fmt.Sprintf("tuned: %.0f µs", median(ct.theirs)), ct.String())
	l.table.growth("%s with %d connections, each with another session, against %s with %d: sessions, decisions and assertions are cached under a bound, so it does not grow with accounts or tenants; access lines are one event of the log for up to 4,096 requests.",
		perSecond(median(many.rate)), len(many.load.clients), perSecond(median(troth.rate)), proxyClients)
}

// once loads a side for a while.
func (s *side) once(ctx context.Context) error {
	before := s.processor()
	rate, err := s.load.run(ctx, proxyFor, 200)
	if err != nil {
		return fmt.Errorf("asking %s: %w\n%s", s.addr, err, s.said.String())
	}
	s.rate = append(s.rate, rate)
	s.cost = append(s.cost, float64((s.processor()-before).Microseconds())/(rate*proxyFor.Seconds()))
	return nil
}

// signedIn gives the person many sessions.
func (l *lab) signedIn(ctx context.Context, dir string, n int) ([]string, error) {
	c, err := openChain(ctx, dir)
	if err != nil {
		return nil, err
	}
	tokens, err := c.sessions(ctx, l.who, n)
	return tokens, errors.Join(err, c.close())
}

// servePeerAt starts the other side.
func servePeerAt(ctx context.Context, to, cert, key, tuned string) (*program, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(cert)
	if err != nil {
		return nil, err
	}
	roots.AppendCertsFromPEM(ca)
	p, err := begin(exec.CommandContext(ctx, self, "peer", "-listen", addr, "-upstream", to, "-cert", cert, "-key", key, tuned), nil, addr, roots)
	if err != nil {
		return nil, err
	}
	return p, p.wait(ctx, "/")
}

// certificate writes a certificate for localhost and its key: ECDSA on P-256.
func certificate(dir string) (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	err = errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	return cert, key, err
}
