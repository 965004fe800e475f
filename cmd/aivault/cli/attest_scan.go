package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/scan"
	"github.com/aivault/aivault/vault/state"
)

const (
	defaultScanTimeout = 10 * time.Minute
	defaultScanMemory  = 2_000_000_000 // bytes
	// leastScanMemory is what a process that does nothing yet may need, in bytes.
	leastScanMemory = 256_000_000
	// shownFindings is how many findings are printed to people.
	shownFindings = 20
)

type scanJSON struct {
	Scanner  string        `json:"scanner"`
	Version  string        `json:"version"`
	Rules    string        `json:"rules,omitempty"`
	Files    int64         `json:"files"`
	Examined int64         `json:"examined"`
	Findings []findingJSON `json:"findings"`
}

type findingJSON struct {
	Path     string `json:"path"`
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Message  string `json:"message,omitempty"`
}

// attestByScan has a scanner say what the evidence is.
func (c *call) attestByScan(ctx context.Context) (err error) {
	for _, other := range []string{"result", "file", "metric", "threshold"} {
		if c.flags.IsSet(other) {
			return usage("--%s does not go with --scanner, which finds out", other)
		}
	}
	if t := c.flags.String("type"); t != "" && t != state.Scan {
		return usage("--scanner makes evidence of type scan, not %s", t)
	}
	plugin, err := naming.ParsePlugin(c.flags.String("scanner"))
	if err != nil {
		return usage("--scanner: %w", err)
	}
	o := vault.ScanOptions{Name: c.flags.String("name"), NoReport: c.flags.Bool("no-report"), Timeout: defaultScanTimeout}
	if o.Expires, err = c.when("expires"); err != nil {
		return err
	}
	if text := c.flags.String("scan-timeout"); text != "" {
		if o.Timeout, err = parseDuration(text); err != nil || o.Timeout == 0 {
			return usage("--scan-timeout: %q is no time that a scan can take", text)
		}
	}
	memory := int64(defaultScanMemory)
	if text := c.flags.String("scan-memory"); text != "" {
		if memory, err = parseAmount(text); err != nil || memory < leastScanMemory {
			return usage("--scan-memory: %q is not at least 256M", text)
		}
	}
	dir, err := os.MkdirTemp(c.flags.String("temp-dir"), "aivault-scan-")
	if err != nil {
		return usage("a temporary directory: %w", err)
	}
	defer func() {
		if left := os.RemoveAll(dir); left != nil {
			err = errors.Join(err, fmt.Errorf("plaintext is left in %s: %w", dir, left))
		}
	}()
	v, ref, err := c.openRef(ctx)
	if err != nil {
		return err
	}
	pins, _, err := v.Plugins(ctx)
	if err != nil {
		return err
	}
	run, err := c.pinnedOptions(plugin, pins, false)
	if err != nil {
		return err
	}
	run.Memory = memory
	s, err := host.OpenScanner(ctx, run)
	if err != nil {
		return err
	}
	c.closes(s)
	o.Digest = s.Digest()
	res, err := v.Scan(ctx, ref, s, dir, o)
	if err != nil {
		return err
	}
	return c.printScan(res)
}

func (c *call) printScan(res *vault.ScanResult) error {
	object := attestObject(c.out.schema(), res.AttestResult, vault.AttestOptions{Type: state.Scan, Name: res.Name, Result: res.Result})
	object.Scan = &scanJSON{Scanner: res.Scanner.Name, Version: res.Scanner.Version, Rules: res.Scanner.Rules, Files: res.Files, Examined: res.Report.Examined, Findings: []findingJSON{}}
	for _, f := range res.Report.Findings {
		object.Scan.Findings = append(object.Scan.Findings, findingJSON{printable(f.Path), f.Rule, f.Severity.String(), f.Message})
	}
	return c.out.result(object, object.Ref, func(w io.Writer) {
		writeFindings(w, object.Scan.Findings)
		fmt.Fprintf(w, "%s  scan %s: %s\n", printable(object.Ref), printable(res.Name), res.Result)
		fmt.Fprintf(w, "%s examined of %d, %s\n", plural(int(res.Report.Examined), "file"), res.Files, plural(len(res.Report.Findings), "finding"))
		if object.Document != "" {
			fmt.Fprintf(w, "the report is %s\n", printable(object.Document))
		}
	})
}

// writeFindings prints the gravest findings.
func writeFindings(w io.Writer, all []findingJSON) {
	shown := 0
	for _, severity := range []scan.Severity{scan.Danger, scan.Warning, scan.Note} {
		for _, f := range all {
			if f.Severity != severity.String() || shown == shownFindings {
				continue
			}
			shown++
			fmt.Fprintf(w, "%s  %s: %s (%s)\n", f.Severity, f.Path, f.Message, f.Rule)
		}
	}
	if more := len(all) - shown; more > 0 {
		fmt.Fprintf(w, "and %d more, in --json\n", more)
	}
}
