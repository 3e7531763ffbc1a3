package zxcvbn_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf16"
)

// question is a password and the words that its holder is known by.
type question struct {
	Password string   `json:"password"`
	Words    []string `json:"words,omitempty"`
}

// The bits of which passwords are made up: common ones, names, words, walks
// over the keyboard, dates, sequences, figures for letters, other scripts.
var bits = map[string][]string{
	"common": {"password", "letmein", "dragon", "iloveyou", "monkey", "football", "sunshine", "princess", "welcome", "shadow", "master", "trustno1", "qwerty123", "starwars", "whatever"},
	"name":   {"ada", "byron", "charles", "babbage", "grace", "hopper", "maria", "johnson", "smith", "nguyen", "olivia", "muhammad", "sofia", "schmidt"},
	"word":   {"correct", "horse", "battery", "staple", "otter", "glacier", "violin", "harbour", "teapot", "quantum", "meadow", "lantern", "zephyr", "parliament", "orthogonal", "marmalade"},
	"walk":   {"qwerty", "asdfgh", "zxcvbn", "1qaz2wsx", "poiuyt", "qazxsw", "741852963", "!QAZ@WSX", "aoeuidhtns", "zaq12wsx", "ytrewq"},
	"date":   {"1977", "19770101", "01/02/1984", "2011-09-11", "24.12.99", "2024", "1999", "31121999", "7-4-76", "2015"},
	"row":    {"abcdef", "123456789", "zyxwvu", "2468", "ACEGIK", "987654321", "aaaaaa", "111111", "abcabcabc", "xyxyxyxy", "jklm", "13579"},
	"figure": {"p4ssw0rd", "l33t", "dr@g0n", "1l0v3y0u", "s3cr3t", "m0nk3y!", "4dm1n", "h4ck3r", "$unshin3", "b4tt3ry", "7r0th", "@b3rd33n"},
	"random": {"x7Kp2mQ9", "gT!v4", "Zq8#wL", "0f9c3ab2", "vB&1t", "kkjhfds", "R2d2C3po", "ujmko0", "lkqw", "Wm.,-"},
	"mark":   {"!", ".", "-", " ", "_", "??", "#1", "...", "$", "@"},
	"script": {"ωραία", "λόγια", "пароль", "привет", "美しい", "桜", "schöne", "Grüße", "naïve", "Ünïcödé", "عربي", "नमस्ते"},
	"emoji":  {"🐎", "🔋", "🌸", "🦊🦊🦊", "👩‍🚀", "❤️", "🇳🇱"},
}

// corpus is the same at every run.
func corpus() []question {
	rng := rand.New(rand.NewPCG(4, 42))
	pick := func(kind string) string { return bits[kind][rng.IntN(len(bits[kind]))] }
	kinds := []string{"common", "name", "word", "walk", "date", "row", "figure", "random", "mark", "script", "emoji"}
	seen := map[string]bool{}
	var all []question
	add := func(p string, words ...string) {
		if p != "" && len(utf16.Encode([]rune(p))) <= 64 && !seen[p] {
			seen[p] = true
			all = append(all, question{p, words})
		}
	}
	for _, kind := range kinds {
		for _, p := range bits[kind] {
			add(p)
			add(strings.ToUpper(p))
			add(p + p)
			add(strings.Repeat(p, 4))
			add(reverse(p))
		}
	}
	for _, shape := range []string{
		"word word word word", "word-word-date", "common random", "name date mark", "walk walk", "figure figure", "script word", "script script script", "emoji emoji word",
		"name name row", "random random random", "word mark random", "Common mark date", "Name common", "Word figure", "row row", "date date", "emoji emoji emoji", "script date", "walk date",
		"word word", "random word random", "mark mark mark mark", "figure random", "common common common", "name script", "word emoji word emoji", "random random", "random random random random",
	} {
		for range 45 {
			p := ""
			for i, kind := range strings.FieldsFunc(shape, func(r rune) bool { return r == ' ' || r == '-' }) {
				bit := pick(strings.ToLower(kind))
				if kind != strings.ToLower(kind) {
					bit = strings.ToUpper(bit[:1]) + bit[1:]
				}
				if i > 0 && rng.IntN(3) == 0 {
					p += pick("mark")
				}
				p += bit
			}
			add(p)
		}
	}
	for i := range 300 { // every printable character of ASCII, at random
		b := make([]byte, 4+rng.IntN(40))
		for j := range b {
			b[j] = byte(' ' + rng.IntN('~'-' '+1))
		}
		add(string(b))
		add(fmt.Sprintf("%d%s%d", rng.IntN(1e6), pick("word"), i))
	}
	for range 100 {
		name := pick("name")
		add(name+pick("date")+pick("mark"), name, "example", "troth")
		add(pick("word")+"Troth"+pick("figure"), name, "example", "troth")
	}
	return all
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}
