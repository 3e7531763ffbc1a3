package app

import (
	"runtime"
	"runtime/debug"
)

// version is set when the program is built (see the Makefile).
var version = "unversioned"

// build describes the program, for `troth version` and for evidence.
type build struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Module  string `json:"module"`
}

func buildOf() build {
	b := build{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.Module = info.Main.Path
	}
	return b
}
