package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const mib = 1 << 20

// fixed is a report with numbers that were made up.
func fixed() *report {
	set := &dataset{name: "bf16", what: "Made up", bytes: 1000e6, floor: 0.6556}
	runs := func(unit float64, seconds ...float64) []run {
		var out []run
		for i, s := range seconds {
			out = append(out, run{usage{time.Duration(s * 1e9), time.Duration(2 * s * 1e9), int64(i+1) * 100 * mib}, unit})
		}
		return out
	}
	took := func(cpu float64) spent { return spent{1000e6, cpu / 2, cpu} }
	stages := &round{
		kernels: map[string]spent{stageRead: took(0.2), stageBLAKE3: took(0.4), stageSHA: took(1), stageSeal: took(0.7), stageSealed: took(1), stageName: took(0.1), stageOpen: took(0.8)},
		push:    map[string]spent{pushPlain: took(4)}, pull: took(2), disk: took(4), direct: took(2),
	}
	return &report{
		machine: machine{Cores: 2, Flags: []string{"sha_ni"}, System: "linux/amd64", Go: "go1.26.8", Versions: []string{"restic 0", "versitygw 1"}},
		rounds:  3, sets: []*dataset{set}, stages: []*round{stages},
		ratios: []ratio{{&dataset{name: "real u8", what: "made | up", bytes: 100}, 70}},
		rows: []row{
			{tool: "aivault", op: pushing, set: set, runs: runs(1e9, 4, 2, 3), stored: 670e6},
			{tool: "aivault", op: pulling, set: set, runs: runs(1e9, 1, 1, 1)},
			{tool: "restic", op: pushing, set: set, runs: runs(1e9, 8, 12, 6), stored: 1001e6},
			{tool: "SHA-256", op: pushing, set: set, runs: runs(1e9, 1, 1, 1), limit: true, hashes: true},
		},
	}
}

func TestComparisonShowsMediansAndExtremes(t *testing.T) {
	r := fixed()
	want := `|  |  | wall s | MB/s (least – most) | CPU s | SU | memory MiB | stored MB | of raw |
|---|---|---|---|---|---|---|---|---|
| aivault | push | 3.00 | 333 (250 – 500) | 6.00 | 0.17 | 300 | 670 | 0.670 |
| aivault | pull | 1.00 | 1000 (1000 – 1000) | 2.00 | 0.50 | 300 | – | – |
| restic | push | 8.00 | 125 (83 – 167) | 16.00 | 0.06 | 300 | 1001 | 1.001 |
| *SHA-256* | hash | 1.00 | 1000 (1000 – 1000) | 2.00 | 0.50 | 300 | – | – |
`
	if got := r.comparison(r.sets[0]); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTargetsAreJudged(t *testing.T) {
	r := fixed()
	for what, want := range map[string]string{
		"push, encoding off, to a store that keeps nothing":         "| ≥ 0.37 SU per core | 0.25 SU per core | **missed** |",
		"the same, of what the sum of its stages would allow":       "| ≥ 95 % | 85 % | **missed** |", // 3.4 of 4 seconds
		"pull, verified, memory to memory":                          "| ≥ 0.45 SU per core | 0.50 SU per core | met |",
		"pull to disk, of the speed of writing past the page cache": "| ≥ 0.60 × | 0.50 × | **missed** |",
		"push over S3, against restic":                              "| ≥ 3.00 × | 2.00 × | **missed** |", // of 2, 6 and 2, not of medians
		"pull over S3, against restic":                              "| ≥ 1.75 × | – | not measured |",
		"bf16 coder, encoding":                                      "| ≥ 1.05 SU per core | – | not measured |",
		"stored, of raw: bf16":                                      "| ≤ 0.6700 | 0.6700 | met |",
		"stored, of raw: real u8":                                   "| ≤ 0.7500 | 0.7000 | met |",
		"stored, of raw: real f32":                                  "| ≤ 0.8400 | – | not measured |",
		"memory of push and pull":                                   "| ≤ 512 MiB | 300 MiB | met |",
	} {
		if line := "| " + what + " " + want + "\n"; !strings.Contains(r.targetTable(), line) {
			t.Errorf("no line %sin\n%s", line, r.targetTable())
		}
	}
	if got := r.missedOps(); !slices.Equal(got, []string{pushing, toDisk}) {
		t.Errorf("profiles of %v, want of what misses its target", got)
	}
}

func TestTablesKeepTheirColumns(t *testing.T) {
	if got := fixed().ratioTable(); !strings.Contains(got, "| bf16 | Made up | 1000.0 | 0.6556 | 0.6700 |\n| real u8 | made \\| up | 0.0 | – | 0.7000 |\n") {
		t.Error(got)
	}
	for _, line := range []string{"| SHA-256 of the file | 1000 | 1.00 | × | × |", "| open (age) | 1250 | 1.25 |  | × |", "| **push, encoding off**, to nowhere | 250 | 0.25 |  |  |"} {
		if got := fixed().stageTable(); !strings.Contains(got, line+"\n") {
			t.Errorf("no line %s in\n%s", line, got)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, v := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(v.of); got != v.want {
			t.Errorf("median of %v: %v, want %v", v.of, got, v.want)
		}
	}
}

func TestDocumentHasEverything(t *testing.T) {
	got, err := fixed().document("performance.svg", true, []top{{pushing, "      flat  flat%\n"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"![How fast aivault and its peers push and pull](performance.svg)", "3 rounds on 2 cores (sha_ni), linux/amd64, go1.26.8", "restic 0, versitygw 1",
		"in memory (tmpfs)", "(1000 MB/s here)", "## bf16: 954 MiB", "### push\n\n```\n      flat  flat%\n```\n", fixed().targetTable(), fixed().stageTable()} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
	if strings.Contains(got, "<no value>") || strings.HasSuffix(got, "\n\n") {
		t.Error(got)
	}
}
