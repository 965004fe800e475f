package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// ratio is what a data set takes in storage, of what it is.
type ratio struct {
	set    *dataset
	stored int64
}

func (r ratio) of() float64 { return float64(r.stored) / float64(r.set.bytes) }

// ratios pushes data sets into a vault in a directory and notes what they take there.
func (l *lab) ratios(sets []*dataset) ([]ratio, error) {
	home, place := l.path("home-ratios"), l.path("vault-ratios")
	defer os.RemoveAll(place) // the whole directory goes at the end anyway
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	env := append(l.env(home), "AIVAULT_VAULT="+place, "AIVAULT_CUSTODY=local:"+l.path("keeper-ratios"), "AIVAULT_NO_INPUT=true", "AIVAULT_PROGRESS=none")
	if err := l.quietly(alone(l.dir, env, l.aivault, "init", place)); err != nil {
		return nil, err
	}
	var out []ratio
	for _, set := range sets {
		p := pipeline{commands: []command{{[]string{l.aivault, "push", "bench/" + set.id(), set.dir, "--json"}, l.dir, env}}, output: l.path("pushed.json")}
		if err := l.quietly([]pipeline{p}); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(p.output)
		if err != nil {
			return nil, err
		}
		n, err := storedBytes(text)
		if err != nil {
			return nil, err
		}
		out = append(out, ratio{set, n})
	}
	return out, nil
}

// storedBytes reads the result of a push.
func storedBytes(text []byte) (int64, error) {
	var v struct {
		Stored int64 `json:"stored_bytes"`
	}
	if err := json.Unmarshal(text, &v); err != nil || v.Stored <= 0 {
		return 0, fmt.Errorf("push printed %q, which does not say what is stored (%v)", text, err)
	}
	return v.Stored, nil
}
