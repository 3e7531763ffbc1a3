package app

import (
	"context"
	"errors"

	"troth/internal/access"
	"troth/internal/backup"
	mailplug "troth/internal/mail/plug"
	"troth/internal/trust"
)

// checker is whose name stands in the log where a check needs the operator's
// hand: to take a backup, or to let a synthetic customer in.
func checker() access.Subject { return access.System("the checks of the trust page") }

// Bench serves this installation to its own checks, without a listener that
// anybody else could reach, until Close. It is for commands; a node that serves
// uses bench.
func (in *Installation) Bench() (trust.Bench, error) {
	if in.stop == nil {
		in.idle = true // a command does what it was asked for, and no periodic work beside it
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- in.run(ctx, nil, func(context.Context) {}) }()
		in.stop = func() error { cancel(); return <-ended }
	}
	return in.bench()
}

// bench is what the checks work with.
func (in *Installation) bench() (trust.Bench, error) {
	if in.edge == nil {
		return trust.Bench{}, errors.New("the front door does not stand yet")
	}
	b := trust.Bench{
		Client: in.edge.Client, Origin: in.edge.Origin(), Mailbox: mailplug.Mailbox(in.canary), Now: in.now,
		Listen: in.set.site.Listen, Roots: in.certificates.Roots(),
	}
	if in.set.account.Mode != "open" {
		b.Admit = in.admit
	}
	return b, nil
}

// admit is a path with which a synthetic customer signs up where strangers may
// not.
func (in *Installation) admit(ctx context.Context) (string, error) {
	link, err := in.accounts.Admit(ctx, checker())
	if err != nil {
		return "", err
	}
	return link.Reveal()[len(in.set.site.Origin):], nil
}

// backupForCheck writes a backup into an empty directory, as the operator does.
func (in *Installation) backupForCheck(ctx context.Context, dir string) error {
	_, err := backup.Rehearse(ctx, checker(), dir, in.BackupSource(), func(string, int, int) {})
	return err
}
