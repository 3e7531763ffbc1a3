package verify

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// The names that stand in a backup.
const (
	ManifestPayload = "application/vnd.troth.backup+json" // the DSSE payload type of a manifest
	ManifestFile    = "MANIFEST.json"                     // in each half of a backup
)

// maxManifest bounds a manifest: it names a handful of files.
const maxManifest = 64 << 10

// Manifest says what a backup is made of. It is signed with the log's key and
// stands in both halves, data and keyring, so that each can be checked where
// it is kept.
type Manifest struct {
	Format     int          `json:"format"` // 1
	Origin     string       `json:"origin"` // of the log
	TakenAt    time.Time    `json:"taken_at"`
	Engine     string       `json:"engine"`     // "sqlite" or "postgres"
	Build      string       `json:"build"`      // version of the program that took it
	Checkpoint string       `json:"checkpoint"` // signed; the log in the backup is this one or a later one
	Files      []BackupFile `json:"files"`
}

// BackupFile is one file of a backup. All of them are ciphertext or hold only
// wrapped keys.
type BackupFile struct {
	Half   string `json:"half"` // "data" or "keyring": the directory it stands in
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 Digest `json:"sha256"`
}

// OpenManifest checks the signature of a manifest and reads it.
func OpenManifest(envelope []byte, key Key) (Manifest, error) {
	var m Manifest
	if len(envelope) > maxManifest {
		return m, fmt.Errorf("the manifest has %d bytes, more than %d", len(envelope), maxManifest)
	}
	var e dsse.Envelope
	if err := decode(envelope, &e); err != nil {
		return m, fmt.Errorf("reading the manifest: %w", err)
	}
	if e.PayloadType != ManifestPayload {
		return m, fmt.Errorf("the payload type is %q instead of %q", clip(e.PayloadType), ManifestPayload)
	}
	v, err := dsse.NewEnvelopeVerifier(key)
	if err != nil {
		return m, fmt.Errorf("preparing the key: %w", err)
	}
	_, body, err := v.VerifyAndDecode(context.Background(), &e)
	if err != nil {
		return m, fmt.Errorf("%w %s (%w)", errSignature, key.Name, err)
	}
	if err := decodeStrict(body, &m); err != nil {
		return m, fmt.Errorf("reading the manifest: %w", err)
	}
	return m, m.check()
}

func (m Manifest) check() error {
	if m.Format != 1 || len(m.Files) == 0 {
		return fmt.Errorf("the manifest has the format %d and names %d files", m.Format, len(m.Files))
	}
	for _, f := range m.Files {
		if f.Half != "data" && f.Half != "keyring" || f.Name == "" || f.Name != filepath.Base(f.Name) || f.Name == ManifestFile || f.Size < 0 {
			return fmt.Errorf("the manifest names the file %q in %q", clip(f.Name), clip(f.Half))
		}
	}
	return nil
}

// Backup checks one half of a backup ("data" or "keyring"), the directory that
// holds its manifest and files: the signature, and size and digest of every
// file. What is wrong is a finding; an error is a directory that cannot be read.
func Backup(dir, half string, key Key) (Manifest, []Finding, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Manifest{}, nil, fmt.Errorf("opening the backup: %w", err)
	}
	defer root.Close()
	envelope, err := readManifest(root)
	if err != nil {
		return Manifest{}, nil, fmt.Errorf("reading the manifest: %w", err)
	}
	m, err := OpenManifest(envelope, key)
	if err != nil {
		return m, []Finding{{Code: "manifest", Where: filepath.Join(dir, ManifestFile), What: sentence(err)}}, nil
	}
	var findings []Finding
	for _, f := range m.Files {
		if f.Half != half {
			continue
		}
		size, digest, err := digestFile(root, f.Name)
		where := filepath.Join(dir, f.Name)
		switch {
		case err != nil:
			findings = append(findings, Finding{Code: "file-missing", Where: where, What: sentence(err)})
		case size != f.Size || digest != f.SHA256:
			findings = append(findings, Finding{Code: "file-differs", Where: where, What: "The file is not the one that was backed up.",
				Expected: fmt.Sprintf("%d bytes with %s", f.Size, f.SHA256), Seen: fmt.Sprintf("%d bytes with %s", size, digest)})
		}
	}
	return m, findings, nil
}

func readManifest(root *os.Root) ([]byte, error) {
	f, err := root.Open(ManifestFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxManifest+1)) // one more tells that it is too long
}

func digestFile(root *os.Root, name string) (int64, Digest, error) {
	f, err := root.Open(name)
	if err != nil {
		return 0, Digest{}, err
	}
	defer f.Close()
	return DigestReader(f)
}

// DigestReader is the length and SHA-256 of everything that is read.
func DigestReader(r io.Reader) (int64, Digest, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return n, Digest(h.Sum(nil)), err
}
