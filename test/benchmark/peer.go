package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime/debug"
	"sync"
	"time"
)

// servePeer is what stands beside Troth: the standard library's reverse proxy
// with TLS, and nothing else. It runs in a process of its own, as Troth does.
//
// bare is what one writes first: NewSingleHostReverseProxy with the default
// transport, which keeps two idle connections to the application. tuned has what
// the front door has: as many as are needed, no compression, a pool of buffers, a
// collector that runs a quarter as often.
func servePeer(args []string) error {
	f := flag.NewFlagSet("peer", flag.ContinueOnError)
	listen, to := f.String("listen", "", "address"), f.String("upstream", "", "URL")
	cert, key := f.String("cert", "", "file"), f.String("key", "", "file")
	tuned := f.Bool("tuned", false, "as the front door's")
	if err := f.Parse(args); err != nil {
		return err
	}
	target, err := url.Parse(*to)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		return err
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	if *tuned {
		debug.SetGCPercent(400)
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost, t.DisableCompression = 512, true
		proxy.Transport, proxy.BufferPool = t, &buffers{}
	}
	server := &http.Server{
		Addr: *listen, Handler: proxy, ErrorLog: log.Default(),
		TLSConfig: &tls.Config{ // as the front door's
			MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil },
		},
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	if err := server.ListenAndServeTLS("", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
