package scan_test

import (
	"strings"
	"testing"

	"github.com/aivault/aivault/vault/scan"
)

func TestFindingCheck(t *testing.T) {
	good := scan.Finding{Path: "weights/model.pkl", Rule: "pickle", Severity: scan.Danger, Message: "runs code when it is loaded"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*scan.Finding){
		"no path":            func(f *scan.Finding) { f.Path = "" },
		"the directory":      func(f *scan.Finding) { f.Path = "." },
		"absolute":           func(f *scan.Finding) { f.Path = "/etc/passwd" },
		"outside":            func(f *scan.Finding) { f.Path = "../x" },
		"roundabout":         func(f *scan.Finding) { f.Path = "a/../b" },
		"long":               func(f *scan.Finding) { f.Path = strings.Repeat("a", scan.MaxPath+1) },
		"no rule":            func(f *scan.Finding) { f.Rule = "" },
		"no severity":        func(f *scan.Finding) { f.Severity = 0 },
		"unknown severity":   func(f *scan.Finding) { f.Severity = 4 },
		"message of lines":   func(f *scan.Finding) { f.Message = "a\nb" },
		"message not UTF-8":  func(f *scan.Finding) { f.Message = "\xff" },
		"message too long":   func(f *scan.Finding) { f.Message = strings.Repeat("a", scan.MaxText+1) },
		"rule with controls": func(f *scan.Finding) { f.Rule = "\x1b[2J" },
	} {
		f := good
		change(&f)
		if f.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestReportCheck(t *testing.T) {
	warning := scan.Finding{Path: "a", Rule: "unknown", Severity: scan.Warning}
	note := scan.Finding{Path: "a", Rule: "big", Severity: scan.Note}
	for _, c := range []struct {
		name  string
		r     scan.Report
		files int64
		ok    bool
	}{
		{"nothing", scan.Report{}, 0, true},
		{"all clean", scan.Report{Examined: 2}, 2, true},
		{"one not understood, and so it says", scan.Report{Examined: 1, Findings: []scan.Finding{warning}}, 2, true},
		{"one passed over", scan.Report{Examined: 1}, 2, false},
		{"one passed over, with a note", scan.Report{Examined: 1, Findings: []scan.Finding{note}}, 2, false},
		{"two passed over, one named twice", scan.Report{Findings: []scan.Finding{warning, warning}}, 2, false},
		{"more than there are", scan.Report{Examined: 3}, 2, false},
		{"fewer than none", scan.Report{Examined: -1}, 2, false},
		{"a finding that is none", scan.Report{Examined: 1, Findings: []scan.Finding{{}}}, 1, false},
		{"too many findings", scan.Report{Examined: 1, Findings: make([]scan.Finding, scan.MaxFindings+1)}, 1, false},
	} {
		if err := c.r.Check(c.files); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	r := scan.Report{Findings: []scan.Finding{note, {Path: "b", Rule: "x", Severity: scan.Danger}, warning}}
	if r.Worst() != scan.Danger || (&scan.Report{}).Worst() != 0 {
		t.Errorf("worst: %s", r.Worst())
	}
}
