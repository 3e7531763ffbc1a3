package account

import (
	"net/netip"
	"time"

	"troth/internal/config"
	"troth/internal/fault"
	"troth/internal/throttle"
)

// Guessing is the section [throttle].
type Guessing struct {
	Free         int             `toml:"free" doc:"How many wrong guesses in a row at an account, by all browsers together that are new to it, bring no pause. A browser in which its holder has signed in before counts by itself."`
	Delay        config.Duration `toml:"delay" doc:"How long no further guess is looked at then; twice as long after each further one."`
	Longest      config.Duration `toml:"longest" doc:"No pause is longer."`
	Limit        int             `toml:"limit" doc:"After so many in a row, new browsers wait until the holder, a recovery or the operator unlocks the account; at most 100 (NIST SP 800-63B-4, 3.2.2)."`
	BrowserLimit int             `toml:"browser_limit" doc:"After so many in a row in a browser that had signed in before, it counts as a new one."`
	NetworkBurst int             `toml:"network_burst" doc:"How many wrong guesses a network (an IPv4 address, or a /64 of IPv6) can make at once, at whatever accounts. Right ones cost nothing, and known browsers need no budget of their network."`
	NetworkEvery config.Duration `toml:"network_every" doc:"How long it takes until a network has one more."`
	CrowdBurst   int             `toml:"crowd_burst" doc:"How many wrong guesses all networks together can make at once from which nobody has signed in within 30 days. The more of it is spent, the fewer each of them has."`
	CrowdEvery   config.Duration `toml:"crowd_every" doc:"How long it takes until they have one more. Choose it by how many wrong passwords a usual day brings from new places."`
	EffortBurst  int             `toml:"effort_burst" doc:"How often a network can ask at once for what costs as much work as a guess and is none: to sign up, and for mailed links."`
	EffortEvery  config.Duration `toml:"effort_every" doc:"How long it takes until it can once more. Make it shorter where many people sign up from one network."`
}

func defaultGuessing() Guessing {
	return Guessing{
		Free: 5, Delay: config.Duration(time.Minute), Longest: config.Duration(time.Hour), Limit: maxGuesses, BrowserLimit: 20,
		NetworkBurst: 20, NetworkEvery: config.Duration(30 * time.Second),
		CrowdBurst: 500, CrowdEvery: config.Duration(10 * time.Second),
		EffortBurst: 60, EffortEvery: config.Duration(10 * time.Second),
	}
}

// maxGuesses is how many wrong guesses in a row an account bears (SP 800-63B-4,
// 3.2.2).
const maxGuesses = 100

// What is not configured: how long a network is known, how much more a /48 has
// than a /64, and for how many networks an account vouches.
const (
	knownFor   = 30 * 24 * time.Hour
	wideFactor = 4
	vouchBurst = 10
	vouchEvery = 4 * time.Hour
)

// synthetic is where the installation's own checks come from, and nobody else can
// (RFC 5737): what they try costs the crowd nothing, and what the crowd does keeps
// no claim from being exercised.
var synthetic = netip.MustParsePrefix("192.0.2.0/24")

func (c Guessing) policy() guessPolicy {
	return guessPolicy{free: c.Free, delay: c.Delay.D(), longest: c.Longest.D(), limit: c.Limit}
}

func (c Guessing) rates() throttle.GuessRates {
	return throttle.GuessRates{
		Near:  throttle.Rate{Every: c.NetworkEvery.D(), Burst: c.NetworkBurst},
		Wide:  throttle.Rate{Every: c.NetworkEvery.D() / wideFactor, Burst: c.NetworkBurst * wideFactor},
		Crowd: throttle.Rate{Every: c.CrowdEvery.D(), Burst: c.CrowdBurst},
		Known: knownFor, Vouch: throttle.Rate{Every: vouchEvery, Burst: vouchBurst}, Apart: synthetic,
	}
}

// effort is how often a network may ask for what costs the work of a hash and
// guesses at nothing: to sign up, or for a link.
func (c Guessing) effort() throttle.Rate {
	return throttle.Rate{Every: c.EffortEvery.D(), Burst: c.EffortBurst}
}

func (c *Guessing) check() error {
	for _, n := range []struct {
		key             string
		value, low, top int
	}{
		{"free", c.Free, 1, 10}, {"limit", c.Limit, c.Free, maxGuesses}, {"browser_limit", c.BrowserLimit, c.Free, maxGuesses},
		{"network_burst", c.NetworkBurst, 1, 1000}, {"crowd_burst", c.CrowdBurst, 1, 10_000_000},
		{"effort_burst", c.EffortBurst, 1, 10_000},
	} {
		if n.value < n.low || n.value > n.top {
			return fault.New(fault.Invalid, "account.config", "throttle.%s is %d; it can be %d to %d.", n.key, n.value, n.low, n.top).On("throttle." + n.key)
		}
	}
	for _, d := range []struct {
		key             string
		value, low, top config.Duration
	}{
		{"delay", c.Delay, config.Duration(time.Second), c.Longest}, {"longest", c.Longest, config.Duration(time.Second), config.Duration(24 * time.Hour)},
		{"network_every", c.NetworkEvery, config.Duration(time.Millisecond), config.Duration(time.Hour)},
		{"crowd_every", c.CrowdEvery, config.Duration(time.Millisecond), config.Duration(time.Hour)},
		{"effort_every", c.EffortEvery, config.Duration(time.Millisecond), config.Duration(time.Hour)},
	} {
		if d.value < d.low || d.value > d.top {
			return fault.New(fault.Invalid, "account.config", "throttle.%s is %s; it can be %s to %s.", d.key, d.value, d.low, d.top).On("throttle." + d.key)
		}
	}
	return nil
}
