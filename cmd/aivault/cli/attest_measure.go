package cli

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault/evidence"
	"github.com/aivault/aivault/vault/state"
)

type measurementJSON struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	AtLeast string `json:"at_least,omitempty"`
	AtMost  string `json:"at_most,omitempty"`
	Within  bool   `json:"within"`
}

// parseMeasurements reads metrics, NAME=VALUE, and thresholds, NAME>=VALUE or
// NAME<=VALUE, each of a metric.
func parseMeasurements(metrics, thresholds []string) ([]evidence.Measurement, error) {
	var out []evidence.Measurement
	at := func(name string) int {
		return slices.IndexFunc(out, func(m evidence.Measurement) bool { return m.Name == name })
	}
	for _, text := range metrics {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || at(name) >= 0 {
			return nil, usage("--metric %q: write NAME=VALUE, each NAME once", text)
		}
		out = append(out, evidence.Measurement{Name: name, Value: value})
	}
	for _, text := range thresholds {
		name, limit, least := strings.Cut(text, ">=")
		if !least {
			name, limit, _ = strings.Cut(text, "<=")
		}
		i := at(name)
		if i < 0 || limit == "" {
			return nil, usage("--threshold %q: write NAME>=VALUE or NAME<=VALUE, with a --metric of this NAME", text)
		}
		bound := &out[i].AtMost
		if least {
			bound = &out[i].AtLeast
		}
		if *bound != "" {
			return nil, usage("--threshold %q: there is another one", text)
		}
		*bound = limit
	}
	slices.SortFunc(out, func(a, b evidence.Measurement) int { return cmp.Compare(a.Name, b.Name) })
	for _, m := range out {
		if _, err := m.Within(); err != nil {
			return nil, usage("--metric %s: %w", m.Name, err)
		}
	}
	return out, nil
}

// resultOf is the result that measurements with thresholds amount to; "" without
// a threshold.
func resultOf(measured []evidence.Measurement) string {
	out := ""
	for _, m := range measured {
		if m.AtLeast == "" && m.AtMost == "" {
			continue
		}
		within, err := m.Within()
		if err != nil || !within {
			return state.Fail
		}
		out = state.Pass
	}
	return out
}

func measurementObjects(measured []evidence.Measurement) []measurementJSON {
	var out []measurementJSON
	for _, m := range measured {
		within, err := m.Within()
		out = append(out, measurementJSON{m.Name, m.Value, m.AtLeast, m.AtMost, within && err == nil})
	}
	return out
}

// text says it in a few words.
func (m measurementJSON) text() string {
	s := m.Name + " " + m.Value
	if m.AtLeast != "" {
		s += ", at least " + m.AtLeast
	}
	if m.AtMost != "" {
		s += ", at most " + m.AtMost
	}
	if !m.Within {
		s += ": not kept"
	}
	return s
}
