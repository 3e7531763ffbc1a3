package access

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"troth/internal/id"
)

func TestCacheForgetsWhatTheFeedNames(t *testing.T) {
	c := newCache()
	for _, ten := range []id.Tenant{"ten_a", "ten_b"} {
		for _, acc := range []id.Account{"acc_1", "acc_2"} {
			c.put(key{ten, acc}, decision{role: Member, version: 7}, c.mark())
		}
	}
	left := func() (n int) {
		for _, ten := range []id.Tenant{"ten_a", "ten_b"} {
			for _, acc := range []id.Account{"acc_1", "acc_2"} {
				if _, ok := c.get(key{ten, acc}); ok {
					n++
				}
			}
		}
		return n
	}
	for _, step := range []struct {
		feed string
		left int
	}{
		{key{"ten_c", "acc_1"}.String(), 4},
		{key{"ten_a", "acc_1"}.String(), 3},
		{key{tenant: "ten_a"}.String(), 2},
		{"", 0},
	} {
		if c.evict(step.feed); left() != step.left {
			t.Errorf("after %q, %d decisions are left, want %d", step.feed, left(), step.left)
		}
	}
}

// What was read before a change and put after it would be wrong for ever.
func TestCacheRefusesWhatWasReadBeforeAChange(t *testing.T) {
	c, k := newCache(), key{"ten_a", "acc_1"}
	before := c.mark()
	c.evict(k.String())
	c.put(k, decision{role: Owner, version: 1}, before)
	if d, ok := c.get(k); ok {
		t.Fatalf("%+v is cached although it was read before a change", d)
	}
	c.put(k, decision{role: Viewer, version: 2}, c.mark())
	if d, _ := c.get(k); d.role != Viewer {
		t.Fatalf("%+v is cached", d)
	}
}

// The cache against a plain map: it may forget, it never answers wrongly.
func TestCacheNeverAnswersWrongly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, truth := newCache(), map[key]decision{}
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			k := key{
				id.Tenant(rapid.SampledFrom([]string{"ten_a", "ten_b", "ten_c"}).Draw(t, "tenant")),
				id.Account(fmt.Sprintf("acc_%d", rapid.IntRange(0, 9).Draw(t, "account"))),
			}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				d := decision{role: Member, version: uint64(i)}
				truth[k] = d
				c.evict(k.String())
			case 1:
				clear(truth)
				c.evict("unreadable")
				c.evict("")
			case 2:
				c.put(k, truth[k], c.mark())
			default:
				if d, ok := c.get(k); ok && d != truth[k] {
					t.Fatalf("%v: cached %+v, true is %+v", k, d, truth[k])
				}
			}
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache()
	for i := range 2 * cacheSets * cacheWays {
		c.put(key{"ten_a", id.Account(fmt.Sprint(i))}, decision{role: Member, version: 1}, c.mark())
	}
	n := 0
	for i := range c.sets {
		for w := range c.sets[i] {
			if c.sets[i][w].Load() != nil {
				n++
			}
		}
	}
	if n > cacheSets*cacheWays || n < cacheSets*cacheWays*9/10 {
		t.Errorf("%d decisions are kept of %d places", n, cacheSets*cacheWays)
	}
}
