package main

import (
	"strings"
	"testing"
	"time"
)

func TestMedianAndPercentile(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{7, 1, 3}, 3}} {
		if got := median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, not %v", c.values, got, c.want)
		}
	}
	all := make([]time.Duration, 100)
	for i := range all {
		all[i] = time.Duration(100 - i)
	}
	if got := percentile(all, 0.99); got != 99 {
		t.Errorf("99 %% of 1 to 100 are within %d", got)
	}
}

// The ratio is that of the pairs, not of the best or mean of each side.
func TestPairsAreTakenTogether(t *testing.T) {
	var p pairs
	p.take(10, 10)
	p.take(100, 50) // both slower or faster: the machine, not we
	p.take(30, 20)
	if got := median(p.ratio); got != 1.5 {
		t.Errorf("the ratio is %v", got)
	}
}

// Batches are never smaller than the store made them: a commit ends before any
// writer in it writes again.
func TestBatchesEndWhereAWriterReturns(t *testing.T) {
	var acts []act
	for _, w := range []int{1, 2, 3, 2, 1, 3, 3} {
		acts = append(acts, act{writer: w})
	}
	var sizes []int
	for _, b := range batches(acts) {
		sizes = append(sizes, len(b))
	}
	if len(sizes) != 3 || sizes[0] != 3 || sizes[1] != 3 || sizes[2] != 1 {
		t.Errorf("the batches have the sizes %v", sizes)
	}
}

func TestTheTableSaysWhatFallsShort(t *testing.T) {
	l := table{group: "x"}
	l.note("for information", "1")
	l.add(line{what: "kept", asked: "≤ 1", measured: "0", holds: true})
	if l.short() {
		t.Error("something falls short")
	}
	l.add(line{what: "broken", asked: "≤ 1", measured: "2"})
	var out strings.Builder
	l.print(&out)
	if !l.short() || !strings.Contains(out.String(), "| x | broken | ≤ 1 | 2 |  |  | **falls short** |") || strings.Count(out.String(), "holds") != 1 {
		t.Errorf("the table is\n%s", out.String())
	}
}

func TestNamesOfBenchmarks(t *testing.T) {
	if all, err := choose(""); err != nil || len(all) != len(benchmarks) {
		t.Error("no name is not all", err)
	}
	if two, err := choose("roll,seal"); err != nil || len(two) != 2 || two[0].name != "roll" {
		t.Error("two names are not two", two, err)
	}
	if _, err := choose("nonsense"); err == nil || !strings.Contains(err.Error(), "sequence") {
		t.Error("a wrong name is not answered with the right ones:", err)
	}
}
