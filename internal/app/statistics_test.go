package app

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Two ways to ask whether two samples come from one distribution. The first sees
// that one tends to be larger, the second any difference at all. Both work on
// ranks, so that a request which the machine held up for a second weighs no more
// than one that it held up for a moment.

// mannWhitney is the two-sided probability of ranks that differ so much, if both
// samples came from one distribution: the normal approximation with the
// correction for ties (H. B. Mann and D. R. Whitney, "On a Test of Whether one of
// Two Random Variables is Stochastically Larger than the Other", 1947).
func mannWhitney(x, y []float64) float64 {
	type value struct {
		v   float64
		ofX bool
	}
	all := make([]value, 0, len(x)+len(y))
	for _, v := range x {
		all = append(all, value{v: v, ofX: true})
	}
	for _, v := range y {
		all = append(all, value{v: v})
	}
	slices.SortFunc(all, func(a, b value) int { return cmp.Compare(a.v, b.v) })
	n, ties, sum := float64(len(all)), 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].v == all[i].v {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		for k := i; k < j; k++ {
			if all[k].ofX {
				sum += float64(i+j+1) / 2 // the mean of the ranks i+1 … j
			}
		}
		i = j
	}
	n1, n2 := float64(len(x)), float64(len(y))
	u := sum - n1*(n1+1)/2
	variance := n1 * n2 / 12 * (n + 1 - ties/(n*(n-1)))
	if variance <= 0 {
		return 1 // all values are the same
	}
	z := max(0, math.Abs(u-n1*n2/2)-0.5) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

// kolmogorovSmirnov is the probability of distributions that differ so much
// somewhere, if both samples came from one: the asymptotic distribution with
// the correction for finite samples (M. A. Stephens, "Use of the
// Kolmogorov-Smirnov, Cramér-von Mises and Related Statistics", 1970).
func kolmogorovSmirnov(x, y []float64) float64 {
	x, y = slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y))
	n1, n2, d := float64(len(x)), float64(len(y)), 0.0
	for i, j := 0, 0; i < len(x) && j < len(y); {
		v := min(x[i], y[j])
		for i < len(x) && x[i] == v {
			i++
		}
		for j < len(y) && y[j] == v {
			j++
		}
		d = max(d, math.Abs(float64(i)/n1-float64(j)/n2))
	}
	root := math.Sqrt(n1 * n2 / (n1 + n2))
	lambda := (root + 0.12 + 0.11/root) * d
	if lambda < 0.2 { // the series does not converge there, and it is 1 to twelve places
		return 1
	}
	p := 0.0
	for k := 1; k <= 100; k++ {
		p += math.Pow(-1, float64(k-1)) * math.Exp(-2*float64(k*k)*lambda*lambda)
	}
	return min(1, max(0, 2*p))
}

// differ is the smaller probability of the two.
func differ(x, y []float64) float64 { return min(mannWhitney(x, y), kolmogorovSmirnov(x, y)) }

// Values from the textbooks, worked out by hand: without them, two functions
// that say 1 to everything would pass for a proof.
func TestStatisticsAgreeWithTables(t *testing.T) {
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s is %.6f, want %.6f", what, got, want)
		}
	}
	one := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	near("all of one above the other", mannWhitney(one, []float64{11, 12, 13, 14, 15, 16, 17, 18, 19, 20}), 0.000183, 0.00001)
	near("the same sample twice", mannWhitney(one, one), 1, 0.05)
	near("nothing but ties", mannWhitney([]float64{1, 1, 1}, []float64{1, 1, 1}), 1, 0)
	// The critical value of the asymptotic distribution at 5 % is 1.358, at 1 % 1.628.
	series := func(lambda float64) (p float64) {
		for k := 1; k < 50; k++ {
			p += 2 * math.Pow(-1, float64(k-1)) * math.Exp(-2*float64(k*k)*lambda*lambda)
		}
		return p
	}
	near("the series at 1.358", series(1.358), 0.05, 0.0005)
	near("the series at 1.628", series(1.628), 0.01, 0.0002)
	near("all of one above the other", kolmogorovSmirnov(one, []float64{11, 12, 13, 14, 15, 16, 17, 18, 19, 20}), 0.0000, 0.0002)
	near("the same sample twice", kolmogorovSmirnov(one, one), 1, 0)
}

// The tests find a real difference, and find none where there is none: 500 tries
// of a sign-in that takes 3 ms with the noise of a busy machine.
func TestStatisticsFindDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) // the same numbers each time
	sample := func(shift float64, tail float64) []float64 {
		all := make([]float64, 500)
		for i := range all {
			all[i] = 3 + shift + math.Abs(r.NormFloat64())*0.5 + r.ExpFloat64()*0.2
			if r.Float64() < 0.05+tail {
				all[i] += r.ExpFloat64() * 20
			}
		}
		return all
	}
	alarms, sharpest := 0, 1.0
	for range 1000 {
		p := differ(sample(0, 0), sample(0, 0))
		sharpest = min(sharpest, p)
		if p < differs {
			alarms++
		}
	}
	if alarms > 0 { // 0.002 are expected in 1000
		t.Errorf("%d of 1000 pairs of equal samples are told apart; the sharpest p is %g", alarms, sharpest)
	}
	for what, other := range map[string][]float64{"0.3 ms more": sample(0.3, 0), "a quarter more are slow": sample(0, 0.25)} {
		if p := differ(sample(0, 0), other); p >= differs {
			t.Errorf("%s is not noticed: p = %g", what, p)
		}
	}
}
