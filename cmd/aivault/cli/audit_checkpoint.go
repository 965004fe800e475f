package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aivault/aivault/vault"
)

func auditCheckpointCommand() *command {
	return &command{
		name: "checkpoint", usage: "bind all that happened, for a witness to cosign",
		about: "Writes one entry that binds the head of every journal, and with --out a file for a witness: a C2SP checkpoint, a proof that it continues an older one, and hashes. The file names no artefact and nobody. The witness runs aivault audit cosign on it, on any machine; --merge takes it back. From then on, whoever trusts the witness (--witness, or policy) notices if anything before it is hidden or rewritten, and results say freshness: witnessed.\n\n" +
			"For operators, custodians, runners, auditors and admins; a scheduler can do it daily.",
		example: "aivault audit checkpoint --out checkpoint.json\naivault audit checkpoint --merge checkpoint.json --witness witness.example/1+09804adb+BCiZ…",
		flags: flagList(
			textFlag("out", "FILE", "write what a witness needs; - for standard output"),
			textFlag("since", "SIZE", "begin the file at the checkpoint of so many entries, which the witness has cosigned; 0: at the beginning; without it, at the newest that anybody has cosigned"),
			textFlag("merge", "FILE", "take back a file that a witness has cosigned"),
		),
		json: checkpointJSON{},
		run:  runCheckpoint,
	}
}

type checkpointJSON struct {
	Schema       string            `json:"schema"`
	Changed      bool              `json:"changed"`
	Freshness    string            `json:"freshness"`
	Genesis      string            `json:"genesis"`
	Size         uint64            `json:"size"`
	Root         string            `json:"root"`
	Journals     int               `json:"journals,omitempty"`
	Added        uint64            `json:"added,omitempty"`
	Time         *time.Time        `json:"time,omitempty"`
	Since        *uint64           `json:"since,omitempty"`
	File         string            `json:"file,omitempty"`
	Head         string            `json:"head,omitempty"`
	Cosignatures []cosignatureJSON `json:"cosignatures"`
}

func runCheckpoint(ctx context.Context, c *call) error {
	out, merge, since := c.flags.String("out"), c.flags.String("merge"), int64(-1)
	switch {
	case merge != "" && (out != "" || c.flags.IsSet("since")):
		return usage("--merge takes a file back; --out and --since make one")
	case c.flags.IsSet("since") && out == "":
		return usage("--since says where the file begins; --out must name it")
	case out == "-" && c.out.json:
		return usage("--out - and --json both write to standard output")
	case c.flags.IsSet("since"):
		n, err := strconv.ParseUint(c.flags.String("since"), 10, 53)
		if err != nil {
			return usage("--since %q is no size: it is a number of entries, as audit checkpoint and audit cosign print it", c.flags.String("since"))
		}
		since = int64(n)
	}
	if merge != "" {
		return mergeCheckpoint(ctx, c, merge)
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	r, err := v.Checkpoint(ctx, since)
	if err != nil {
		return err
	}
	if out != "" {
		if err := c.writeExport(out, r.Export); err != nil {
			return err
		}
	}
	at := r.Time.UTC()
	object := checkpointJSON{Schema: c.out.schema(), Changed: r.Changed, Freshness: r.Freshness, Genesis: r.Checkpoint.Genesis.String(), Size: r.Checkpoint.Size,
		Root: r.Checkpoint.Root.String(), Journals: r.Journals, Added: r.Added, Time: &at, Head: r.Head.String(), Cosignatures: []cosignatureJSON{}}
	if out == "-" {
		return nil
	}
	if out != "" {
		object.File, object.Since = out, &r.Export.Old.Size
	}
	err = c.out.result(object, strconv.FormatUint(object.Size, 10), func(w io.Writer) {
		fmt.Fprintf(w, "checkpoint of %d entries in %s, root %s\n", object.Size, plural(r.Journals, "journal"), object.Root)
		if out != "" {
			fmt.Fprintf(w, "%s begins at %d entries; on the witness's machine: aivault audit cosign %s\n", printable(out), *object.Since, printable(out))
		}
	})
	if err == nil && !r.Changed && out == "" {
		err = c.unchanged()
	}
	return err
}

func mergeCheckpoint(ctx context.Context, c *call, file string) error {
	x, err := c.readExport(file)
	if err != nil {
		return err
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return err
	}
	r, err := v.Merge(ctx, x)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return merged(c, r, file)
}

func merged(c *call, r *vault.MergeResult, file string) error {
	object := checkpointJSON{Schema: c.out.schema(), Changed: r.Changed, Freshness: r.Freshness, Genesis: r.Checkpoint.Genesis.String(), Size: r.Checkpoint.Size,
		Root: r.Checkpoint.Root.String(), File: file, Cosignatures: cosignaturesJSON(r.Cosignatures)}
	err := c.out.result(object, strconv.FormatUint(object.Size, 10), func(w io.Writer) {
		fmt.Fprintf(w, "checkpoint of %d entries\n", object.Size)
		printCosignatures(w, "  ", r.Cosignatures)
	})
	if err == nil && !r.Changed {
		err = c.unchanged()
	}
	return err
}
