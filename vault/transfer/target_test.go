package transfer

import "testing"

// A piece may wait for its turn only if all before it was handed out: else pieces
// that wait could hold every buffer that those before them need.
func TestReserve(t *testing.T) {
	var file target
	for i, c := range []struct {
		at, n  int64
		inTurn bool
	}{
		{0, 10, true}, {30, 10, false}, {50, 5, false}, {10, 10, true}, {20, 10, true}, // up to 40
		{45, 5, false}, {40, 5, true}, // up to 55
		{55, 1, true}, {60, 1, false},
	} {
		if got := file.reserve(c.at, c.n); got != c.inTurn {
			t.Errorf("%d: the piece at %d: %v", i, c.at, got)
		}
	}
	if file.planned != 56 || len(file.early) != 1 {
		t.Errorf("planned up to %d, and %v", file.planned, file.early)
	}
}
