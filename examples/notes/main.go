// Command notes runs the example application behind Troth.
//
//	notes --troth https://localhost:8443 --ca data/ca.pem --listen 127.0.0.1:9090 --dir notes-data
//
// The flags can be given as NOTES_TROTH, NOTES_CA, NOTES_LISTEN, NOTES_DIR and
// NOTES_AUDIENCE too. It listens on 127.0.0.1 or on unix:/path/of/socket; an
// address that others can reach is refused, because whoever reaches it without
// Troth meets none of Troth's protection.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"troth/examples/notes/notes"
)

func main() {
	if err := run(os.Args[1:], os.Getenv); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

func run(args []string, env func(string) string) error {
	flags := flag.NewFlagSet("notes", flag.ContinueOnError)
	text := func(name, def, usage string) *string {
		if v := env("NOTES_" + strings.ToUpper(name)); v != "" {
			def = v
		}
		return flags.String(name, def, usage)
	}
	troth := text("troth", "https://localhost:8443", "Troth's address as browsers see it")
	ca := text("ca", "", "file with the certificate of Troth's local authority, DATA/ca.pem; empty for the system's authorities")
	audience := text("audience", "", "what assertions for this application say as aud; empty for Troth's address")
	listen := text("listen", "127.0.0.1:9090", "127.0.0.1:PORT or unix:/path/of/socket")
	dir := text("dir", "notes-data", "directory for the notes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client, err := trothClient(*ca)
	if err != nil {
		return err
	}
	issuer := strings.TrimSuffix(*troth, "/")
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	handler, err := notes.Handler(notes.Options{
		Issuer: issuer, Audience: *audience, Dir: *dir, Log: log,
		Keys: notes.FetchKeys(client, issuer+"/-/jwks.json"),
	})
	if err != nil {
		return err
	}
	listener, err := open(*listen)
	if err != nil {
		return err
	}
	log.Info("the notes are served", "at", *listen, "behind", issuer)
	return serve(handler, listener)
}

// trothClient trusts the authority in a file, or the system's.
func trothClient(file string) (*http.Client, error) {
	if file == "" {
		return &http.Client{Timeout: 10 * time.Second}, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of Troth's authority: %w; start Troth first, it makes the file", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the file %s holds no certificate", file)
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}, nil
}

// open listens where only this machine can reach it.
func open(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("removing the socket of an earlier run: %w", err)
		}
		return net.Listen("unix", path)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("reading the address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%q can be reached from elsewhere: listen on 127.0.0.1 or a Unix socket, where only Troth is", address)
	}
	return net.Listen("tcp", address)
}

// serve serves until it is told to stop.
func serve(handler http.Handler, listener net.Listener) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(last)
}
