//go:build ignore

// Command make writes common.txt.gz from the list of passwords of zxcvbn, as the
// Go module github.com/trustelem/zxcvbn carries it (LICENSE.txt says who made
// what). Run it in this directory: go run make.go
//
// The passwords are folded to lower case, sorted, each once, one a line.
package main

import (
	"bytes"
	"compress/gzip"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/trustelem/zxcvbn").Output()
	if err != nil {
		log.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "data", "passwords.txt"))
	if err != nil {
		log.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 2 { // the password and how often it was seen
			words = append(words, strings.ToLower(f[0]))
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := z.Write([]byte(strings.Join(words, "\n") + "\n")); err != nil {
		log.Fatal(err)
	}
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("common.txt.gz", out.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	log.Printf("%d passwords, %d bytes", len(words), out.Len())
}
