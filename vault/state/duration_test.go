package state

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/vault/entry"
)

func TestParseDuration(t *testing.T) {
	for _, s := range []string{"P0D", "P1Y", "P6M", "P2W", "P30D", "PT10S", "P1Y2M3W4DT5H6M7S", "P1DT1M", "P9999Y"} {
		d, err := ParseDuration(s)
		if err != nil || d.String() != s {
			t.Errorf("%s: %s, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "P", "1Y", "PT", "P1", "P1YT", "P0Y", "P01Y", "P1M1Y", "P1D1D", "P-1D", "P1.5D", "PT1Y", "P10000D", "P1S", "p1y", "P1Y ", "P99999999999999999999D", "P0D1Y", "PT1H1H"} {
		if d, err := ParseDuration(s); err == nil {
			t.Errorf("%q was read as %s", s, d)
		}
	}
}

func TestDurationAfter(t *testing.T) {
	for _, c := range []struct{ from, duration, want string }{
		{"2026-01-31T12:00:00Z", "P1M", "2026-02-28T12:00:00Z"},
		{"2028-01-31T12:00:00Z", "P1M", "2028-02-29T12:00:00Z"},
		{"2028-02-29T00:00:00Z", "P1Y", "2029-02-28T00:00:00Z"},
		{"2026-12-15T01:02:03Z", "P1M", "2027-01-15T01:02:03Z"},
		{"2026-11-30T00:00:00Z", "P15M", "2028-02-29T00:00:00Z"},
		{"2026-01-31T00:00:00Z", "P1M1D", "2026-03-01T00:00:00Z"},
		{"2026-01-01T00:00:00Z", "P2W", "2026-01-15T00:00:00Z"},
		{"2026-12-31T23:59:50Z", "PT10S", "2027-01-01T00:00:00Z"},
		{"2026-03-28T02:30:00Z", "P1D", "2026-03-29T02:30:00Z"}, // no summer time in UTC
	} {
		from, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			t.Fatal(err)
		}
		d, err := ParseDuration(c.duration)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.After(entry.At(from)).String(); got != c.want {
			t.Errorf("%s and %s: %s, want %s", c.from, c.duration, got, c.want)
		}
	}
}

func TestDurationProperties(t *testing.T) {
	part := rapid.IntRange(0, 50)
	rapid.Check(t, func(t *rapid.T) {
		d := Duration{part.Draw(t, "y"), part.Draw(t, "m"), part.Draw(t, "w"), part.Draw(t, "d"), part.Draw(t, "H"), part.Draw(t, "M"), part.Draw(t, "S")}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back Duration
		if err := json.Unmarshal(b, &back); err != nil || back != d {
			t.Fatalf("%s came back as %s, %v", d, back, err)
		}
		at := entry.At(time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "at"), 0))
		after := d.After(at)
		if d.IsZero() != after.Equal(at.Time) || after.Before(at.Time) {
			t.Fatalf("%s after %s is %s", d, at, after)
		}
		more := d
		more.Days++
		if !more.After(at).After(after.Time) {
			t.Fatalf("a day more than %s is not later than %s", d, after)
		}
	})
}
