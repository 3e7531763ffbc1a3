package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is the head of a tree (C2SP tlog-checkpoint). The platform's is
// the text of a signed note; a tenant's stands alone, and the platform log
// commits to it.
type Checkpoint struct {
	Origin string // the log's name; of the platform log also the name of its key
	Size   int64
	Root   tlog.Hash
}

// Encode is the checkpoint's text: origin, size, and root in base 64, each
// ended by a newline. Extension lines are never written.
func (c Checkpoint) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s\n%d\n%s\n", c.Origin, c.Size, c.Root), nil
}

func (c Checkpoint) check() error {
	if c.Origin == "" || len(c.Origin) > 255 || strings.ContainsFunc(c.Origin, func(r rune) bool { return r <= ' ' || r == '+' || r > '~' }) {
		// C2SP signed-note: a key name has neither spaces nor plus signs. Ours is ASCII too.
		return fmt.Errorf("the origin %q is not 1 to 255 printable ASCII characters without space and plus", clip(c.Origin))
	}
	if c.Size < 0 || c.Size > maxSize {
		return fmt.Errorf("the tree size %d is out of range", c.Size)
	}
	return nil
}

// ParseCheckpoint reads a checkpoint's text, without signatures.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	if len(text) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("the checkpoint has %d bytes, more than %d", len(text), MaxCheckpoint)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, errors.New("the checkpoint has not the three lines origin, size and root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("the checkpoint's size %q is no number", clip(lines[1]))
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("the checkpoint's root %q is no hash", clip(lines[2]))
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: tlog.Hash(root)}
	return c, c.check()
}

// OpenCheckpoint checks the signature of a signed checkpoint and that its
// origin is the name of the key. Signatures by other keys, such as those of
// witnesses, are neither needed nor believed.
func OpenCheckpoint(signed []byte, key Key) (Checkpoint, error) {
	if len(signed) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("the checkpoint has %d bytes, more than %d", len(signed), MaxCheckpoint)
	}
	n, err := note.Open(signed, note.VerifierList(key.note))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checking the signature of the checkpoint with the key of %s: %w", key.Name, err)
	}
	c, err := ParseCheckpoint([]byte(n.Text))
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != key.Name {
		return Checkpoint{}, fmt.Errorf("the checkpoint's origin is %q, the key belongs to %q", c.Origin, key.Name)
	}
	return c, nil
}
