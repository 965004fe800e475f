package main

import (
	"os"
	"slices"
	"testing"
)

func TestPeakIn(t *testing.T) {
	for text, want := range map[string]int64{"Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t  1234 kB\nVmRSS:\t 12 kB\n": 1234 << 10, "Name:\tx\n": 0, "VmHWM:": 0, "VmHWM:\tmany": 0} {
		if got := peakIn([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if n := peakOf(os.Getpid()); n < 1<<20 {
		t.Errorf("this process never had more than %d bytes", n)
	}
}

func TestFlagsIn(t *testing.T) {
	got := flagsIn("model name\t: Some CPU\nflags\t\t: fpu sha_ni avx2 vaes\nbugs\t: avx512f\n")
	if !slices.Equal(got, []string{"sha_ni", "avx2", "vaes"}) {
		t.Error(got)
	}
}
