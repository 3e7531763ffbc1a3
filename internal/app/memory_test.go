package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestWasteIsGivenBackOnlyWhenItIsQuiet(t *testing.T) {
	const mb = 1 << 20
	before := memory{held: 30 * mb, made: 1000 * mb}
	for name, c := range map[string]struct {
		now  memory
		want bool
	}{
		"after a hash":        {memory{held: 160 * mb, made: 1001 * mb}, true},
		"while hashes run":    {memory{held: 160 * mb, made: 1200 * mb}, false},
		"as much as is used":  {memory{held: 34 * mb, made: 1001 * mb}, false},
		"what collects needs": {memory{held: 35 * mb, made: 1010 * mb}, false},
	} {
		if got := c.now.wasteful(before, 20*mb); got != c.want {
			t.Errorf("%s: wasteful is %v", name, got)
		}
	}
}

var hoard []byte

// What was needed for a moment, and collected or not, is not held for longer
// than two looks.
func TestMemoryGoesBackToTheSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- giveBack(ctx) }()
		time.Sleep(3 * memoryEvery)
		hoard = make([]byte, 128<<20)
		for i := 0; i < len(hoard); i += 4096 {
			hoard[i] = 1
		}
		full := readMemory().held
		hoard = nil
		time.Sleep(3 * memoryEvery)
		if now := readMemory().held; now > full-100<<20 {
			t.Errorf("%d MiB were held, and then still %d", full>>20, now>>20)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
