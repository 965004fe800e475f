package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/transfer"
)

func diffCommand() *command {
	return &command{
		name: "diff", args: "REF REF", usage: "tell what differs between two versions",
		about:   "File by file, from the first version to the second; weight files that differ, tensor by tensor. It reads the manifests, and of the content only the tensors of which those do not tell. With --exit-code it ends with 4 if nothing differs.",
		example: "aivault diff fraud-detector@v6 fraud-detector\naivault diff fraud-detector:prod fraud-detector@latest --json",
		json:    diffJSON{},
		run:     runDiff,
	}
}

type diffFileJSON struct {
	Path   string    `json:"path"`
	Change string    `json:"change"` // added, removed or changed
	From   *fileSide `json:"from,omitempty"`
	To     *fileSide `json:"to,omitempty"`
}

type fileSide struct {
	Mode   string `json:"mode"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

type diffTensorJSON struct {
	File   string      `json:"file"`
	Name   string      `json:"name"`
	Change string      `json:"change"`
	From   *tensorSide `json:"from,omitempty"`
	To     *tensorSide `json:"to,omitempty"`
}

type tensorSide struct {
	DType string  `json:"dtype"`
	Shape []int64 `json:"shape,omitempty"` // where it is known
	Size  int64   `json:"size"`
}

type diffJSON struct {
	Schema    string           `json:"schema"`
	Differ    bool             `json:"differ"`
	Freshness string           `json:"freshness"`
	From      string           `json:"from"`
	To        string           `json:"to"`
	Files     []diffFileJSON   `json:"files"`
	Tensors   []diffTensorJSON `json:"tensors"`
}

func runDiff(ctx context.Context, c *call) error {
	addressed, from, err := naming.ParseRef(c.args[0])
	if err != nil {
		return err
	}
	other, to, err := naming.ParseRef(c.args[1])
	if err != nil {
		return err
	}
	if addressed != other {
		return usage("both versions must be in one vault")
	}
	v, err := c.open(ctx, addressed)
	if err != nil {
		return err
	}
	d, err := v.Diff(ctx, from, to)
	if err != nil {
		return err
	}
	object := diffJSON{Schema: c.out.schema(), Differ: len(d.Files) > 0, Freshness: d.Freshness, From: refText(d.From), To: refText(d.To),
		Files: []diffFileJSON{}, Tensors: []diffTensorJSON{}}
	for i := range d.Files {
		object.Files = append(object.Files, diffFileOf(&d.Files[i]))
	}
	for i := range d.Tensors {
		object.Tensors = append(object.Tensors, diffTensorOf(&d.Tensors[i]))
	}
	err = c.out.result(object, map[bool]string{true: "differ", false: "same"}[object.Differ], func(w io.Writer) { showDiff(w, object) })
	if err == nil && !object.Differ {
		err = c.unchanged()
	}
	return err
}

func refText(r vault.VersionRef) string { return fmt.Sprintf("%s@v%d", r.Artefact, r.Version) }

func change(from, to bool) string {
	switch {
	case !from:
		return "added"
	case !to:
		return "removed"
	}
	return "changed"
}

func diffFileOf(d *transfer.FileDifference) diffFileJSON {
	side := func(e *manifest.Entry) *fileSide {
		if e == nil {
			return nil
		}
		return &fileSide{string(e.Mode), e.Size, e.SHA256.String()}
	}
	return diffFileJSON{d.Path(), change(d.From != nil, d.To != nil), side(d.From), side(d.To)}
}

func diffTensorOf(d *transfer.TensorDifference) diffTensorJSON {
	side := func(t *manifest.Tensor) *tensorSide {
		if t == nil {
			return nil
		}
		return &tensorSide{t.DType, t.Shape, t.Size}
	}
	t := d.Tensor()
	return diffTensorJSON{t.File, t.Name, change(d.From != nil, d.To != nil), side(d.From), side(d.To)}
}

// showDiff writes differences for people: files, and below each its tensors.
func showDiff(w io.Writer, o diffJSON) {
	if !o.Differ {
		fmt.Fprintf(w, "%s and %s hold the same files\n", printable(o.From), printable(o.To))
		return
	}
	tensors := map[string][]diffTensorJSON{}
	for _, t := range o.Tensors {
		tensors[t.File] = append(tensors[t.File], t)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range o.Files {
		var what []string
		if f.From != nil && f.To != nil && f.From.Mode != f.To.Mode {
			what = append(what, f.From.Mode+" → "+f.To.Mode)
		}
		switch {
		case f.From == nil:
			what = append(what, bytesText(f.To.Size))
		case f.To == nil:
			what = append(what, bytesText(f.From.Size))
		case f.From.Size != f.To.Size:
			what = append(what, bytesText(f.From.Size)+" → "+bytesText(f.To.Size))
		}
		writeRow(t, []string{f.Change, f.Path, strings.Join(what, ", ")})
		for _, x := range tensors[f.Path] {
			writeRow(t, []string{"  " + x.Change, "  " + x.Name, tensorChange(x)})
		}
	}
	t.Flush()
	verb := "differ"
	if len(o.Files) == 1 {
		verb = "differs"
	}
	fmt.Fprintf(w, "%s → %s: %s %s", printable(o.From), printable(o.To), plural(len(o.Files), "file"), verb)
	if len(o.Tensors) > 0 {
		fmt.Fprintf(w, ", %s", plural(len(o.Tensors), "tensor"))
	}
	fmt.Fprintln(w)
}

func tensorChange(x diffTensorJSON) string {
	text := func(s *tensorSide) string {
		if s.Shape == nil {
			return fmt.Sprintf("%s, %s", s.DType, bytesText(s.Size))
		}
		return fmt.Sprintf("%s %v", s.DType, s.Shape)
	}
	switch {
	case x.From == nil:
		return text(x.To)
	case x.To == nil:
		return text(x.From)
	case text(x.From) != text(x.To):
		return text(x.From) + " → " + text(x.To)
	}
	return text(x.To)
}
