package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Memory that was needed for a moment goes back to the system once things are
// quiet. One password hash takes 64 MiB, and the collector, which counts in
// multiples of what lives, would keep several of them for minutes: on a small
// machine that is most of what an idle Troth takes.
const (
	memoryEvery = 5 * time.Second
	memorySpare = 6 << 20  // bytes that are not worth a collection
	hashMemory  = 64       // MiB of one hash; as many run at once as there are processors
	memoryQuiet = 16 << 20 // bytes made within memoryEvery that still count as quiet
)

// pace lets the collector run a quarter as often as it would by default: what
// lives is small (about 10 MB), so it would run dozens of times a second under
// load. What that holds on to, giveBack returns; and what the program makes is
// bounded by what hashes may take and 160 MiB beside them, above which the
// collector runs as often as it takes. The pages of SQLite are not counted: they
// have bounds of their own. GOGC and GOMEMLIMIT overrule it.
func pace(hashes int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(hashes + 160<<20)
	}
}

// memory is how much the program holds, and how much it ever made, in bytes.
type memory struct{ held, made uint64 }

func readMemory() memory {
	s := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(s)
	return memory{held: s[0].Value.Uint64() - s[1].Value.Uint64(), made: s[2].Value.Uint64()}
}

// wasteful reports whether half as much again is held as was needed after the
// last collection of this kind, at a time when hardly anything was made since
// the look before: then a collection takes milliseconds that nobody waits for.
func (m memory) wasteful(before memory, needed uint64) bool {
	return m.made-before.made < memoryQuiet && m.held > needed+needed/2+memorySpare
}

// giveBack looks until ctx ends.
func giveBack(ctx context.Context) error {
	t := time.NewTicker(memoryEvery)
	defer t.Stop()
	var needed uint64 // after the last collection
	for before := readMemory(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		now := readMemory()
		if now.wasteful(before, needed) {
			debug.FreeOSMemory()
			now = readMemory()
			needed = now.held
		}
		before = now
	}
}
