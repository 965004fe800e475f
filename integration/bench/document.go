package main

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

//go:embed performance.md.tmpl
var prose string

// top is the top of the profile of a direction.
type top struct{ Op, Top string }

// document is the report as Markdown. chart is where the chart stands, relative to it.
func (r *report) document(chart string, inMemory bool, profiles []top) (string, error) {
	t, err := template.New("performance").Parse(prose)
	if err != nil {
		return "", err
	}
	type set struct{ Name, Size, What, Table string }
	data := struct {
		machine
		Rounds                       int
		Flags, Versions, Chart, Unit string
		Memory                       bool
		Targets, Stages, Ratios      string
		Sets                         []set
		Profiles                     []top
	}{
		machine: r.machine, Rounds: r.rounds, Flags: strings.Join(r.machine.Flags, ", "), Versions: strings.Join(r.machine.Versions, ", "),
		Chart: chart, Memory: inMemory, Targets: r.targetTable(), Stages: r.stageTable(), Ratios: r.ratioTable(), Profiles: profiles,
	}
	if u, ok := r.overRounds((*round).unit); ok {
		data.Unit = fmt.Sprintf("%.0f", u/1e6)
	}
	for _, s := range r.sets {
		data.Sets = append(data.Sets, set{s.name, bytesText(s.bytes), s.what, r.comparison(s)})
	}
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", err
	}
	return strings.TrimRight(b.String(), "\n") + "\n", nil
}
