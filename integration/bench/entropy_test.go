package main

import (
	"math"
	"testing"
)

func TestEntropyOf(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, c := range []struct {
		name   string
		b      []byte
		width  int
		rotate bool
		want   float64
	}{
		{"nothing", nil, 1, false, 0},
		{"one value", make([]byte, 64), 1, false, 0},
		{"every byte once", all, 1, false, 256},
		{"two values", []byte{0, 1, 0, 1, 0, 1, 0, 1}, 1, false, 1},
		{"planes apart", []byte{0, 7, 1, 7, 0, 7, 1, 7}, 2, false, 0.5},
		{"a sign beside a constant exponent", []byte{0, 0x3f, 0, 0xbf, 0, 0x3f, 0, 0xbf}, 2, true, 0.5},
		{"what is left of an element", []byte{0, 7, 0, 7, 9}, 2, false, 1},
	} {
		if got := entropyOf(c.b, c.width, c.rotate); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
	}
}
