package evidence

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/vault/state"
)

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		value, least, most string
		want               bool
	}{
		{"0.91", "", "", true}, {"0.91", "0.90", "", true}, {"0.90", "0.9", "", true}, {"0.89999999999999999999", "0.9", "", false},
		{"3", "", "2.5", false}, {"2.5", "", "2.50", true}, {"-1", "-2", "0", true}, {"-3", "-2", "0", false}, {"1", "-2", "0", false}, {"0", "0", "0", true},
	} {
		if got, err := (Measurement{"m", c.value, c.least, c.most}).Within(); got != c.want || err != nil {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
	for _, bad := range []string{"", "1e9", "NaN", "+1", "01", ".5", "5.", "1/2", "0x1", "1_0", " 1", strings.Repeat("9", 33)} {
		if _, err := (Measurement{Name: "m", Value: bad}).Within(); !errors.Is(err, ErrMeasurement) {
			t.Errorf("value %q: %v", bad, err)
		}
		if _, err := (Measurement{Name: "m", Value: "1", AtMost: bad}).Within(); bad != "" && !errors.Is(err, ErrMeasurement) {
			t.Errorf("limit %q: %v", bad, err)
		}
	}
}

func TestCheckMeasurements(t *testing.T) {
	low := Measurement{Name: "accuracy", Value: "0.5", AtLeast: "0.9"}
	good := []Measurement{{Name: "accuracy", Value: "0.95", AtLeast: "0.9"}, {Name: "drift", Value: "0.01"}}
	for _, typ := range state.TestTypes() {
		if err := CheckMeasurements(typ, state.Pass, good); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
	if err := CheckMeasurements("monitoring", state.Fail, []Measurement{low}); err != nil {
		t.Error(err)
	}
	many := make([]Measurement, 0, MaxMeasurements+1)
	for c := range MaxMeasurements + 1 {
		many = append(many, Measurement{Name: string(rune('!' + c)), Value: "1"})
	}
	for what, bad := range map[string][]Measurement{
		"a pass that is none": {low}, "out of order": {good[1], good[0]}, "twice": {good[0], good[0]}, "without a name": {{Value: "1"}},
		"a long name": {{Name: strings.Repeat("n", 65), Value: "1"}}, "a name that does not print": {{Name: "a\nb", Value: "1"}},
		"no number": {{Name: "m", Value: "high"}}, "too many": slices.Clip(many),
	} {
		if err := CheckMeasurements("monitoring", state.Pass, bad); !errors.Is(err, ErrMeasurement) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := CheckMeasurements("notice", state.Pass, good); !errors.Is(err, ErrMeasurement) {
		t.Errorf("a notice: %v", err)
	}
}
