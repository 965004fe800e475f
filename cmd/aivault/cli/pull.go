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
		about:   "REF is ARTEFACT (what its channel main points to), ARTEFACT@vN, ARTEFACT@sha256:DIGEST, ARTEFACT@latest or ARTEFACT:CHANNEL. Files appear only once they are verified. What DEST holds already, under the same name or another, whole or in part, is not fetched again.\n\nIf DEST holds another version of the artefact, put there by earlier pulls, the new tree is built beside it and exchanged with it at once: whatever happens, DEST is the one or the other, whole. What no pull has put, or somebody has changed since, is never replaced or removed: that is an error, unless --force says otherwise. A directory that held something before the first pull, or several artefacts, is not exchanged: files are added to it, and with --force replaced one by one. What was pulled stands, without names, in a file .aivault-record-… beside DEST.\n\nA mount point cannot be exchanged. With --link DEST is a link, which is switched from one tree beside it to the next.\n\nOf a system, DEST gets its own files and each part in a directory of its name: one tree, exchanged as one.",
		example: "aivault pull fraud-detector ./serving\naivault pull team/fraud-detector@v7 ./serving --include '*.safetensors' --force\naivault pull team/fraud-detector ./out --tensor model.embed_tokens.weight --tensor '*.bias'\naivault pull aivault://lab/team/fraud-detector:prod /models/current --link --exec-after 'systemctl reload serving'",
		flags: flagList(
			listFlag("include", "GLOB", "only what matches; ** stands for any number of directories; may be repeated"),
			listFlag("exclude", "GLOB", "not what matches; may be repeated"),
			listFlag("tensor", "NAME", "these tensors alone, as DEST/tensors.safetensors; * stands for anything; with --include and --exclude only those of the files that are selected; may be repeated"),
			boolFlag("force", "replace and remove also what no pull has put"),
			boolFlag("link", "make DEST a link to a tree beside it, and switch it to the new one at once"),
			textFlag("exec-before", "CMD", "what sh runs before DEST changes, if it does; unless it succeeds nothing is changed; it finds AIVAULT_REF, AIVAULT_DIGEST and AIVAULT_DEST, and where whole trees are exchanged AIVAULT_OLD and AIVAULT_NEW, where they stand"),
			textFlag("exec-after", "CMD", "what sh runs after DEST has changed, with the same variables; AIVAULT_OLD is removed afterwards; if it fails, so does aivault, and DEST stays as it is now"),
			boolFlag("forensic", "read a version in quarantine, as aivault quarantine permit has allowed you to; it always leaves a receipt"),
			listFlag("label", "NAME=VALUE", "a label for the receipt, such as a pod or a job; may be repeated"),
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
	Reused    int64  `json:"reused_bytes"`
	Fetched   int64  `json:"fetched_bytes"`
	Swapped   bool   `json:"swapped"`
	Receipt   string `json:"receipt"`
	Head      string `json:"head"`

	Parts []partJSON `json:"parts,omitempty"` // of a system
}

func runPull(ctx context.Context, c *call) error {
	addressed, ref, err := naming.ParseRef(c.args[0])
	if err != nil {
		return err
	}
	labels, err := parseLabels(c.flags.StringSlice("label"))
	if err != nil {
		return err
	}
	if len(c.flags.StringSlice("tensor")) > 0 && (c.flags.Bool("link") || c.flags.String("exec-before") != "" || c.flags.String("exec-after") != "") {
		return usage("--tensor writes one file: it goes with neither --link nor --exec-before or --exec-after")
	}
	v, err := c.openShowing(ctx, addressed, "pull "+ref.String())
	if err != nil {
		return err
	}
	res, err := v.Pull(ctx, ref, c.args[1], vault.PullOptions{
		Include: c.flags.StringSlice("include"), Exclude: c.flags.StringSlice("exclude"), Force: c.flags.Bool("force"), Link: c.flags.Bool("link"), Labels: labels,
		Before: c.hook("exec-before"), After: c.hook("exec-after"),
		Tensors: c.flags.StringSlice("tensor"), Forensic: c.flags.Bool("forensic"),
	})
	if err != nil {
		return err
	}
	object := pullJSON{c.out.schema(), res.Changed, res.Freshness, res.Artefact, res.Version, fmt.Sprintf("%s@v%d", res.Artefact, res.Version),
		"sha256:" + res.Digest.String(), c.args[1], res.Files, res.Bytes, res.Kept, res.Reused, res.Fetched, res.Swapped, res.Receipt, res.Head.String(), partObjects(res.Parts)}
	err = c.out.result(object, object.Ref, func(w io.Writer) {
		fmt.Fprintf(w, "%s  %s\n", printable(object.Ref), object.Digest)
		for _, p := range object.Parts {
			fmt.Fprintf(w, "  %s  %s  %s\n", printable(p.Name), printable(p.Ref), p.Digest)
		}
		fmt.Fprintf(w, "%s, %s in %s, verified; %s of them were there, %s were reused; %s fetched\n",
			plural(int(res.Files), "file"), bytesText(res.Bytes), printable(c.args[1]), bytesText(res.Kept), bytesText(res.Reused), bytesText(res.Fetched))
		if res.Swapped {
			fmt.Fprintln(w, "the new tree took the place of the one before at once")
		}
	})
	if res.Receipt == vault.ReceiptFailed {
		c.log.Warn("no receipt of this pull could be left; policy does not require one")
	}
	if err == nil && !res.Changed {
		err = c.unchanged()
	}
	return err
}
