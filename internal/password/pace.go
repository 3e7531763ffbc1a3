package password

import (
	"math"
	"sync"
	"time"
)

// pace knows how long hashes take on this machine: the least that was seen of
// each cost, since what else runs only adds to it.
type pace struct {
	mu    sync.Mutex
	least map[Params]time.Duration
}

// maxPaces bounds the costs that are remembered. Imported hashes have few.
const maxPaces = 256

func (c *pace) took(p Params, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, ok := c.least[p]; ok && before <= d || !ok && len(c.least) >= maxPaces {
		return
	}
	if c.least == nil {
		c.least = map[Params]time.Duration{}
	}
	c.least[p] = max(d, 1)
}

func (c *pace) of(p Params) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.least[p]
	return d, ok
}

// lacks is what share of a hash at cost now a hash at cost p falls short of it,
// 0 to 1. Before one at cost now was seen it is all of it.
func (c *pace) lacks(p, now Params) float64 {
	theirs, known := c.of(p)
	ours, seen := c.of(now)
	if !known || !seen {
		return 1
	}
	return max(0, 1-float64(theirs)/float64(ours))
}

// part is the cost of about a share of a hash at cost p; without memory for a
// pass of Argon2 it is nothing.
func (p Params) part(share float64) (Params, bool) {
	if p.Scheme != Argon2id {
		p.Passes = uint32(math.Round(share * float64(p.Passes)))
		return p, p.Passes > 0
	}
	work := share * float64(p.work())
	p.Passes = max(1, uint32(math.Ceil(work/float64(p.Memory))))
	p.Memory = uint32(work / float64(p.Passes))
	return p, p.Memory >= 8*p.Lanes
}
