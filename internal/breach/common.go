package breach

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"sort"
	"strings"
	"sync"
)

// The list of common passwords, folded to lower case and sorted. See data/ for
// where it is from and how it is made again.
//
//go:embed data/common.txt.gz
var commonPacked []byte

// commonText is the list unpacked, when it is first needed: 430 kB.
var commonText = sync.OnceValue(func() []byte {
	z, err := gzip.NewReader(bytes.NewReader(commonPacked))
	if err != nil {
		panic(err) // it is part of the program
	}
	b, err := io.ReadAll(z)
	if err != nil {
		panic(err)
	}
	return b
})

// isCommon reports whether a password is one of the common ones, in whatever case.
func isCommon(password string) bool {
	if strings.ContainsAny(password, "\r\n") {
		return false
	}
	all, want := commonText(), []byte(strings.ToLower(password))
	// The offsets of a sorted text order its lines: look for the first offset
	// whose line is not below.
	line := func(at int) []byte {
		start := bytes.LastIndexByte(all[:at], '\n') + 1
		end := bytes.IndexByte(all[start:], '\n')
		return all[start : start+end]
	}
	at := sort.Search(len(all), func(i int) bool { return bytes.Compare(line(i), want) >= 0 })
	return at < len(all) && bytes.Equal(line(at), want)
}

// countCommon is how many common passwords the program knows.
func countCommon() int { return bytes.Count(commonText(), []byte("\n")) }
