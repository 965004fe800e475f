package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

func pullCommand() *command {
	return &command{
		name: "pull", args: "REF DEST", usage: "copy a version into a directory, verified",
		about:   "REF is ARTEFACT (what its channel main points to), ARTEFACT@vN, ARTEFACT@sha256:DIGEST, ARTEFACT@latest or ARTEFACT:CHANNEL. Files appear only once they are verified. What DEST holds already is not fetched again; files there that differ are left alone, and that is an error, unless --force says to replace them.",
		example: "aivault pull fraud-detector ./serving\naivault pull team/fraud-detector@v7 ./serving --include '*.safetensors' --force\naivault pull aivault://lab/team/fraud-detector:prod /models",
		flags: flagList(
			listFlag("include", "GLOB", "only what matches; ** stands for any number of directories; may be repeated"),
			listFlag("exclude", "GLOB", "not what matches; may be repeated"),
			boolFlag("force", "replace files that differ"),
		),
		json: pullJSON{},
		run:  runPull,
	}
}

type pullJSON struct {
	Schema    string `json:"schema"`
	Changed   bool   `json:"changed"`
	Freshness string `json:"freshness"`
	Artefact  string `json:"artefact"`
	Version   int    `json:"version"`
	Ref       string `json:"ref"`
	Digest    string `json:"digest"`
	Dest      string `json:"dest"`
	Files     int64  `json:"files"`
	Bytes     int64  `json:"bytes"`
	Kept      int64  `json:"kept_bytes"`
	Head      string `json:"head"`
}

func runPull(ctx context.Context, c *call) error {
	addressed, ref, err := naming.ParseRef(c.args[0])
	if err != nil {
		return err
	}
	v, err := c.openShowing(ctx, addressed, "pull "+ref.String())
	if err != nil {
		return err
	}
	res, err := v.Pull(ctx, ref, c.args[1], vault.PullOptions{
		Include: c.flags.StringSlice("include"), Exclude: c.flags.StringSlice("exclude"), Force: c.flags.Bool("force"),
	})
	if err != nil {
		return err
	}
	object := pullJSON{c.out.schema(), res.Changed, res.Freshness, res.Artefact, res.Version, fmt.Sprintf("%s@v%d", res.Artefact, res.Version),
		"sha256:" + res.Digest.String(), c.args[1], res.Files, res.Bytes, res.Kept, res.Head.String()}
	err = c.out.result(object, object.Ref, func(w io.Writer) {
		fmt.Fprintf(w, "%s  %s\n", printable(object.Ref), object.Digest)
		fmt.Fprintf(w, "%s, %s in %s, verified; %s of them were there\n", plural(int(res.Files), "file"), bytesText(res.Bytes), printable(c.args[1]), bytesText(res.Kept))
	})
	if err == nil && !res.Changed {
		err = c.unchanged()
	}
	return err
}
