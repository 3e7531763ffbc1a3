package breach

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The bounds of asking the range service.
const (
	maxRange   = 1 << 20         // bytes of an answer: some 1,000 lines of 40
	rangeLife  = time.Hour       // of a cached answer
	rangeCache = 64              // answers, of 20 kB each
	tripAfter  = 3               // failures in a row, after which it is left alone
	tripFirst  = 1 * time.Minute // for so long, and twice as long each further time
	tripMax    = 30 * time.Minute
)

// ranges asks a service for the hashes that begin with five digits
// (https://haveibeenpwned.com/API/v3#PwnedPasswords).
type ranges struct {
	url     string
	timeout time.Duration
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger

	mu     sync.Mutex
	cache  map[string]answer
	failed int       // in a row
	until  time.Time // left alone
	count  RangeCount
}

// RangeCount counts what a process asked the range service.
type RangeCount struct {
	Asked  int64 `json:"asked"`
	Failed int64 `json:"failed"` // no answer in time, or one that was none
	Spared int64 `json:"spared"` // not asked, because it had failed before
}

// answer is what the service said of a prefix: the hashes' other digits.
type answer struct {
	suffixes map[[18]byte]bool // 35 digits in 18 bytes
	at       time.Time
}

func newRanges(url string, timeout time.Duration, client *http.Client, now func() time.Time, log *slog.Logger) *ranges {
	if url == "" {
		return nil
	}
	if client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxConnsPerHost, transport.ResponseHeaderTimeout = 8, timeout
		client = &http.Client{Transport: transport}
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &ranges{url: strings.TrimSuffix(url, "/") + "/", timeout: timeout, client: &c, now: now, log: log, cache: map[string]answer{}}
}

// has reports whether the service knows a password. Whatever goes wrong, it
// does not.
func (r *ranges) has(ctx context.Context, password string) bool {
	sum := sha1.Sum([]byte(password))
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	prefix, suffix := digits[:rangeDigits], packed(digits[rangeDigits:])
	now := r.now()
	r.mu.Lock()
	known, ok := r.cache[prefix]
	if ok && now.Sub(known.at) < rangeLife {
		r.mu.Unlock()
		return known.suffixes[suffix]
	}
	if now.Before(r.until) {
		r.count.Spared++
		r.mu.Unlock()
		return false
	}
	r.count.Asked++
	r.mu.Unlock()
	all, err := r.ask(ctx, prefix)
	if err != nil {
		if ctx.Err() == nil { // otherwise whoever asked went away
			r.failure(err)
		}
		return false
	}
	r.success(prefix, answer{all, now})
	return all[suffix]
}

func (r *ranges) failure(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count.Failed++
	r.failed++
	if r.failed < tripAfter {
		r.log.Warn("the range service of breached passwords did not answer; it is as if it had not been asked", "error", err)
		return
	}
	pause := min(tripFirst<<min(r.failed-tripAfter, 10), tripMax)
	r.until = r.now().Add(pause)
	r.log.Warn("the range service of breached passwords fails again and again; it is left alone for a while", "error", err, "failures", r.failed, "pause", pause)
}

func (r *ranges) success(prefix string, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = 0
	if len(r.cache) >= rangeCache {
		oldest := ""
		for p, known := range r.cache {
			if oldest == "" || known.at.Before(r.cache[oldest].at) {
				oldest = p
			}
		}
		delete(r.cache, oldest)
	}
	r.cache[prefix] = a
}

// ask sends the prefix and reads the whole answer.
func (r *ranges) ask(ctx context.Context, prefix string) (map[[18]byte]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+prefix, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the range service: %w", err)
	}
	req.Header.Set("Add-Padding", "true") // so that the length of the answer tells nothing
	req.Header.Set("User-Agent", "Troth")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the range service answered with the status %d", resp.StatusCode)
	}
	return readRange(resp.Body)
}

// withoutURL is an error of net/http without the address, which holds the
// prefix of somebody's password.
func withoutURL(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return fmt.Errorf("asking the range service: %w", inner)
	}
	return errors.New("asking the range service")
}

// readRange reads SUFFIX:COUNT lines. What is not one makes the whole answer
// none.
func readRange(body io.Reader) (map[[18]byte]bool, error) {
	limited := &io.LimitedReader{R: body, N: maxRange + 1}
	in := &reader{kind: SHA1, prefix: "00000", in: bufio.NewReaderSize(limited, 4096)}
	all := map[[18]byte]bool{}
	for {
		line, err := in.in.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			_, padding, ok := in.parse([]byte(line))
			if !ok {
				return nil, errors.New("the range service answered with a line that is no hash")
			}
			if !padding {
				all[packed(line[:40-rangeDigits])] = true
			}
		}
		switch {
		case limited.N <= 0:
			return nil, errors.New("the range service answered with more than a megabyte")
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("reading the answer of the range service: %w", err)
		}
	}
}

// packed is 35 hexadecimal digits in 18 bytes.
func packed(digits string) (b [18]byte) {
	for i := range len(digits) {
		b[i/2] = b[i/2]<<4 | nibble[digits[i]]
	}
	return b
}

// counts are those of this process so far.
func (r *ranges) counts() RangeCount {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}
