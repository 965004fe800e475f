package main

import (
	"fmt"
	"strings"
)

// table is a Markdown table.
type table struct {
	b       strings.Builder
	columns int
}

func newTable(head ...string) *table {
	t := &table{columns: len(head)}
	t.row(head...)
	for range head {
		t.b.WriteString("|---")
	}
	t.b.WriteString("|\n")
	return t
}

func (t *table) row(cells ...string) {
	for i := range t.columns {
		cell := ""
		if i < len(cells) {
			cell = strings.ReplaceAll(cells[i], "|", `\|`)
		}
		t.b.WriteString("| " + cell + " ")
	}
	t.b.WriteString("|\n")
}

func (t *table) String() string { return t.b.String() }

const gap = "–" // where nothing was measured

// number prints a number that may not be known.
func number(format string, v float64) string {
	if v == 0 {
		return gap
	}
	return fmt.Sprintf(format, v)
}

// comparison is the table of the tools on one data set.
func (r *report) comparison(set *dataset) string {
	t := newTable("", "", "wall s", "MB/s (least – most)", "CPU s", "SU", "memory MiB", "stored MB", "of raw")
	for i := range r.rows {
		x := &r.rows[i]
		if x.set != set || len(x.runs) == 0 {
			continue
		}
		name := x.tool
		if x.limit {
			name = "*" + name + "*"
		}
		op := x.op
		if x.hashes {
			op = "hash"
		}
		least, most := x.extremes()
		t.row(name, op, number("%.2f", x.wall().Seconds()), fmt.Sprintf("%.0f (%.0f – %.0f)", x.speed()/1e6, least/1e6, most/1e6),
			number("%.2f", x.cpu().Seconds()), number("%.2f", x.units()), number("%.0f", float64(x.peak())/(1<<20)),
			number("%.0f", float64(x.stored)/1e6), number("%.3f", float64(x.stored)/float64(set.bytes)))
	}
	return t.String()
}

// stageTable is the table of what each stage of the library costs.
func (r *report) stageTable() string {
	t := newTable("stage", "MB per CPU second", "SU", "in a push", "in a pull")
	add := func(name string, speed func(*round) float64, marks ...string) {
		if v, ok := r.overRounds(speed); ok {
			units, _ := r.overRounds(func(x *round) float64 { return speed(x) / x.unit() })
			t.row(append([]string{name, fmt.Sprintf("%.0f", v/1e6), fmt.Sprintf("%.2f", units)}, marks...)...)
		}
	}
	mark := func(name string, among []string) string {
		for _, s := range among {
			if s == name {
				return "×"
			}
		}
		return ""
	}
	for _, s := range append(pushStages(), stageOpen, stageEncode, stageDecode) {
		add(s, func(x *round) float64 { return x.kernels[s].perCPU() }, mark(s, pushStages()), mark(s, pullStages()))
	}
	for _, s := range []string{pushFull, pushPlain} {
		add("**"+s+"**, to nowhere", func(x *round) float64 { return x.push[s].perCPU() })
	}
	add("**pull**, memory to memory", func(x *round) float64 { return x.pull.perCPU() })
	add("**pull**, memory to disk", func(x *round) float64 { return x.disk.perCPU() })
	return t.String()
}

// targetTable is the table of the targets and whether they are met.
func (r *report) targetTable() string {
	t := newTable("", "target", "measured", "")
	for _, x := range targets() {
		v, verdict := x.judge(r)
		got := gap
		if verdict != notMeasured {
			got = x.number(v)
		}
		t.row(x.what, x.wants(), got, verdict)
	}
	return t.String()
}

// ratioTable is the table of what data sets take in storage.
func (r *report) ratioTable() string {
	t := newTable("data", "", "raw MB", "floor, of raw", "stored, of raw")
	sets := r.sets
	for _, x := range r.ratios {
		sets = append(sets[:len(sets):len(sets)], x.set)
	}
	for _, set := range sets {
		stored, _ := r.share(set.name)
		t.row(set.name, set.what, fmt.Sprintf("%.1f", float64(set.bytes)/1e6), number("%.4f", set.floor), number("%.4f", stored))
	}
	return t.String()
}
