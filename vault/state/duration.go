package state

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// Duration is a calendar duration as ISO 8601-1:2019 §5.5.2.4 spells it:
// P[nY][nM][nW][nD][T[nH][nM][nS]], in whole numbers. A month is a month of the
// calendar, whatever its length.
type Duration struct {
	Years, Months, Weeks, Days, Hours, Minutes, Seconds int
}

// maxComponent bounds each number of a duration, so that no sum leaves the
// years that time.Time can print.
const maxComponent = 9999

// durationUnits are the components in the order in which they are spelt.
var durationUnits = []struct {
	letter byte
	clock  bool // after the T
	of     func(*Duration) *int
}{
	{'Y', false, func(d *Duration) *int { return &d.Years }},
	{'M', false, func(d *Duration) *int { return &d.Months }},
	{'W', false, func(d *Duration) *int { return &d.Weeks }},
	{'D', false, func(d *Duration) *int { return &d.Days }},
	{'H', true, func(d *Duration) *int { return &d.Hours }},
	{'M', true, func(d *Duration) *int { return &d.Minutes }},
	{'S', true, func(d *Duration) *int { return &d.Seconds }},
}

// ParseDuration reads a duration. Numbers are whole, at most 9,999, without
// leading zeros; components are in order, each at most once, none of them zero.
// The one spelling of no time is P0D.
func ParseDuration(s string) (Duration, error) {
	var d Duration
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return d, badDuration(s)
	}
	clock := false
	for _, u := range durationUnits {
		if u.clock && !clock {
			after, ok := strings.CutPrefix(rest, "T")
			if !ok || after == "" {
				break
			}
			rest, clock = after, true
		}
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits == len(rest) || rest[digits] != u.letter {
			continue
		}
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > maxComponent {
			return Duration{}, badDuration(s)
		}
		*u.of(&d), rest = n, rest[digits+1:]
	}
	if rest != "" || d.String() != s {
		return Duration{}, badDuration(s)
	}
	return d, nil
}

func badDuration(s string) error {
	return fmt.Errorf("duration %q: an ISO 8601 duration is meant, like P6M, P1Y, P30D or PT12H", s)
}

// IsZero reports whether d is no time at all.
func (d Duration) IsZero() bool { return d == Duration{} }

func (d Duration) String() string {
	if d.IsZero() {
		return "P0D"
	}
	b := []byte{'P'}
	clock := false
	for _, u := range durationUnits {
		n := *u.of(&d)
		if n == 0 {
			continue
		}
		if u.clock && !clock {
			b, clock = append(b, 'T'), true
		}
		b = append(strconv.AppendInt(b, int64(n), 10), u.letter)
	}
	return string(b)
}

// After returns the time that is d after t, in UTC: years and months by the
// calendar, where a day that the month does not have becomes its last one (31
// January and a month is 28 or 29 February); then weeks and days; then the rest.
func (d Duration) After(t entry.Time) entry.Time {
	u := t.UTC()
	month := int(u.Month()) - 1 + d.Months
	year := u.Year() + d.Years + month/12
	first := time.Date(year, time.Month(month%12+1), 1, u.Hour(), u.Minute(), u.Second(), 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	day := min(u.Day(), last) - 1 + 7*d.Weeks + d.Days
	out := first.AddDate(0, 0, day)
	return entry.At(out.Add(time.Duration(d.Hours)*time.Hour + time.Duration(d.Minutes)*time.Minute + time.Duration(d.Seconds)*time.Second))
}

// MarshalJSON spells the duration.
func (d Duration) MarshalJSON() ([]byte, error) { return []byte(`"` + d.String() + `"`), nil }

// UnmarshalJSON reads the one spelling.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%w: %w", canonical.ErrNotCanonical, err)
	}
	*d = v
	return nil
}
