package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"troth/internal/cli"
	"troth/internal/edge"
	"troth/internal/fault"
	"troth/internal/jobs"
)

// stopping is how long the background work has to end after the front door is
// closed: it writes what the log still holds.
const stopping = 20 * time.Second

// serve runs the installation until ctx ends, as a signal makes it, or something
// that it cannot do without ends.
func serve(ctx context.Context, env *cli.Env, in *Installation) error {
	listeners, err := in.listen()
	if err != nil {
		return err
	}
	if err := in.set.remember(); err != nil {
		return fmt.Errorf("writing down the address for other commands: %w", err)
	}
	return in.run(ctx, listeners, func(ctx context.Context) { in.announce(ctx, env.Stderr) })
}

func (in *Installation) listen() ([]net.Listener, error) {
	l, err := net.Listen("tcp", in.set.site.Listen)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "app.listen",
			"Troth cannot listen on %s: %v. Another program may be using it; choose another with --listen.", in.set.site.Listen, reason(err))
	}
	return []net.Listener{l}, nil
}

// reason is the innermost cause of a network error: "address already in use".
func reason(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// run serves the listeners, and ready is called once the front door stands.
// The order of the end matters: first the door, which drains, then the work
// behind it, so that what the last requests did is in the log.
func (in *Installation) run(ctx context.Context, listeners []net.Listener, ready func(context.Context)) error {
	background, halt := context.WithCancel(context.WithoutCancel(ctx))
	defer halt()
	front, shut := context.WithCancelCause(ctx)
	defer shut(nil)
	defer context.AfterFunc(front, in.end)()
	var work sync.WaitGroup
	begin := func(what string, loop func(context.Context) error) {
		work.Go(func() {
			if err := loop(background); err != nil && !errors.Is(err, context.Canceled) {
				in.log.Error("a part of Troth ended, so it stops", "part", what, "error", err)
				shut(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	begin("store", in.db.Run)
	begin("log", in.audit.Run)
	begin("throttle", in.throttle.Run)
	begin("memory", giveBack)
	if err := in.settled(front); err != nil {
		halt()
		work.Wait()
		return err
	}
	if !in.idle {
		begin("jobs", in.jobs.Run)
	}
	var aside sync.WaitGroup
	aside.Go(func() { in.redirect(front) })
	aside.Go(func() { ready(front) })
	err := in.edge.Serve(front, listeners...)
	cause := context.Cause(front)
	shut(nil)
	aside.Wait()
	halt()
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(stopping):
		err = errors.Join(err, errors.New("the background work did not end in time"))
	}
	if cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return err
}

// untilTheEnd has periodic work end as soon as the program is told to: a check
// that loses its front door half way must not find that a promise is broken.
// All of it bears being done again.
func (in *Installation) untilTheEnd(periodic []jobs.Periodic) []jobs.Periodic {
	for i, p := range periodic {
		periodic[i].Run = func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(in.ending, cancel)()
			return p.Run(ctx)
		}
	}
	return periodic
}

// settled waits until the log and the change feed run, so that the first
// request, and the first check, do not meet a door that is shut.
func (in *Installation) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for {
		err := in.audit.Healthy()
		if err == nil && in.db.Fresh() {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("the log or the change feed did not begin to run"), err)
		case <-t.C:
		}
	}
}

// redirect answers plain HTTP, when that is configured, with the way to HTTPS.
func (in *Installation) redirect(ctx context.Context) {
	if in.set.site.RedirectHTTP == "" {
		return
	}
	handler, err := edge.Redirect(in.set.site.Origin)
	if err != nil {
		in.log.Error("plain HTTP is not redirected", "error", err)
		return
	}
	s := &http.Server{Addr: in.set.site.RedirectHTTP, Handler: handler, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		in.log.Error("plain HTTP is not redirected", "error", err)
	}
}

// announce says where the service is, and how its first owner signs up.
func (in *Installation) announce(ctx context.Context, w io.Writer) {
	site := in.set.site
	var b strings.Builder
	fmt.Fprintf(&b, "\n  Troth serves %s\n", site.Origin)
	if site.Upstream != "" {
		fmt.Fprintf(&b, "  in front of  %s\n", site.Upstream)
	}
	fmt.Fprintf(&b, "  trust page   %s/-/trust\n", site.Origin)
	if in.set.tls.CertificateFile == "" {
		fmt.Fprintf(&b, "  authority    %s   (import it into your browser, or accept the warning)\n", in.authorityPath())
	}
	if site.Environment == development && !in.set.mail.Configured() {
		fmt.Fprintf(&b, "  mail         %s/-/dev/mail\n", site.Origin)
	}
	ca := ""
	if path := in.set.authority(); path != "" {
		ca = " --ca " + path
	}
	fmt.Fprintf(&b, "  verify       troth verify %s%s --key %s\n", site.Origin, ca, in.audit.VKey())
	link, needed, err := in.accounts.FirstOwnerLink(ctx)
	switch {
	case err != nil:
		in.log.Error("making the first owner's link", "error", err)
	case needed:
		fmt.Fprintf(&b, "\n  Nobody owns this installation yet. The first owner signs up here (once, within 24 hours):\n  %s\n", link.Reveal())
	}
	fmt.Fprintln(w, b.String())
}
