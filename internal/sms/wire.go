package sms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxAnswer is how much of an answer is read: all that a driver needs of it is
// a status and a code.
const maxAnswer = 16 << 10

// wire exchanges requests with a service: with a deadline, over TLS 1.2 or
// later, without redirects (an answer that leads elsewhere would take the secret
// along), and reading a bounded answer.
type wire struct{ client *http.Client }

func newWire(timeout time.Duration) wire {
	return wire{&http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    timeout,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: 32 << 10,
			MaxIdleConns:           4,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
	}}
}

// post sends a request and returns status and answer. An error names neither
// the path nor the query, which can hold an account.
func (w wire) post(r *http.Request) (status int, answer []byte, err error) {
	r.Header.Set("User-Agent", "Troth")
	res, err := w.client.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("sending a text to %s: %w", r.URL.Hostname(), bare(err))
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil && res.StatusCode/100 != 2 {
		err = nil // the status says enough
	}
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer of %s: %w", r.URL.Hostname(), bare(err))
	}
	return res.StatusCode, answer, nil
}

// bare is an error without the address that package url wraps around it.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// verdict makes an error out of an answer that is no success. detail is what
// the service calls it: a code of its own, never its words, which may quote the
// number.
func verdict(service string, status int, detail string) error {
	if detail != "" {
		detail = ", " + detail
	}
	err := fmt.Errorf("%s answered %d%s", service, status, detail)
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return err // RFC 9110, 15.5.9 and 15.6; RFC 6585, 4: it may be taken later
	}
	return &Rejected{err}
}

// reach opens a connection to the host of an address and closes it again.
func (w wire) reach(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, w.client.Timeout)
	defer stop()
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	var c net.Conn
	if u.Scheme == "https" {
		d := tls.Dialer{Config: w.client.Transport.(*http.Transport).TLSClientConfig}
		c, err = d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	} else {
		var d net.Dialer
		c, err = d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	}
	if err != nil {
		return err
	}
	return c.Close()
}

// code is a short word of a service's answer that may stand in an error:
// letters, digits and few signs.
func code(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '.' && r != '_' && r != '-' {
			return ""
		}
	}
	return s
}
