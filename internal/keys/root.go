package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"troth/internal/fault"
)

// FileRoot keeps each epoch key in a file of its own, with mode 0600, in one
// directory: DIR/000001-k7f3q9xa.key holds one line of text,
//
//	troth-root-key-1 BASE64(key ‖ check)
//
// where check is the first 8 bytes of SHA-256 over the epoch's name and the
// key, so that a damaged or renamed file is told from a wrong keyring. Files
// that other processes add or remove are noticed at the next use.
//
// Destroying an epoch overwrites its file, removes it and flushes the
// directory. On a flash disk or a copying file system the old blocks may stay
// until they are reused: keep the directory on an encrypted disk, or use a KMS.
type FileRoot struct {
	dir string

	mu   sync.Mutex
	keys map[string]*xaes // opened epochs; used only while the file exists
}

const (
	rootSuffix = ".key"
	rootMagic  = "troth-root-key-1 "
	rootCheck  = 8
	wrapFormat = 1 // first byte of a value that FileRoot wrapped
)

// rootLine is the exact length of a root file, with its line feed.
var rootLine = len(rootMagic) + base64.StdEncoding.EncodedLen(keySize+rootCheck) + 1

// CreateRoot makes the directory, if need be, and the first epoch in it. It is
// fault.Conflict when there is an epoch already.
func CreateRoot(dir string) (*FileRoot, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the root key: %w", err)
	}
	r := &FileRoot{dir: dir, keys: map[string]*xaes{}}
	epochs, err := r.Epochs(context.Background())
	if err != nil {
		return nil, err
	}
	if len(epochs) > 0 {
		return nil, fault.New(fault.Conflict, "keys.root_exists", "There is a root key in %s already. It was left as it is.", dir)
	}
	if _, err := r.Create(context.Background()); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenRoot opens the directory and reads every epoch key in it, so that a
// wrong mode or a damaged file is found at start. Its faults say what to do.
func OpenRoot(dir string) (*FileRoot, error) {
	r := &FileRoot{dir: dir, keys: map[string]*xaes{}}
	epochs, err := r.Epochs(context.Background())
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(epochs) == 0 {
		return nil, fault.New(fault.NotFound, "keys.no_root", "There is no root key in %s. Restore it from where you keep it; for a new installation, run troth init.", dir)
	}
	if err != nil {
		return nil, err
	}
	for _, epoch := range epochs {
		if _, err := r.open(epoch); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Epochs lists the epochs in the directory, oldest first. Durable: it is the
// directory itself.
func (r *FileRoot) Epochs(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	info, err := os.Stat(r.dir)
	if err != nil {
		return nil, rootError("looking for the root keys", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, denied("keys.root_dir_mode", "Others may write into the root key directory %s. Run chmod 700 on it.", r.dir)
	}
	files, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, rootError("listing the root keys", err)
	}
	var epochs []string
	for _, f := range files {
		if epoch, ok := strings.CutSuffix(f.Name(), rootSuffix); ok && epochNumber(epoch) > 0 {
			epochs = append(epochs, epoch)
		}
	}
	slices.Sort(epochs)
	return epochs, nil
}

// Current is the newest epoch in the directory.
func (r *FileRoot) Current(ctx context.Context) (string, error) {
	epochs, err := r.Epochs(ctx)
	if err != nil {
		return "", err
	}
	if len(epochs) == 0 {
		return "", fmt.Errorf("looking for the current root key in %s: %w", r.dir, ErrNoEpoch)
	}
	return epochs[len(epochs)-1], nil
}

// epochName is the form of an epoch's name: it is also part of a path.
var epochName = regexp.MustCompile(`^[0-9]{6}-[a-z2-7]{8}$`)

// epochNumber reads the number of an epoch's name, or returns 0 when it is no
// name of an epoch.
func epochNumber(epoch string) int {
	if !epochName.MatchString(epoch) {
		return 0
	}
	n, _ := strconv.Atoi(epoch[:6]) // six digits always parse
	return n
}

// Create makes the next epoch: its file is complete and on the disk before it
// has its name.
func (r *FileRoot) Create(ctx context.Context) (string, error) {
	epochs, err := r.Epochs(ctx)
	if err != nil {
		return "", err
	}
	n := 1
	if len(epochs) > 0 {
		n = epochNumber(epochs[len(epochs)-1]) + 1
	}
	// The tail tells this epoch from one of the same number in a backup.
	tail := make([]byte, 5)
	rand.Read(tail) // never fails: crypto/rand stops the program instead
	epoch := fmt.Sprintf("%06d-%s", n, strings.ToLower(base32.StdEncoding.EncodeToString(tail)))
	key := make([]byte, keySize)
	defer clear(key)
	rand.Read(key)
	line := formatRoot(epoch, key)
	defer clear(line)
	if err := writeDurably(r.dir, epoch+rootSuffix, line); err != nil {
		return "", rootError("writing a root key", err)
	}
	return epoch, nil
}

// formatRoot is the content of a root file.
func formatRoot(epoch string, key []byte) []byte {
	sum := rootSum(epoch, key)
	b := append([]byte(rootMagic), make([]byte, 0, rootLine)...)
	b = base64.StdEncoding.AppendEncode(b, append(bytes.Clone(key), sum...))
	return append(b, '\n')
}

// parseRoot reads the content of a root file. The error says what is wrong,
// never what stands there.
func parseRoot(epoch string, line []byte) ([]byte, error) {
	if len(line) != rootLine {
		return nil, fmt.Errorf("it has %d bytes and should have %d", len(line), rootLine)
	}
	text, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte(rootMagic))
	if !ok {
		return nil, errors.New("it does not begin as a root key does")
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(b) != keySize+rootCheck {
		return nil, errors.New("it is not base 64 of the right length")
	}
	if subtle.ConstantTimeCompare(b[keySize:], rootSum(epoch, b[:keySize])) != 1 {
		return nil, errors.New("its check sum is wrong: it is damaged, or it has the name of another epoch")
	}
	return b[:keySize], nil
}

func rootSum(epoch string, key []byte) []byte {
	h := sha256.New()
	h.Write([]byte("troth root key v1"))
	h.Write(appendPart(nil, epoch))
	h.Write(key)
	return h.Sum(nil)[:rootCheck]
}

// open returns the epoch's key; it looks each time whether the file is still
// there and still private.
func (r *FileRoot) open(epoch string) (*xaes, error) {
	if epochNumber(epoch) == 0 {
		return nil, fmt.Errorf("opening the root key %q: %w", epoch, ErrNoEpoch)
	}
	path := filepath.Join(r.dir, epoch+rootSuffix)
	info, err := os.Stat(path)
	if err != nil {
		return nil, r.missing(epoch, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		r.forget(epoch)
		return nil, denied("keys.root_mode", "The root key %s can be read by others than its owner (mode %04o). Run chmod 600 on it, and consider it known: troth key roll makes a new one.", path, int(info.Mode().Perm()))
	}
	r.mu.Lock()
	x := r.keys[epoch]
	r.mu.Unlock()
	if x != nil {
		return x, nil
	}
	key, err := readRoot(path, epoch)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	if x, err = newXAES(key); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.keys[epoch] = x
	r.mu.Unlock()
	return x, nil
}

func readRoot(path, epoch string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, rootError("opening a root key", err)
	}
	defer f.Close()
	line, err := io.ReadAll(io.LimitReader(f, int64(rootLine)+1))
	if err != nil {
		return nil, rootError("reading a root key", err)
	}
	defer clear(line)
	key, err := parseRoot(epoch, line)
	if err != nil {
		return nil, fault.Wrap(errors.Join(ErrDenied, err), fault.Invalid, "keys.root_damaged", "The root key %s is not usable: %s. Restore it from where you keep it.", path, err.Error())
	}
	return key, nil
}

// missing tells an epoch that was destroyed from a directory that is away.
func (r *FileRoot) missing(epoch string, err error) error {
	r.forget(epoch)
	if !errors.Is(err, fs.ErrNotExist) {
		return rootError("looking at a root key", err)
	}
	if _, derr := os.Stat(r.dir); derr != nil {
		return rootError("looking for the root keys", derr)
	}
	return fmt.Errorf("opening the root key %s in %s: %w", epoch, r.dir, ErrNoEpoch)
}

func (r *FileRoot) forget(epoch string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keys, epoch)
}

// Wrap encrypts with XAES-256-GCM under the epoch key.
func (r *FileRoot) Wrap(ctx context.Context, epoch string, plain, aad []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x, err := r.open(epoch)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, 1+nonceSize+len(plain)+tagSize), wrapFormat)
	return x.sealRandom(out, plain, aad)
}

// Unwrap is the reverse of Wrap.
func (r *FileRoot) Unwrap(ctx context.Context, epoch string, wrapped, aad []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x, err := r.open(epoch)
	if err != nil {
		return nil, err
	}
	if len(wrapped) == 0 || wrapped[0] != wrapFormat {
		return nil, ErrAltered
	}
	return x.openRandom(nil, wrapped[1:], aad)
}

// Destroy overwrites and removes the epoch's file. An epoch that is away
// already is destroyed.
func (r *FileRoot) Destroy(ctx context.Context, epoch string) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	if epochNumber(epoch) == 0 {
		return time.Time{}, fmt.Errorf("destroying the root key %q: %w", epoch, ErrNoEpoch)
	}
	defer r.forget(epoch)
	path := filepath.Join(r.dir, epoch+rootSuffix)
	if err := overwrite(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, rootError("overwriting a root key", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, rootError("removing a root key", err)
	}
	if err := syncDir(r.dir); err != nil {
		return time.Time{}, rootError("removing a root key", err)
	}
	return time.Time{}, nil
}

// Format keeps the epoch keys out of every verb of package fmt.
func (r *FileRoot) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "root keys in %s", r.dir) }

// denied is a refusal of the root with a sentence for the operator.
func denied(code, format string, args ...any) error {
	return fault.Wrap(ErrDenied, fault.Denied, code, format, args...)
}

// rootError sorts an error of the file system: not permitted is a refusal,
// everything else an outage.
func rootError(doing string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return denied("keys.root_permission", "The root key may not be used by this user (%s: %s). Give its directory to the user that Troth runs as.", doing, err.Error())
	}
	return fmt.Errorf("%s: %w", doing, err)
}
