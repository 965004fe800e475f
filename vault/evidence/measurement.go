package evidence

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/aivault/aivault/vault/state"
)

// Measurement is one thing that a test measured, and what it should have been.
// Numbers are decimal, as they were written: no float stands in what is signed.
type Measurement struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	AtLeast string `json:"at_least,omitempty"`
	AtMost  string `json:"at_most,omitempty"`
}

const (
	// MaxMeasurements bounds the measurements of a statement.
	MaxMeasurements = 64
	maxNumber       = 32 // characters
)

// ErrMeasurement refuses what is no measurement, or not what the result says.
var ErrMeasurement = errors.New("not a measurement")

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

func number(s string) (*big.Rat, error) {
	if len(s) > maxNumber || !decimal.MatchString(s) {
		return nil, fmt.Errorf("%q: %w: a decimal number, at most %d characters", s, ErrMeasurement, maxNumber)
	}
	r, _ := new(big.Rat).SetString(s)
	return r, nil
}

// Within reports whether the value keeps to what is asked of it.
func (m Measurement) Within() (bool, error) {
	value, err := number(m.Value)
	if err != nil {
		return false, err
	}
	within := true
	for _, limit := range []struct {
		text string
		sign int // that a breach compares with
	}{{m.AtLeast, -1}, {m.AtMost, 1}} {
		if limit.text == "" {
			continue
		}
		bound, err := number(limit.text)
		if err != nil {
			return false, err
		}
		within = within && value.Cmp(bound) != limit.sign
	}
	return within, nil
}

// CheckMeasurements refuses, for a type of evidence and its result, measurements
// of what is no test, too many, twice of a name, and a pass that a measurement
// belies.
func CheckMeasurements(evidence, result string, all []Measurement) error {
	if len(all) > 0 && !slices.Contains(state.TestTypes(), evidence) || len(all) > MaxMeasurements {
		return fmt.Errorf("%d measurements of a %s: %w: only tests have them, at most %d", len(all), evidence, ErrMeasurement, MaxMeasurements)
	}
	for i, m := range all {
		if m.Name == "" || len(m.Name) > state.MaxWord || strings.ContainsFunc(m.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("%q: %w: a name of 1 to %d bytes that print", m.Name, ErrMeasurement, state.MaxWord)
		}
		if i > 0 && m.Name <= all[i-1].Name {
			return fmt.Errorf("%q: %w: they are sorted by name, each once", m.Name, ErrMeasurement)
		}
		within, err := m.Within()
		if err != nil {
			return err
		}
		if !within && result == state.Pass {
			return fmt.Errorf("%s is %s, beyond what it should be, and the result is a pass: %w", m.Name, m.Value, ErrMeasurement)
		}
	}
	return nil
}
