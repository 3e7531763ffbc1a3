package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is a process that serves.
type program struct {
	cmd    *exec.Cmd
	said   bytes.Buffer
	ended  chan error
	addr   string
	origin string
	roots  *x509.CertPool
	ready  time.Duration // from the start of the process until it was ready
}

// serve starts the program on a data directory and waits until it is ready. The
// arguments of the form KEY=VALUE go into its environment.
func (l *lab) serve(ctx context.Context, dir string, args ...string) (*program, error) {
	addr, err := l.address(dir)
	if err != nil {
		return nil, err
	}
	all := []string{"serve", "--data", dir, "--listen", addr}
	var env []string
	authority := filepath.Join(dir, "ca.pem")
	for _, a := range args {
		if strings.Contains(a, "=") && !strings.HasPrefix(a, "-") {
			env = append(env, a)
		} else {
			all = append(all, a)
		}
		if file, ok := strings.CutPrefix(a, certificateFile); ok {
			authority = file
		}
	}
	ca, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	p, err := begin(exec.CommandContext(ctx, l.binary, all...), env, addr, roots)
	if err != nil {
		return nil, err
	}
	return p, p.wait(ctx, "/-/health/ready")
}

// certificateFile is how a certificate is given to the program.
const certificateFile = "TROTH_TLS_CERTIFICATE_FILE="

// begin starts a process.
func begin(cmd *exec.Cmd, env []string, addr string, roots *x509.CertPool) (*program, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	p := &program{cmd: cmd, ended: make(chan error, 1), addr: addr, origin: "https://localhost:" + port, roots: roots}
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = &p.said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- cmd.Wait() }()
	return p, nil
}

// wait asks for a page until it is answered with 200.
func (p *program) wait(ctx context.Context, path string) error {
	began := time.Now()
	client := p.client()
	for time.Since(began) < time.Minute {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.origin+path, nil)
		if err != nil {
			return err
		}
		if res, err := client.Do(r); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				p.ready = time.Since(began)
				return nil
			}
		}
		select {
		case err := <-p.ended:
			return fmt.Errorf("the program ended: %w\n%s", err, p.said.String())
		case <-time.After(2 * time.Millisecond):
		}
	}
	return errors.Join(errors.New("the program was not ready within a minute"), p.stop())
}

// client talks to the program, and follows no redirect.
func (p *program) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: p.roots, ServerName: "localhost"},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, p.addr)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// stop ends it in order.
func (p *program) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-p.ended:
		if err != nil {
			return fmt.Errorf("%w\n%s", err, p.said.String())
		}
		return nil
	case <-time.After(40 * time.Second):
		return errors.Join(errors.New("it did not stop"), p.cmd.Process.Kill())
	}
}

// resident is the memory that the process takes, in bytes: VmRSS, which counts
// the pages of the program's own file too.
func (p *program) resident() float64 {
	kb, _ := strconv.ParseFloat(strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid), "VmRSS"), " kB"), 64)
	return kb * 1024
}

// ticks is how many times a second /proc counts processor time (getconf CLK_TCK).
const ticks = 100

// processor is the processor time that the process has used.
func (p *program) processor() time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticks
}

// address is the same for a data directory each time: another address is another
// origin, for which every claim has to be proven again.
func (l *lab) address(dir string) (addr string, err error) {
	if l.addresses == nil {
		l.addresses = map[string]string{}
	}
	if l.addresses[dir] == "" {
		l.addresses[dir], err = freeAddress()
	}
	return l.addresses[dir], err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
