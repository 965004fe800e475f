package naming

import (
	"time"

	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// ParseTime reads a point in time: a date (midnight UTC), an RFC 3339 time, or
// an ISO 8601 duration from now (P30D, PT12H).
func ParseTime(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	if d, err := state.ParseDuration(text); err == nil {
		return d.After(entry.At(now)).Time, nil
	}
	return time.Time{}, invalid("%q is neither a date (2027-06-30), nor a time (2027-06-30T12:00:00Z), nor a duration (P30D)", text)
}
