package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func none(string) string { return "" }

func TestItListensWhereOnlyThisMachineIs(t *testing.T) {
	for address, want := range map[string]string{
		"0.0.0.0:0":     "can be reached from elsewhere",
		":0":            "can be reached from elsewhere",
		"192.0.2.1:80":  "can be reached from elsewhere",
		"example.org:1": "can be reached from elsewhere",
		"9090":          "reading the address",
	} {
		if l, err := open(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", address, l, err)
		}
	}
	socket := filepath.Join(t.TempDir(), "s")
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "unix:" + socket, "unix:" + socket} {
		l, err := open(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		l.Close()
	}
}

func TestMistakesAreSaidClearly(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--ca", "/nowhere/ca.pem"}, "start Troth first"},
		{[]string{"--ca", empty}, "holds no certificate"},
		{[]string{"--nonsense"}, "nonsense"},
	} {
		if err := run(c.args, none); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
	byEnv := func(name string) string { return map[string]string{"NOTES_CA": "/nowhere"}[name] }
	if err := run(nil, byEnv); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("the environment: %v", err)
	}
}
