package edge

import (
	"crypto/tls"
	"net/netip"
	"strings"
)

// suites are the TLS 1.2 cipher suites: forward secret and authenticated only
// (RFC 9325, 4.2), AES-256 among them for both kinds of certificate. Go orders
// them itself. Those of TLS 1.3 are not configurable and all of that kind.
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
}

// tlsConfig is the one configuration of every listener. The key exchanges are
// Go's defaults, the hybrid post-quantum X25519MLKEM768 first; session ticket
// keys are Go's too, which rotates them daily.
func tlsConfig(certs Certificates) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12, // RFC 9325, 3.1.1
		CipherSuites:   suites,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: certs.Certificate,
	}
}

// hstsAge is two years, what browsers' preload lists ask for.
const hstsAge = "max-age=63072000"

// strictTransport is the value of Strict-Transport-Security for a host, or ""
// for one where it would do harm: on localhost it would catch every other
// program that is developed there, and for a bare address it means nothing
// (RFC 6797, 8.1.1).
func strictTransport(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "" {
		return ""
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ""
	}
	return hstsAge
}
