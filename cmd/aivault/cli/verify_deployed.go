package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

// errDeployed says that a directory is not what it should be.
var errDeployed = errors.New("what is deployed is not what the vault has")

// maxDiscrepancies bounds what is printed for people; --json has all.
const maxDiscrepancies = 100

type discrepancyJSON struct {
	Path string `json:"path"`
	What string `json:"what"` // changed, missing, extra, mode, kind or unreadable
	Why  string `json:"why,omitempty"`
}

// verifyDeployed holds a directory against a version.
func verifyDeployed(ctx context.Context, c *call) error {
	dir := c.flags.String("dir")
	if len(c.args) == 0 {
		return usage("--dir needs REF: what should be deployed there")
	}
	if c.flags.Bool("full") || c.flags.Bool("quick") {
		return usage("--dir reads the directory, and of the vault no content: it goes with neither --quick nor --full")
	}
	addressed, ref, err := naming.ParseRef(c.args[0])
	if err != nil {
		return err
	}
	v, err := c.openShowing(ctx, addressed, "verify "+ref.String())
	if err != nil {
		return err
	}
	r, err := v.VerifyDeployed(ctx, ref, dir, vault.DeployedOptions{Include: c.flags.StringSlice("include"), Exclude: c.flags.StringSlice("exclude")})
	if err != nil {
		return err
	}
	object := verifyJSON{Schema: c.out.schema(), Freshness: r.Freshness, OK: len(r.Discrepancies) == 0, Journals: 2, Versions: 1,
		Problems: []problemJSON{}, Unknown: []string{}, Voids: []voidJSON{}, Deployed: &deployedJSON{
			Dir: dir, Ref: fmt.Sprintf("%s@v%d", r.Artefact, r.Version), Digest: "sha256:" + r.Digest.String(), Files: r.Files, Bytes: r.Bytes,
			Discrepancies: []discrepancyJSON{}, Head: r.Head.String()}}
	for _, d := range r.Discrepancies {
		object.Deployed.Discrepancies = append(object.Deployed.Discrepancies, discrepancyJSON{d.Path, d.What, d.Why})
	}
	verdict := map[bool]string{true: "ok", false: "failed"}[object.OK]
	err = c.out.result(object, verdict, func(w io.Writer) { object.Deployed.people(w, verdict) })
	if err == nil && !object.OK {
		return fmt.Errorf("%s against %s: %s: %w", dir, object.Deployed.Ref, plural(len(r.Discrepancies), "difference"), errDeployed)
	}
	return err
}

type deployedJSON struct {
	Dir           string            `json:"dir"`
	Ref           string            `json:"ref"`
	Digest        string            `json:"digest"`
	Files         int64             `json:"files"` // of the version, that should be there
	Bytes         int64             `json:"bytes"`
	Discrepancies []discrepancyJSON `json:"discrepancies"`
	Head          string            `json:"head"`
}

func (o *deployedJSON) people(w io.Writer, verdict string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, d := range o.Discrepancies[:min(len(o.Discrepancies), maxDiscrepancies)] {
		row := []string{d.What, d.Path}
		if d.Why != "" {
			row = append(row, d.Why)
		}
		writeRow(t, row)
	}
	t.Flush()
	if more := len(o.Discrepancies) - maxDiscrepancies; more > 0 {
		fmt.Fprintf(w, "and %d more: --json names them all\n", more)
	}
	fmt.Fprintf(w, "%s of %s, %s, in %s: %s\n", plural(int(o.Files), "file"), printable(o.Ref), bytesText(o.Bytes), printable(o.Dir), verdict)
}
