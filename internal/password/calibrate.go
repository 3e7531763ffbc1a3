package password

import "time"

// Comfortable is the memory of a hash on a machine that is fast enough for it:
// 64 MiB, as the second recommended option of RFC 9106, 4. More memory would
// hurt an attacker's hardware more, and let fewer people sign in at once.
const Comfortable = 64 * 1024

// maxCalibrated bounds the passes that a calibration may choose.
const maxCalibrated = 256

// Measure computes one hash at a cost and says how long it takes on a machine
// that does nothing else: the time by the clock, which other processes lengthen,
// or the time that this process computed, which its other work lengthens,
// whichever is less.
func Measure(p Params) time.Duration {
	h := Hash{Params: p, Salt: make([]byte, SaltSize), Tag: make([]byte, tagSize)}
	start := time.Now()
	computed, known := cpuTime()
	h.derive("correct horse battery staple")
	took := time.Since(start)
	if now, ok := cpuTime(); ok && known && p.Lanes <= 1 && now > computed {
		took = min(took, now-computed)
	}
	return took
}

// Calibrate finds the cost at which one hash takes about the target on the
// machine that measure measures. It never goes under the floor of the scheme,
// however slow the machine is.
//
// Of Argon2id that is 64 MiB and as many passes as fit, or less memory where two
// passes over 64 MiB take longer; of PBKDF2 as many thousand rounds as fit.
func Calibrate(scheme Scheme, target time.Duration, measure func(Params) time.Duration) Params {
	try := func(p Params) time.Duration { // the least of three: what disturbs a measurement only adds to it
		return max(1, min(measure(p), measure(p), measure(p)))
	}
	if scheme == PBKDF2SHA256 {
		p := FloorPBKDF2
		fit := uint64(p.Passes) * uint64(max(target, 0)) / uint64(try(p))
		p.Passes = max(p.Passes, uint32(min(fit, maxRounds))/1000*1000)
		return p
	}
	p := Params{Memory: Comfortable, Passes: 2, Lanes: 1}
	took := try(p)
	if took > target {
		fit := uint64(p.Memory) * uint64(max(target, 0)) / uint64(took)
		p.Memory = max(Floor.Memory, uint32(fit)/1024*1024)
		return p
	}
	passes := (int64(target)*int64(p.Passes) + int64(took)/2) / int64(took)
	p.Passes = uint32(min(max(passes, 2), maxCalibrated))
	return p
}

// Drift says how far a calibrated cost is from its aim.
type Drift int

// The drifts.
const (
	Steady Drift = iota // about as long as was aimed at, or as near as can be
	Faster              // the machine got faster, so guessing got cheaper: raise the cost
	Slower              // it got slower, or busier: people wait longer
)

// Compare says whether a hash that was calibrated to a target and now takes so
// long ought to be calibrated again: under three fifths of it, or over nine
// fifths. A cost that can go no lower is as near as can be.
func Compare(p Params, target, takes time.Duration) Drift {
	switch {
	case takes < target*3/5 && !(p.Scheme == Argon2id && p.Passes >= maxCalibrated):
		return Faster
	case takes > target*9/5 && p != Floor && p != FloorPBKDF2:
		return Slower
	}
	return Steady
}
