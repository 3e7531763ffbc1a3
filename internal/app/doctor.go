package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"troth/internal/part"
	"troth/internal/store"
	"troth/internal/text"
)

// problem and advice are findings with what to do about them.
func problem(remedy text.Text, format string, args ...any) part.Finding {
	return part.Finding{Grade: part.Problem, Says: text.New(format, args...), Remedy: remedy}
}

func advice(remedy text.Text, format string, args ...any) part.Finding {
	return part.Finding{Grade: part.Advice, Says: text.New(format, args...), Remedy: remedy}
}

// examinations are those of the program itself; the parts bring more.
func (in *Installation) examinations() []part.Examination {
	return []part.Examination{
		{Name: "configuration", Run: in.examineConfiguration},
		{Name: "clock", Run: in.examineClock},
		{Name: "keys", Run: in.examineKeys},
		{Name: "database", Run: in.examineDatabase},
		{Name: "log", Run: in.examineLog},
		{Name: "certificate", Run: in.examineCertificate},
		{Name: "application", Run: in.examineUpstream},
		{Name: "disk", Run: in.examineDisk},
	}
}

func (in *Installation) examineConfiguration(context.Context) []part.Finding {
	found := []part.Finding{part.Fine("The configuration is read without errors; this is a %s installation at %s.", in.set.site.Environment, in.set.site.Origin)}
	if in.set.site.Environment == development {
		found = append(found, advice(text.New("Before real people use it, set environment = \"production\" in troth.toml; serve then says what is missing."),
			"It runs in development: the certificate is its own, and mail may be shown on a page."))
	}
	if in.set.site.Upstream == "" {
		found = append(found, advice(text.New("Set upstream in troth.toml, or start serve with --upstream."), "No application stands behind it: only Troth's own pages are served."))
	}
	return found
}

// examineClock compares with what was written last: a clock that went back
// makes sessions and links live longer than they should.
func (in *Installation) examineClock(context.Context) []part.Finding {
	now := in.now()
	info, err := os.Stat(in.set.publishedPath())
	if err != nil {
		return []part.Finding{part.Fine("The clock says %s.", now.UTC().Format(time.RFC3339))}
	}
	if behind := info.ModTime().Sub(now); behind > time.Minute {
		return []part.Finding{problem(text.New("Set the clock, and keep it set with chrony or systemd-timesyncd."),
			"The clock is %s behind the last checkpoint that was written.", behind.Round(time.Second))}
	}
	return []part.Finding{part.Fine("The clock says %s, and the log's last checkpoint is older.", now.UTC().Format(time.RFC3339))}
}

func (in *Installation) examineKeys(ctx context.Context) []part.Finding {
	if err := in.keys.Health(ctx); err != nil {
		return []part.Finding{problem(text.New("See that the root key files and the keyring can be read by this user, and that they belong together."), "The keys cannot be used: %v.", err)}
	}
	epochs, err := in.root.Epochs(ctx)
	if err != nil {
		return []part.Finding{problem(text.New("See that the directory can be read."), "The root keys cannot be listed: %v.", err)}
	}
	found := []part.Finding{part.Fine("Root key and keyring work together; the root has %d of its epochs.", len(epochs))}
	if within(in.set.rootDir(), in.set.Data) {
		found = append(found, advice(text.New("Move the files to a directory elsewhere and name it in keys.root; keep a copy of them apart from the backups."),
			"The root key lies in the data directory: a copy of the directory opens everything."))
	}
	return found
}

func (in *Installation) examineDatabase(ctx context.Context) []part.Finding {
	if err := in.db.Ping(ctx); err != nil {
		return []part.Finding{problem(text.New("Look at the database server, or at the disk of the data directory."), "The database does not answer: %v.", err)}
	}
	if in.db.Engine() == store.SQLite {
		return []part.Finding{part.Fine("The database answers. It is the embedded one, encrypted with AES-256.")}
	}
	return []part.Finding{
		part.Fine("The database answers. It is Postgres."),
		advice(text.New("Encrypt the disk of the database server."), "Postgres does not encrypt its files: personal columns are sealed by Troth, the rest is what the disk makes of it."),
	}
}

func (in *Installation) examineLog(ctx context.Context) []part.Finding {
	if _, err := in.audit.Checkpoint(ctx); err != nil {
		return []part.Finding{problem(text.New("Run troth log verify on an export; it names what is damaged."), "The log has no checkpoint that can be read: %v.", err)}
	}
	return []part.Finding{part.Fine("The log has a signed checkpoint; its key is %s.", in.audit.VKey())}
}

// soon is when a certificate ought to have been renewed.
const soon = 14 * 24 * time.Hour

func (in *Installation) examineCertificate(context.Context) []part.Finding {
	leaf, err := in.certificates.Certificate(&tls.ClientHelloInfo{ServerName: host(in.set.site.Origin)})
	if err != nil {
		return []part.Finding{problem(text.New("See tls.certificate_file and tls.key_file."), "There is no certificate: %v.", err)}
	}
	cert, err := x509.ParseCertificate(leaf.Certificate[0])
	if err != nil {
		return []part.Finding{problem(text.New("Replace the file."), "The certificate cannot be read: %v.", err)}
	}
	left := cert.NotAfter.Sub(in.now())
	local := in.set.tls.CertificateFile == ""
	switch {
	case left <= 0:
		return []part.Finding{problem(text.New("Renew it and replace the files; Troth reads them again by itself."), "The certificate ended on %s.", cert.NotAfter.UTC().Format(time.DateOnly))}
	case left < soon && !local:
		return []part.Finding{problem(text.New("Renew it now."), "The certificate ends in %d days.", int(left.Hours()/24))}
	}
	if err := cert.VerifyHostname(host(in.set.site.Origin)); err != nil {
		return []part.Finding{problem(text.New("Get a certificate for the name in origin."), "The certificate is for other names: %v.", err)}
	}
	return []part.Finding{part.Fine("The certificate fits %s and ends on %s.", host(in.set.site.Origin), cert.NotAfter.UTC().Format(time.DateOnly))}
}

func (in *Installation) examineUpstream(ctx context.Context) []part.Finding {
	u, err := in.set.upstream()
	if err != nil || u == nil {
		return nil
	}
	network, address := "tcp", u.Host
	switch {
	case u.Scheme == "unix":
		network, address = "unix", u.Path
	case u.Port() == "":
		address = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	conn, err := (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return []part.Finding{problem(text.New("Start it, or correct upstream in troth.toml."), "Your application does not answer at %s: %v.", in.set.site.Upstream, reason(err))}
	}
	conn.Close()
	return []part.Finding{part.Fine("Your application answers at %s.", in.set.site.Upstream)}
}

// little is when a disk is called full: SQLite needs room for its WAL, and a
// backup for a copy.
const little = 1 << 30

func (in *Installation) examineDisk(context.Context) []part.Finding {
	var st syscall.Statfs_t
	if err := syscall.Statfs(in.set.Data, &st); err != nil {
		return []part.Finding{problem(text.New("See that the directory exists and can be read."), "The data directory cannot be examined: %v.", err)}
	}
	var found []part.Finding
	free := st.Bavail * uint64(st.Bsize)
	if free < little {
		found = append(found, problem(text.New("Free some, or move the data directory."), "Only %d MiB are free where the data is.", free>>20))
	} else {
		found = append(found, part.Fine("%d GiB are free where the data is.", free>>30))
	}
	return append(found, in.examineModes()...)
}

// examineModes finds files of the data directory that others may read.
func (in *Installation) examineModes() []part.Finding {
	var open []string
	for _, name := range []string{"troth.db", "troth.db-wal", "keyring.db", "keyring.db-wal"} {
		info, err := os.Stat(filepath.Join(in.set.Data, name))
		if err != nil {
			if !errors.Is(err, os.ErrNotExist) {
				open = append(open, fmt.Sprint(err))
			}
			continue
		}
		if info.Mode().Perm()&0o077 != 0 {
			open = append(open, name)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return []part.Finding{problem(text.New("Run chmod 600 on them, and chmod 700 on the directory."), "Others may read files of the data directory: %s.", strings.Join(open, ", "))}
}
