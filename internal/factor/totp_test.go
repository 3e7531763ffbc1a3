package factor

import (
	"image/color"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"troth/internal/secret"
)

// RFC 6238, appendix B, with SHA-1: eight digits there; ours are the last six,
// because both are the same number modulo a power of ten (RFC 4226, 5.3).
func TestVectorsOfRFC6238(t *testing.T) {
	key := secret.Of(base.EncodeToString([]byte("12345678901234567890")))
	for at, eight := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		six, err := CodeAt(key, time.Unix(at, 0))
		if err != nil || six != eight[2:] {
			t.Errorf("at %d: %s, %v; want the end of %s", at, six, err, eight)
		}
		whole, err := hotp.GenerateCodeCustom(key.Reveal(), uint64(at/30), hotp.ValidateOpts{Digits: otp.DigitsEight, Algorithm: otp.AlgorithmSHA1})
		if err != nil || whole != eight {
			t.Errorf("at %d: %s, %v; want %s", at, whole, err, eight)
		}
	}
}

// What another program computes for the same key and time.
func TestAgainstOathtool(t *testing.T) {
	key := []byte("\x00\x01\x02\x03\xff\xfe\xfd\xfc23456789012\x7f")
	text := base.EncodeToString(key)
	at := time.Date(2026, 11, 22, 11, 59, 45, 0, time.UTC)
	out, err := exec.Command("oathtool", "--totp", "--base32", "--digits=6", "--window=60", "--now="+at.Format("2006-01-02 15:04:05 UTC"), text).Output()
	if err != nil {
		t.Fatalf("oathtool (Debian's package of that name): %v", err)
	}
	theirs := strings.Fields(string(out))
	if len(theirs) != 61 {
		t.Fatalf("oathtool printed %d codes", len(theirs))
	}
	for i, their := range theirs {
		ours, err := CodeAt(secret.Of(grouped(text, " ")), at.Add(time.Duration(i)*30*time.Second))
		if err != nil || ours != their {
			t.Errorf("%d steps later: %s, %v; oathtool says %s", i, ours, err, their)
		}
	}
}

func TestMatchFindsTheStep(t *testing.T) {
	key := secret.OfBytes([]byte("12345678901234567890"))
	const now = int64(40000000)
	for off := int64(-12); off <= 12; off++ {
		code, err := codeOf(base.EncodeToString(key.Reveal()), now+off)
		if err != nil {
			t.Fatal(err)
		}
		step, ok, err := match(key, code, now, reach)
		if err != nil || ok != (abs(off) <= reach) || ok && step != now+off {
			t.Errorf("%d steps off: step %d, %v, %v", off, step-now, ok, err)
		}
		if _, ok, _ := match(key, code, now, window); ok != (abs(off) <= window) {
			t.Errorf("%d steps off: accepted %v", off, ok)
		}
	}
	for _, bad := range []string{"", "1", "12345", "1234567", "abcdef", "１２３４５６"} {
		if _, ok, err := match(key, bad, now, reach); ok || err != nil {
			t.Errorf("%q: %v, %v", bad, ok, err)
		}
	}
}

func TestTyped(t *testing.T) {
	for in, out := range map[string]string{"123 456": "123456", "123-456": "123456", " 123\u00a0456\t": "123456", strings.Repeat("1", 65): "", "12 34–56": "123456"} {
		if got := typed(secret.Of(in)); got != out {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestLinkAndPicture(t *testing.T) {
	address := link("Orchard: fruit & more", "ada+x@example.org", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
	key, err := otp.NewKeyFromURL(address)
	if err != nil {
		t.Fatal(err)
	}
	if key.Issuer() != "Orchard  fruit & more" || key.AccountName() != "ada+x@example.org" || key.Secret() != "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP" ||
		key.Type() != "totp" || key.Period() != 30 || key.Digits() != otp.DigitsSix || key.Algorithm() != otp.AlgorithmSHA1 {
		t.Errorf("%s is read as %q %q %q", address, key.Issuer(), key.AccountName(), key.Secret())
	}
	if _, err := url.Parse(address); err != nil {
		t.Error(err)
	}
	p, err := picture(address)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(address, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	drawn := paint(t, p)
	n := code.Bounds().Dx()
	if p.Size != n+8 {
		t.Errorf("the picture is %d modules wide, the code %d", p.Size, n)
	}
	for y := range p.Size {
		for x := range p.Size {
			inside := x >= quiet && y >= quiet && x < n+quiet && y < n+quiet
			dark := inside && code.At(x-quiet, y-quiet) == color.Black
			if drawn[[2]int{x, y}] != dark {
				t.Fatalf("the module %d, %d is drawn %v", x, y, !dark)
			}
		}
	}
	if _, err := picture(strings.Repeat("x", 5000)); err == nil {
		t.Error("what fits in no code was drawn")
	}
}

// paint reads the path back.
func paint(t *testing.T, p Picture) map[[2]int]bool {
	t.Helper()
	all := map[[2]int]bool{}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("in the path: %v", err)
		}
		return n
	}
	for run := range strings.SplitSeq(strings.TrimSuffix(p.Path, "z"), "z") {
		at, rest, _ := strings.Cut(strings.TrimPrefix(run, "M"), "h")
		x, y, _ := strings.Cut(at, " ")
		width, _, _ := strings.Cut(rest, "v")
		for i := range number(width) {
			all[[2]int{number(x) + i, number(y)}] = true
		}
	}
	return all
}
