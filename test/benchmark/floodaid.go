package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// wire is how the helpers of the flood reach the program.
type wire struct{ at, origin, ca string }

func (w *wire) flags(f *flag.FlagSet) {
	f.StringVar(&w.at, "at", "", "address")
	f.StringVar(&w.origin, "origin", "", "origin")
	f.StringVar(&w.ca, "ca", "", "file")
}

// client has one HTTP/2 connection, and no more.
func (w *wire) client() (*http.Client, error) {
	pem, err := os.ReadFile(w.ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Client{
		Timeout: 5 * time.Minute,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(1)},
			ForceAttemptHTTP2: true, MaxConnsPerHost: 1, DisableCompression: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, w.at)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// sight is what a person saw of a page.
type sight struct {
	Took    []time.Duration
	Refused int    // answers that were not the page
	Last    string // of those
}

// personAid looks at a page of its own, twenty times a second whether the one
// before has come or not, until its input ends, and prints how long each took.
func personAid(args []string) error {
	var w wire
	f := flag.NewFlagSet("person", flag.ContinueOnError)
	w.flags(f)
	if err := f.Parse(args); err != nil {
		return err
	}
	c, err := w.client()
	if err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	token, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	saw := sight{Took: []time.Duration{}}
	var mu sync.Mutex
	look := func(due time.Time) error {
		r, err := http.NewRequest(http.MethodGet, w.origin+"/-/account/", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Cookie", "__Host-troth="+strings.TrimSpace(token))
		res, err := c.Do(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		page, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if res.StatusCode != http.StatusOK {
			saw.Refused++
			saw.Last = fmt.Sprintf("%d %.400s", res.StatusCode, page)
		}
		saw.Took = append(saw.Took, time.Since(due))
		return nil
	}
	out := json.NewEncoder(os.Stdout)
	if err := look(time.Now()); err != nil {
		return err
	}
	saw = sight{Took: saw.Took[:0]}
	if err := out.Encode("looked"); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _, _ = io.Copy(io.Discard, in) }()
	var looks errgroup.Group
	for due := time.Now(); ; due = due.Add(50 * time.Millisecond) { // what comes late counts from when it was due
		select {
		case <-ended:
			return errors.Join(looks.Wait(), out.Encode(saw))
		case <-time.After(time.Until(due)):
		}
		looks.Go(func() error { return look(due) })
	}
}

// floodAid opens connections, waits until its input ends, sends everything at
// once, and prints how many answers of which kind came.
func floodAid(args []string) error {
	var w wire
	f := flag.NewFlagSet("flood", flag.ContinueOnError)
	w.flags(f)
	connections, streams := f.Int("connections", 0, "how many"), f.Int("streams", 0, "on each")
	if err := f.Parse(args); err != nil {
		return err
	}
	clients := make([]*http.Client, *connections)
	for i := range clients {
		var err error
		if clients[i], err = w.client(); err != nil {
			return err
		}
		res, err := clients[i].Get(w.origin + "/-/health/live")
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode("connected"); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	answers := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for n := range *connections * *streams {
		all.Go(func() {
			status := w.wrong(clients[n%*connections], n)
			mu.Lock()
			answers[status]++
			mu.Unlock()
		})
	}
	all.Wait()
	return out.Encode(answers)
}

// wrong is a wrong sign-in from the n-th address.
func (w *wire) wrong(c *http.Client, n int) string {
	address := email
	if n%2 == 1 {
		address = fmt.Sprintf("person-%d@example.org", n)
	}
	form := url.Values{"email": {address}, "password": {fmt.Sprintf("a wrong pass phrase, number %d", n)}}
	r, err := http.NewRequest(http.MethodPost, w.origin+"/-/signin", strings.NewReader(form.Encode()))
	if err != nil {
		return "error"
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", w.origin)
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("100.%d.%d.%d", 64+n>>16, n>>8&255, n&255))
	res, err := c.Do(r)
	if err != nil {
		return "error"
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return fmt.Sprint(res.StatusCode)
}
