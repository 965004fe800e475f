package main

import (
	"slices"
	"time"
)

// report is everything that was measured.
type report struct {
	machine machine
	rounds  int
	sets    []*dataset // that tools were compared on; the targets are judged on the first
	rows    []row
	stages  []*round // on the first set
	ratios  []ratio
}

// machine is what figures depend on, and nothing that names it.
type machine struct {
	Cores    int
	Flags    []string
	System   string
	Go       string
	Versions []string // of what was compared
}

// median is the middle of some numbers, or the mean of the two in the middle; 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// each is the median of something over all runs.
func (r *row) each(f func(run) float64) float64 {
	v := make([]float64, len(r.runs))
	for i, x := range r.runs {
		v[i] = f(x)
	}
	return median(v)
}

func (r *row) wall() time.Duration {
	return time.Duration(r.each(func(x run) float64 { return float64(x.Wall) }))
}

func (r *row) cpu() time.Duration {
	return time.Duration(r.each(func(x run) float64 { return float64(x.CPU) }))
}

// speed is in bytes per second.
func (r *row) speed() float64 {
	return r.each(func(x run) float64 { return float64(r.set.bytes) / x.Wall.Seconds() })
}

// units is the speed per processor second in SHA units.
func (r *row) units() float64 {
	return r.each(func(x run) float64 { return float64(r.set.bytes) / x.CPU.Seconds() / x.unit })
}

// peak is the most memory any run took.
func (r *row) peak() int64 {
	var most int64
	for _, x := range r.runs {
		most = max(most, x.Peak)
	}
	return most
}

// find returns the row of a tool on the first data set.
func (r *report) find(tool, op string) *row {
	for i := range r.rows {
		if x := &r.rows[i]; x.tool == tool && x.op == op && x.set == r.sets[0] {
			return x
		}
	}
	return nil
}

// times is how many times as fast as another tool one is: the median over the
// rounds, in each of which both ran.
func (r *report) times(tool, other, op string) (float64, bool) {
	a, b := r.find(tool, op), r.find(other, op)
	if a == nil || b == nil || len(a.runs) != len(b.runs) {
		return 0, false
	}
	v := make([]float64, len(a.runs))
	for i := range v {
		v[i] = b.runs[i].Wall.Seconds() / a.runs[i].Wall.Seconds()
	}
	return median(v), true
}

// overRounds is the median of something over the rounds, and whether it was measured.
func (r *report) overRounds(f func(*round) float64) (float64, bool) {
	v := make([]float64, len(r.stages))
	for i, x := range r.stages {
		v[i] = f(x)
	}
	m := median(v)
	return m, m > 0
}

// share is what a data set takes in storage, of what it is.
func (r *report) share(set string) (float64, bool) {
	for _, x := range r.ratios {
		if x.set.name == set {
			return x.of(), true
		}
	}
	for _, x := range r.rows {
		if x.tool == "aivault" && x.op == pushing && x.set.name == set {
			return float64(x.stored) / float64(x.set.bytes), true
		}
	}
	return 0, false
}

// extremes are the speeds of the slowest and of the fastest run.
func (r *row) extremes() (least, most float64) {
	for i, x := range r.runs {
		v := float64(r.set.bytes) / x.Wall.Seconds()
		if i == 0 {
			least, most = v, v
		}
		least, most = min(least, v), max(most, v)
	}
	return least, most
}
