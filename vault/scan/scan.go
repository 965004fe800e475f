// Package scan is the contract of scanners, which look at the files of a version
// and report what is dangerous in them. A scanner is no sandbox for what it looks
// at, and its verdict is an opinion; what it could not read is never clean.
package scan

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxFindings is the most that a report may have. A scanner with more to say
	// ends with one finding that says so, of the gravest severity among the rest.
	MaxFindings = 10_000
	// MaxText is the longest text of a profile or finding, in bytes.
	MaxText = 1024
	// MaxPath is the longest path of a finding, in bytes.
	MaxPath = 4096
)

// ErrFailed marks a scan that came to no result: nothing is known of the files.
var ErrFailed = errors.New("the scan failed")

// Severity is how grave a finding is. The numbers cross the plugin wire.
type Severity int

const (
	Note    Severity = 1 // worth knowing
	Warning Severity = 2 // somebody should look: a file that was not understood, at the least
	Danger  Severity = 3 // it must not be used: code that runs when the file is loaded, known malware
)

func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	case Danger:
		return "danger"
	}
	return fmt.Sprintf("severity %d", int(s))
}

// Profile says what scans.
type Profile struct {
	Name    string // "clamav"
	Version string // of the program
	Rules   string // which rules, signatures or database, and of when; "" if they are the program's own
}

// Finding is what a scanner has to say of a file.
type Finding struct {
	Path     string   // relative to the directory, with slashes
	Rule     string   // the scanner's own lasting name for it, "pickle-reduce"
	Severity Severity // Note, Warning or Danger
	Message  string   // one line for people
}

// Report is the result of a scan.
type Report struct {
	// Examined counts the regular files that were read as a whole and understood. A
	// file that is not among them has a finding of at least Warning.
	Examined int64
	Findings []Finding
}

// Worst is the gravest severity found, 0 if nothing was.
func (r *Report) Worst() Severity {
	var worst Severity
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

// Scanner is the contract. All methods are safe for concurrent use, and return
// soon after their context has ended, with its error.
type Scanner interface {
	Profile(ctx context.Context) (Profile, error)
	// Scan looks at every regular file below dir, an absolute path, and changes
	// nothing there. It follows no link, opens nothing outside of dir, and judges a
	// file by its content, not by its name. Errors wrap ErrFailed.
	Scan(ctx context.Context, dir string) (*Report, error)
}

// Check refuses a profile that is none.
func (p Profile) Check() error {
	if p.Name == "" || p.Version == "" {
		return errors.New("a scanner's profile has a name and a version")
	}
	return errors.Join(checkText("name", p.Name), checkText("version", p.Version), checkText("rules", p.Rules))
}

// Check refuses a finding that is none.
func (f Finding) Check() error {
	if len(f.Path) > MaxPath || f.Path == "" || path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "." || f.Path == ".." || strings.HasPrefix(f.Path, "../") {
		return fmt.Errorf("a finding about %q, which is no path within the directory", f.Path)
	}
	if f.Rule == "" || f.Severity < Note || f.Severity > Danger {
		return fmt.Errorf("a finding about %q without a rule, or of %s", f.Path, f.Severity)
	}
	return errors.Join(checkText("rule", f.Rule), checkText("message", f.Message))
}

// Check refuses a report that no scan of so many files can have.
func (r *Report) Check(files int64) error {
	if r.Examined < 0 || r.Examined > files {
		return fmt.Errorf("%d files examined of %d", r.Examined, files)
	}
	if len(r.Findings) > MaxFindings {
		return fmt.Errorf("%d findings", len(r.Findings))
	}
	grave := map[string]bool{}
	for _, f := range r.Findings {
		if err := f.Check(); err != nil {
			return err
		}
		if f.Severity >= Warning {
			grave[f.Path] = true
		}
	}
	if missed := files - r.Examined; int64(len(grave)) < min(missed, MaxFindings) {
		return fmt.Errorf("%d files were not examined, and findings name %d", missed, len(grave))
	}
	return nil
}

// checkText refuses what is not one printable line.
func checkText(what, s string) error {
	if len(s) > MaxText || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("its %s is not one printable line of at most %d bytes", what, MaxText)
	}
	return nil
}
