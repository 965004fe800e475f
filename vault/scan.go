package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/scan"
	"github.com/aivault/aivault/vault/state"
)

// scanReportFormat is that of the document which is kept with scan evidence.
const scanReportFormat = "aivault-scan-report/1"

// ScanOptions says how to scan.
type ScanOptions struct {
	Name     string           // of the evidence; "" is the scanner's own
	Digest   canonical.Digest // of the scanner's binary, for the report; zero: not known
	Expires  time.Time        // the evidence counts before then; zero: for ever
	Timeout  time.Duration    // the scanner has so long; must be positive
	NoReport bool             // keep no document: it takes who may push there
}

// ScanResult is a scan that is on record.
type ScanResult struct {
	*AttestResult
	Name    string
	Result  string // state.Pass, Warn or Fail
	Scanner scan.Profile
	Files   int64
	Report  *scan.Report
}

// scanReport is the document: what scanned what, and what was found. It outlives the
// version, whose file names do not: neither do they stand here, nor messages, which
// may quote them or content.
type scanReport struct {
	Format   string           `json:"format"`
	Digest   canonical.Digest `json:"digest"` // of the version
	Time     entry.Time       `json:"time"`
	Scanner  scannerJSON      `json:"scanner"`
	Files    int64            `json:"files"`
	Examined int64            `json:"examined"`
	Result   string           `json:"result"`
	Findings []findingJSON    `json:"findings"`
}

type scannerJSON struct {
	Name    string            `json:"name"`
	Version string            `json:"version"`
	Rules   string            `json:"rules,omitempty"`
	SHA256  *canonical.Digest `json:"sha256,omitempty"`
}

type findingJSON struct {
	File     int    `json:"file"` // which one, from 1, in bytewise order of the paths; 0: none of them
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
}

// Scan pulls a version into dir, an empty directory that the caller removes
// afterwards, has it scanned there, and records the result as evidence of type
// scan: fail if anything is a danger, warn if anything is a warning or was not
// examined, else pass. A scan that comes to no result leaves no evidence.
//
// Errors: scan.ErrFailed, also for a report that cannot be right; those of Pull
// and Attest.
func (v *Vault) Scan(ctx context.Context, ref Ref, s scan.Scanner, dir string, o ScanOptions) (*ScanResult, error) {
	_, a, err := v.foldTo(ctx, ref.Artefact, state.KindAttest)
	if err != nil {
		return nil, err
	}
	cv, err := find(a, ref)
	if err != nil {
		return nil, err
	}
	res := &ScanResult{Name: o.Name}
	if res.Scanner, err = s.Profile(ctx); err != nil {
		return nil, err
	}
	if res.Name == "" {
		res.Name = res.Scanner.Name
	}
	if err := (&state.Attest{Type: state.Scan, Name: res.Name, Result: state.Pass}).Check(); err != nil {
		return nil, err // before anything is pulled
	}
	exact := Ref{Artefact: a.Name, Number: cv.Number}
	content := filepath.Join(dir, "content")
	pulled, err := v.Pull(ctx, exact, content, PullOptions{Labels: map[string]string{"scan": res.Name}})
	if err != nil {
		return nil, err
	}
	if res.Report, err = scanWithin(ctx, s, content, o.Timeout); err != nil {
		return nil, fmt.Errorf("scanning %s with %s: %w", cv.Ref(a.Name), res.Name, err)
	}
	res.Files = pulled.Files
	if err := res.Report.Check(res.Files); err != nil {
		return nil, fmt.Errorf("scanning %s with %s: %w: its report cannot be right: %w", cv.Ref(a.Name), res.Name, scan.ErrFailed, err)
	}
	res.Result = verdict(res.Report, res.Files)
	attest := AttestOptions{Type: state.Scan, Name: res.Name, Result: res.Result, Expires: o.Expires}
	if !o.NoReport {
		attest.File = filepath.Join(dir, "scan-report.json")
		if err := v.writeScanReport(attest.File, content, cv.Digest, res, o.Digest); err != nil {
			return nil, err
		}
	}
	res.AttestResult, err = v.Attest(ctx, exact, attest)
	return res, err
}

// scanWithin ends a scan that takes longer than it may.
func scanWithin(ctx context.Context, s scan.Scanner, dir string, most time.Duration) (*scan.Report, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	r, err := s.Scan(limited, dir)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: it took longer than %s", scan.ErrFailed, most)
	}
	return r, err
}

// verdict is what a report says of a version of so many files.
func verdict(r *scan.Report, files int64) string {
	switch worst := r.Worst(); {
	case worst == scan.Danger:
		return state.Fail
	case worst == scan.Warning, r.Examined < files:
		return state.Warn
	}
	return state.Pass
}

// filesIn numbers the regular files below dir, in bytewise order of their paths.
func filesIn(dir string) (map[string]int, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var rel string
			if rel, err = filepath.Rel(dir, p); err == nil {
				paths = append(paths, filepath.ToSlash(rel))
			}
		}
		return err
	})
	slices.Sort(paths)
	out := make(map[string]int, len(paths))
	for i, p := range paths {
		out[p] = i + 1
	}
	return out, err
}

func (v *Vault) writeScanReport(file, content string, digest canonical.Digest, res *ScanResult, scanner canonical.Digest) error {
	doc := scanReport{Format: scanReportFormat, Digest: digest, Time: entry.At(v.config.Now()), Files: res.Files, Examined: res.Report.Examined,
		Result: res.Result, Scanner: scannerJSON{Name: res.Scanner.Name, Version: res.Scanner.Version, Rules: res.Scanner.Rules}, Findings: []findingJSON{}}
	if !scanner.IsZero() {
		doc.Scanner.SHA256 = &scanner
	}
	number, err := filesIn(content)
	if err != nil {
		return fmt.Errorf("numbering what was scanned: %w", err)
	}
	for _, f := range res.Report.Findings {
		doc.Findings = append(doc.Findings, findingJSON{File: number[f.Path], Rule: f.Rule, Severity: f.Severity.String()})
	}
	b, err := canonical.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encoding the scan's report: %w", err)
	}
	return os.WriteFile(file, b, 0o600)
}
