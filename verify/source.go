package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Source is where a log is read from. Paths are those of C2SP tlog-tiles,
// "checkpoint", "tile/…", and beside them "vkey", "evidence/HEX" and
// "trust.json".
type Source interface {
	// Fetch returns a whole file of at most limit bytes. An error that is
	// fs.ErrNotExist says that the log has no such file; any other, that it
	// could not be told.
	Fetch(ctx context.Context, path string, limit int64) ([]byte, error)
}

// Directory is an exported log. Links out of it are not followed.
type Directory struct{ root *os.Root }

// OpenDirectory opens an exported log. The caller closes it.
func OpenDirectory(dir string) (*Directory, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the exported log: %w", err)
	}
	return &Directory{root}, nil
}

// Close releases the directory.
func (d *Directory) Close() error { return d.root.Close() }

// Fetch reads one file.
func (d *Directory) Fetch(ctx context.Context, path string, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.root.Open(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, limit)
}

// Website is a running installation, read through its front door.
type Website struct {
	base   string
	client *http.Client
}

// fetchTimeout bounds one request; a log is many small files.
const fetchTimeout = 30 * time.Second

// OpenWebsite prepares reading from an installation's origin, such as
// https://localhost:8443. With ca, PEM, only certificates by that authority
// are accepted; without, the system's.
func OpenWebsite(origin string, ca []byte) (*Website, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the authority's file holds no PEM certificate")
		}
	}
	return WebsiteWith(origin, &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     conf,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     30 * time.Second,
	}})
}

// WebsiteWith reads through a client that the caller made.
func WebsiteWith(origin string, client *http.Client) (*Website, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("%q is no address of the form https://HOST[:PORT]", clip(origin))
	}
	c := *client
	// The log answers under its own address or not at all.
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Website{base: "https://" + u.Host + "/-/", client: &c}, nil
}

// Fetch asks for one file. A server that is busy is asked again, up to four
// times, after the time that it names but at most ten seconds.
func (w *Website) Fetch(ctx context.Context, path string, limit int64) ([]byte, error) {
	address := w.base + "log/" + path
	if path == "trust.json" {
		address = w.base + path
	}
	for try := 0; ; try++ {
		b, wait, err := w.once(ctx, address, path, limit)
		if err == nil || wait < 0 || try == 3 {
			return b, err
		}
		select {
		case <-time.After(max(wait, time.Second<<try/2)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// once returns a negative wait when trying again is of no use.
func (w *Website) once(ctx context.Context, address, path string, limit int64) (b []byte, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, -1, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, -1, fmt.Errorf("fetching %s: %w", path, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		b, err = readAll(resp.Body, path, limit)
		return b, -1, err
	case http.StatusNotFound, http.StatusGone:
		return nil, -1, fmt.Errorf("%s: %w", address, fs.ErrNotExist)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		after, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // seconds, or a date that we do not read
		return nil, time.Duration(min(max(after, 0), 10)) * time.Second, fmt.Errorf("%s answered %s", address, resp.Status)
	}
	return nil, -1, fmt.Errorf("%s answered %s", address, resp.Status)
}

// errTooLong is a file that is longer than its kind can be.
var errTooLong = errors.New("is longer than it can be")

func readAll(r io.Reader, path string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s %w (%d bytes)", path, errTooLong, limit)
	}
	return b, nil
}
