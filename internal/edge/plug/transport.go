package plug

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"troth/internal/trust"
)

// weak are ciphers without forward secrecy, or without authentication of the
// text in one step (RFC 9325, 4.1 and 4.2).
var weak = []uint16{
	tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_RC4_128_SHA,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,
}

var aes256 = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}

// wire connects to the real listener.
type wire struct {
	b      trust.Bench
	origin *url.URL
	addr   string
}

func newWire(b trust.Bench) (*wire, error) {
	u, err := url.Parse(b.Origin)
	if err != nil {
		return nil, fmt.Errorf("reading the origin: %w", err)
	}
	if b.Listen == "" {
		return nil, errors.New("the address of the real listener is not known")
	}
	host, port, err := net.SplitHostPort(b.Listen)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the listener: %w", err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens everywhere
		if ip.Is6() {
			host = "::1"
		}
	}
	return &wire{b, u, net.JoinHostPort(host, port)}, nil
}

// shake connects and shakes hands as the configuration says.
func (w *wire) shake(ctx context.Context, c *tls.Config) (*tls.Conn, error) {
	c.RootCAs, c.ServerName = w.b.Roots, w.origin.Hostname()
	c.Time = w.b.Now
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.addr)
	if err != nil {
		return nil, &unreachable{err}
	}
	conn := tls.Client(raw, c)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// unreachable says that nothing can be said about TLS.
type unreachable struct{ error }

func (p *plug) checkTransport(ctx context.Context, b trust.Bench) (trust.Result, error) {
	w, err := newWire(b)
	if err != nil {
		return trust.Result{}, err
	}
	var look trust.Look
	for _, step := range []func(context.Context, *trust.Look) error{w.good, w.bad, w.plain, w.strict} {
		if err := step(ctx, &look); err != nil {
			if _, ok := errors.AsType[*unreachable](err); ok {
				return trust.Result{}, fmt.Errorf("connecting to the listener: %w", err)
			}
			return trust.Result{}, err
		}
	}
	return look.Result()
}

// good are the connections that must come about.
func (w *wire) good(ctx context.Context, look *trust.Look) error {
	const agreed = "agreed"
	try := func(what string, c *tls.Config, fits func(tls.ConnectionState) bool) error {
		conn, err := w.shake(ctx, c)
		if err != nil {
			if _, ok := errors.AsType[*unreachable](err); ok {
				return err
			}
			look.That(false, what, agreed, "refused: "+err.Error())
			return nil
		}
		defer conn.Close()
		s := conn.ConnectionState()
		look.That(fits == nil || fits(s), what, agreed, fmt.Sprintf("%s, %s, %s", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.CurveID))
		return nil
	}
	is := func(v uint16) func(tls.ConnectionState) bool {
		return func(s tls.ConnectionState) bool { return s.Version == v }
	}
	return errors.Join(
		try("TLS 1.3, and a certificate that is valid for the name", &tls.Config{MinVersion: tls.VersionTLS13}, is(tls.VersionTLS13)),
		try("TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, is(tls.VersionTLS12)),
		try("TLS 1.2 with AES-256 and forward secrecy only", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: aes256}, is(tls.VersionTLS12)),
		try("a hybrid post-quantum key exchange (X25519 with ML-KEM-768)", &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519}},
			func(s tls.ConnectionState) bool { return s.CurveID == tls.X25519MLKEM768 }),
		try("HTTP/2", &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}, func(s tls.ConnectionState) bool { return s.NegotiatedProtocol == "h2" }),
	)
}

// bad are the connections that must be refused, by the other side and in words.
func (w *wire) bad(ctx context.Context, look *trust.Look) error {
	for _, c := range []struct {
		what string
		conf *tls.Config
	}{
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}},
		{"TLS 1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}},
		{"TLS 1.2 with ciphers without forward secrecy or authentication", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: weak}},
	} {
		conn, err := w.shake(ctx, c.conf)
		switch {
		case err == nil:
			s := conn.ConnectionState()
			conn.Close()
			look.That(false, c.what, "refused", fmt.Sprintf("agreed: %s, %s", tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite)))
		case strings.Contains(err.Error(), "remote error"): // an alert, RFC 8446, 6
			look.That(true, c.what, "refused", "refused")
		default:
			return fmt.Errorf("trying %s: %w", c.what, err)
		}
	}
	return nil
}

// plain asks without TLS: no page may come back.
func (w *wire) plain(ctx context.Context, look *trust.Look) error {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", w.addr)
	if err != nil {
		return &unreachable{err}
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	fmt.Fprintf(conn, "GET /-/trust HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", w.origin.Host)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		look.That(true, "a request without TLS", "refused", "the connection ends")
		return nil
	}
	res.Body.Close()
	look.That(res.StatusCode == http.StatusBadRequest, "a request without TLS", "refused", fmt.Sprintf("answered with %d", res.StatusCode))
	return nil
}

// strict looks for HSTS where it belongs.
func (w *wire) strict(ctx context.Context, look *trust.Look) error {
	conn, err := w.shake(ctx, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	if _, ok := errors.AsType[*unreachable](err); ok {
		return err
	}
	if err != nil {
		look.That(false, "a page over TLS", "an answer", "refused: "+err.Error())
		return nil
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	fmt.Fprintf(conn, "GET /-/health/live HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", w.origin.Host)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return fmt.Errorf("asking for a page: %w", err)
	}
	res.Body.Close()
	seen := res.Header.Get("Strict-Transport-Security")
	host := w.origin.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		look.That(seen == "", "Strict-Transport-Security for "+host+", where it would bind other programs", "none", orNone(seen))
		return nil
	}
	var age int
	_, err = fmt.Sscanf(seen, "max-age=%d", &age)
	look.That(err == nil && age >= 31536000, "Strict-Transport-Security", "for at least a year", orNone(seen))
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
