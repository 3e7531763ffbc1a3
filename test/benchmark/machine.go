package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine says on what the run took place.
func machine(dir string) string {
	cpu := field("/proc/cpuinfo", "model name")
	memory := strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d × %s, %s kB of memory, Linux %s, %s; data on %s. Load before it: %s.",
		runtime.NumCPU(), cpu, memory, strings.TrimSpace(string(kernel)), runtime.Version(), fileSystem(dir), load())
}

// fileSystem is the kind of file system: a sync on one in memory costs nothing,
// so the durable numbers would mean nothing.
func fileSystem(dir string) string {
	out, err := exec.Command("stat", "--file-system", "--format=%T", dir).Output()
	if err != nil {
		return "an unknown file system"
	}
	return strings.TrimSpace(string(out))
}

// load is the load average of the last minute, 5 and 15 minutes.
func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(b)); len(f) > 2 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}

// field reads "name : value" of a file in /proc.
func field(path, name string) string {
	b, _ := os.ReadFile(path)
	for l := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
