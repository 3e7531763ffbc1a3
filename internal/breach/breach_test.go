package breach

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"troth/internal/access"
	"troth/internal/audit"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
)

// RFC 3174's and MS-NLMP's own examples.
func TestHashes(t *testing.T) {
	if k := SHA1.of("abc"); k.hi != 0xa9993e364706816a || k.lo != 0xba3e25717850c26c {
		t.Errorf("SHA-1: %x", k)
	}
	if k := NTLM.of("Password"); k.hi != 0xa4f49c406510bdca || k.lo != 0xb6824ee7c30fd852 { // MS-NLMP, 4.2.2.1.2
		t.Errorf("NTLM: %x", k)
	}
}

func TestCommonPasswords(t *testing.T) {
	if n := countCommon(); n < 30_000 {
		t.Errorf("%d common passwords ship inside", n)
	}
	for _, p := range []string{"password", "PassWord", "123456", "trustno1", "dimazarya"} {
		if !isCommon(p) {
			t.Errorf("%q is not known to be common", p)
		}
	}
	for _, p := range []string{"", "pass word", "passwordx", "correct horse battery staple", "\n", "password\n123456", "0\n", "~"} {
		if isCommon(p) {
			t.Errorf("%q is said to be common", p)
		}
	}
	all := strings.Fields(string(commonText()))
	for i, p := range all {
		if !isCommon(p) {
			t.Fatalf("line %d is not found", i)
		}
	}
}

func TestEveryPasswordOfAListIsFound(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		const n = 3000
		if f := h.known(word(1)); f != password.Unheard {
			t.Fatalf("known before anything was imported: %d", f)
		}
		all := words(n)
		got := h.takes(h.file("pwned.txt", lines(SHA1, all...)...))
		if got.Entries != n || got.Kind != SHA1 || got.Shards != 1 {
			t.Errorf("imported: %+v", got)
		}
		h.clock.add(lookEvery) // the running server notices
		for _, w := range all {
			if h.known(w) != password.Breached {
				t.Fatalf("%q is not found", w)
			}
		}
		if h.known("password") != password.Common || h.known("quite another pass phrase") != password.Unheard {
			t.Error("another password is answered wrongly")
		}
		// Both kinds stand side by side.
		h.takes(h.file("ntlm.txt", lines(NTLM, "only in the other list")...))
		h.clock.add(lookEvery)
		if h.known("only in the other list") != password.Breached || h.known(word(7)) != password.Breached {
			t.Error("the two lists do not stand side by side")
		}
		// A new list takes the place of the old one.
		if got := h.takes(h.file("new.txt", lines(SHA1, "the only one")...)); got.Replaced != n {
			t.Errorf("replaced %d", got.Replaced)
		}
		h.clock.add(lookEvery)
		if h.known("the only one") != password.Breached || h.known(word(7)) != password.Unheard {
			t.Error("the new list is not in use")
		}
		list, _, err := h.Log.List(ctx, audit.Filter{Tenant: id.Platform, Limit: 10})
		must(t, err)
		if len(list) != 3 || list[0].Type != evImported {
			t.Errorf("the log has %+v", list)
		}
	})
}

func TestRangeFilesAndGzip(t *testing.T) {
	h := sqlite(t)
	dir := t.TempDir()
	for _, line := range lines(SHA1, words(50)...) {
		name := filepath.Join(dir, line[:5]+".txt")
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		must(t, err)
		_, err = f.WriteString(line[5:] + "\r\n" + strings.Repeat("F", 35) + ":0\r\n")
		must(t, errors.Join(err, f.Close()))
	}
	if got := h.takes(dir); got.Entries != 50 || got.Kind != SHA1 {
		t.Errorf("range files: %+v", got)
	}
	h.clock.add(lookEvery)
	for _, w := range words(50) {
		if h.known(w) != password.Breached {
			t.Fatalf("%q is not found", w)
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(strings.Join(lines(NTLM, words(9)...), "\n")))
	must(t, errors.Join(err, z.Close()))
	got, err := h.Import(ctx, host(), Import{Files: []string{"-"}, Stdin: &packed})
	if err != nil || got.Entries != 9 || got.Kind != NTLM {
		t.Errorf("gzip from stdin: %+v, %v", got, err)
	}
}

// Several files are put in the order of their hashes.
func TestSeveralFiles(t *testing.T) {
	h := sqlite(t)
	all := lines(SHA1, words(40)...)
	got := h.takes(h.file("b", all[20:]...), emptyFile(t), h.file("a", all[:20]...))
	if got.Entries != 40 {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	h := sqlite(t)
	all := lines(SHA1, words(2000)...)
	with := func(n int, line string) []string {
		c := append([]string(nil), all...)
		c[n-1] = line
		return c
	}
	for name, c := range map[string]struct {
		code, says string
		i          Import
	}{
		"no hash":          {"breach.line", "line 7 is not 40 hexadecimal digits", Import{Files: []string{h.file("f", with(7, "hunter2")...)}}},
		"a digit":          {"breach.line", "line 9 is not", Import{Files: []string{h.file("f", with(9, strings.Replace(all[8], ":", "g:", 1))...)}}},
		"no count":         {"breach.line", "line 9 is not", Import{Files: []string{h.file("f", with(9, all[8][:41])...)}}},
		"a word as count":  {"breach.line", "line 9 is not", Import{Files: []string{h.file("f", with(9, all[8][:41]+"many")...)}}},
		"another order":    {"breach.line", "line 12 is smaller than the hash before it", Import{Files: []string{h.file("f", with(12, all[3])...)}}},
		"plain text":       {"breach.line", "line 1 is no hash", Import{Files: []string{h.file("f", "correct horse")}}},
		"a long line":      {"breach.line", "far too long", Import{Files: []string{h.file("f", with(5, strings.Repeat("A", readBuffer+1))...)}}},
		"nothing":          {"breach.empty", "no hash", Import{Files: []string{emptyFile(t)}}},
		"no file":          {"breach.input", "cannot be read", Import{Files: []string{"/nowhere/at/all"}}},
		"an archive":       {"breach.input", "7z x -so", Import{Files: []string{h.file("f", "7z\xbc\xaf\x27\x1c")}}},
		"a gap":            {"breach.incomplete", "--incomplete", Import{Files: []string{h.file("f", append(append([]string(nil), all[:700]...), all[900:]...)...)}}},
		"a cut end":        {"breach.incomplete", "FFFFFFFF", Import{Files: []string{h.file("f", all[:1700]...)}}},
		"mixed":            {"breach.mixed", "one kind after the other", Import{Files: []string{h.file("f", all...), h.file("g", lines(NTLM, "x")...)}}},
		"another format":   {"breach.format", "--format ntlm has 32", Import{Files: []string{h.file("f", all...)}, Format: FormatNTLM}},
		"no format":        {"breach.format", "choose auto", Import{Files: []string{h.file("f", all...)}, Format: "md5"}},
		"a nameless range": {"breach.range_name", "first five digits", Import{Files: []string{h.file("f", all[0][5:])}}},
		"an empty dir":     {"breach.input", "holds no range files", Import{Files: []string{t.TempDir()}}},
	} {
		kind := fault.Invalid
		if name == "no file" {
			kind = fault.NotFound
		}
		for _, dry := range []bool{true, false} {
			c.i.DryRun = dry
			_, err := h.Import(ctx, host(), c.i)
			if f := fault.As(err); f == nil || f.Kind != kind || f.Code != c.code || !strings.Contains(f.Error(), c.says) {
				t.Errorf("%s: %v, want %s with %q", name, err, c.code, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: the error repeats the line", name)
			}
		}
		if _, err := os.Stat(h.path(SHA1)); err == nil {
			t.Fatalf("%s: a list was made all the same", name)
		}
	}
	if _, err := h.Import(ctx, host(), Import{Files: []string{h.file("f", all[:1700]...)}, Incomplete: true}); err != nil {
		t.Errorf("--incomplete: %v", err)
	}
	_, err := h.Import(ctx, access.Subject{}, Import{})
	want(t, err, fault.Denied, "breach.host_only", "on the host")
}

func emptyFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "empty")
	must(t, os.WriteFile(path, nil, 0o600))
	return path
}

func TestOwnList(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		p := secret.Of("a password that was lost")
		n, err := h.Add(ctx, host(), 0, p, p, secret.Of("e\u0301tude in decomposed form"))
		if err != nil || n != 2 {
			t.Fatalf("added %d, %v", n, err)
		}
		if h.known(p.Reveal()) != password.Breached || h.known("\u00e9tude in decomposed form") != password.Breached || h.known("A password that was lost") != password.Unheard {
			t.Error("the own list answers wrongly")
		}
		if n, err := h.Remove(ctx, host(), p, secret.Of("never added")); err != nil || n != 1 {
			t.Errorf("removed %d, %v", n, err)
		}
		if h.known(p.Reveal()) != password.Unheard {
			t.Error("a removed password is still known")
		}
		if _, err := h.Add(ctx, host(), lookEvery, p); err != nil {
			t.Fatal(err)
		}
		if h.known(p.Reveal()) != password.Breached {
			t.Error("it is not known for its time")
		}
		h.clock.add(lookEvery)
		if h.known(p.Reveal()) != password.Unheard {
			t.Error("it is known beyond its time")
		}
		_, err = h.Add(ctx, host(), 0, secret.Of("line\nbreak"))
		want(t, err, fault.Invalid, "breach.unreadable", "Password 1")
		_, err = h.Remove(ctx, access.Subject{}, p)
		want(t, err, fault.Denied, "breach.host_only", "on the host")
		s, err := h.Status(ctx, host(), true)
		if err != nil || s.Own != 1 || s.Common < 30_000 || len(s.Lists) != 0 || s.Range {
			t.Errorf("status %+v, %v", s, err)
		}
	})
}
