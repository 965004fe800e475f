package scantest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/aivault/aivault/vault/scan"
	"github.com/aivault/aivault/vault/scan/scantest"
)

func TestDouble(t *testing.T) {
	scantest.Run(t, scantest.Double{Judge: func(path string, content []byte) []scan.Finding {
		if len(content) == 0 {
			return []scan.Finding{{Path: path, Rule: "empty", Severity: scan.Note, Message: "nothing in it"}}
		}
		return nil
	}})
}

// wrong is a scanner that breaks a rule.
type wrong struct {
	scantest.Double
	scan    func(ctx context.Context, s scantest.Double, dir string) (*scan.Report, error)
	profile func() scan.Profile
}

func (w wrong) Scan(ctx context.Context, dir string) (*scan.Report, error) {
	if w.scan == nil {
		return w.Double.Scan(ctx, dir)
	}
	return w.scan(ctx, w.Double, dir)
}

func (w wrong) Profile(ctx context.Context) (scan.Profile, error) {
	if w.profile == nil {
		return w.Double.Profile(ctx)
	}
	return w.profile(), nil
}

// TestEachRuleCanFail breaks every rule once.
func TestEachRuleCanFail(t *testing.T) {
	var calls atomic.Int64
	after := func(change func(dir string, r *scan.Report) error) wrong {
		return wrong{scan: func(ctx context.Context, s scantest.Double, dir string) (*scan.Report, error) {
			r, err := s.Scan(ctx, dir)
			if err == nil {
				err = change(dir, r)
			}
			return r, err
		}}
	}
	finds := func(path string) wrong {
		return after(func(_ string, r *scan.Report) error {
			r.Findings = append(r.Findings, scan.Finding{Path: path, Rule: "r", Severity: scan.Note})
			return nil
		})
	}
	forgets := after(func(_ string, r *scan.Report) error { r.Examined = max(0, r.Examined-1); return nil })
	breaks := map[string]wrong{
		"profile":   {profile: func() scan.Profile { return scan.Profile{Name: "nameless"} }},
		"nothing":   finds("empty"),
		"account":   forgets,
		"names":     forgets,
		"broken":    after(func(string, *scan.Report) error { return errors.New("cannot parse it") }),
		"links":     finds("away/config.json/"),
		"untouched": after(func(dir string, _ *scan.Report) error { return os.WriteFile(filepath.Join(dir, "cache"), nil, 0o644) }),
		"unreadable": {scan: func(ctx context.Context, s scantest.Double, dir string) (*scan.Report, error) {
			return &scan.Report{Examined: 1}, nil
		}},
		"repeatable": after(func(_ string, r *scan.Report) error {
			if calls.Add(1) > 1 {
				r.Findings = append(r.Findings, scan.Finding{Path: "README.md", Rule: "late", Severity: scan.Note})
			}
			return nil
		}),
		"missing": {scan: func(ctx context.Context, s scantest.Double, dir string) (*scan.Report, error) {
			if r, err := s.Scan(ctx, dir); !errors.Is(err, scan.ErrFailed) {
				return r, err
			}
			return &scan.Report{}, nil
		}},
		"cancelled": {scan: func(_ context.Context, s scantest.Double, dir string) (*scan.Report, error) {
			return s.Scan(context.Background(), dir)
		}},
	}
	for _, c := range scantest.Checks() {
		w, ok := breaks[c.Name]
		if !ok {
			t.Errorf("%s: nothing breaks it", c.Name)
			continue
		}
		if err := c.Run(t.Context(), w, t.TempDir()); err == nil {
			t.Errorf("%s: not found out", c.Name)
		}
	}
	if len(breaks) != len(scantest.Checks()) {
		t.Errorf("%d rules are broken, there are %d", len(breaks), len(scantest.Checks()))
	}
}
