package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
)

func verifyCommand() *command {
	return &command{
		name: "verify", args: "[REF]", usage: "prove that what is stored is what was written",
		about:   "Without REF the whole vault. Everything is read from storage, nothing from this machine's cache; every journal, signature and hash is checked, and that each object of each version is there. With --full all content is read, opened and hashed too, which needs the right to read it. Exits with 13 if something does not verify, and names it.\n\nWith --dir it compares what is deployed in a directory with REF instead: each file that is changed, missing or extra is named, and each with another mode or that is no file, and the exit code is 13 then too. Files are extra whatever an .aivaultignore there says. Where a pull left files out, give the same --include and --exclude; what they leave out of REF counts as extra in DIR. It reads journals and the manifest, and no content, and makes as few requests as show: let cron run it on serving hosts.",
		example: "aivault verify\naivault verify team/fraud-detector:prod --full\naivault verify team/fraud-detector:prod --dir /models/current --json",
		flags: flagList(
			boolFlag("quick", "do not read content (the default)"),
			boolFlag("full", "read, open and hash every byte of content"),
			textFlag("dir", "DIR", "compare what stands in this directory with REF; it may be a link, as pull --link makes it"),
			listFlag("include", "GLOB", "with --dir: only what matches should be there; may be repeated"),
			listFlag("exclude", "GLOB", "with --dir: what matches should not be there; may be repeated"),
		),
		json: verifyJSON{},
		run:  runVerify,
	}
}

type problemJSON struct {
	Object   string `json:"object,omitempty"`
	Artefact string `json:"artefact,omitempty"`
	Version  string `json:"version,omitempty"`
	File     string `json:"file,omitempty"`
	Why      string `json:"why"`
}

type voidJSON struct {
	Artefact string    `json:"artefact,omitempty"`
	Seq      uint64    `json:"seq"`
	Time     time.Time `json:"time"`
	By       string    `json:"by"`
	Kind     string    `json:"kind"`
	Rule     string    `json:"rule"`
	Why      string    `json:"why"`
}

type verifyJSON struct {
	Schema    string        `json:"schema"`
	Freshness string        `json:"freshness"`
	OK        bool          `json:"ok"`
	Full      bool          `json:"full"`
	Journals  int           `json:"journals"`
	Versions  int           `json:"versions"`
	Objects   int           `json:"objects"`
	Bytes     int64         `json:"bytes"`
	Problems  []problemJSON `json:"problems"`
	Unknown   []string      `json:"unknown"`
	Voids     []voidJSON    `json:"voids"`
	Deployed  *deployedJSON `json:"deployed,omitempty"` // with --dir
}

func runVerify(ctx context.Context, c *call) error {
	if c.flags.IsSet("dir") {
		return verifyDeployed(ctx, c)
	}
	if c.flags.IsSet("include") || c.flags.IsSet("exclude") {
		return usage("--include and --exclude go with --dir")
	}
	full := c.flags.Bool("full")
	if full && c.flags.Bool("quick") {
		return usage("--quick and --full exclude each other")
	}
	o := vault.VerifyOptions{Full: full}
	what, addressed := "the vault", ""
	if len(c.args) > 0 {
		name, ref, err := naming.ParseRef(c.args[0])
		if err != nil {
			return err
		}
		o.Ref, what, addressed = &ref, ref.String(), name
	}
	p, err := c.findVault(addressed)
	if err != nil {
		return err
	}
	config, err := c.config(ctx, p)
	if err != nil {
		return err
	}
	config.Progress = c.showProgress("verify " + what)
	r, err := vault.Verify(ctx, config, o)
	if err != nil {
		return err
	}
	object := verifyJSON{Schema: c.out.schema(), Freshness: r.Freshness, OK: r.OK, Full: full, Journals: r.Journals, Versions: r.Versions,
		Objects: r.Objects, Bytes: r.Bytes, Problems: []problemJSON{}, Unknown: nonNil(r.Unknown), Voids: []voidJSON{}}
	for _, p := range r.Problems {
		object.Problems = append(object.Problems, problemJSON{p.Object, p.Artefact, p.Version, p.File, p.Why})
	}
	for _, v := range r.Voids {
		object.Voids = append(object.Voids, voidJSON{v.Artefact, v.At.Seq, v.Time.UTC(), v.Author, v.Kind, string(v.Rule), v.Why})
	}
	verdict := map[bool]string{true: "ok", false: "failed"}[r.OK]
	err = c.out.result(object, verdict, func(w io.Writer) {
		for _, p := range r.Problems {
			fmt.Fprintf(w, "does not verify: %s: %s\n", printable(problemPlace(p)), printable(p.Why))
		}
		for _, v := range r.Voids {
			journal := "the vault's journal"
			if v.Artefact != "" {
				journal = v.Artefact
			}
			fmt.Fprintf(w, "void: entry %d of %s, %s by %s on %s (%s: %s)\n", v.At.Seq, printable(journal), printable(v.Kind), printable(v.Author), timeText(v.Time.Time), v.Rule, printable(v.Why))
		}
		for _, u := range r.Unknown {
			fmt.Fprintf(w, "belongs to nothing: %s\n", printable(u))
		}
		fmt.Fprintf(w, "%s, %s, %s, %s of content read: %s\n", plural(r.Journals, "journal"), plural(r.Versions, "version"), plural(r.Objects, "object"), bytesText(r.Bytes), verdict)
	})
	if err == nil && !r.OK {
		return hint(fmt.Errorf("%s: %s: %w", what, plural(len(r.Problems), "problem"), vault.ErrIntegrity), "aivault history tells who wrote what, and when")
	}
	return err
}

// problemPlace says where a problem is, as closely as it is known.
func problemPlace(p vault.Problem) string {
	text := p.Artefact
	if p.Version != "" {
		text += "@" + p.Version
	}
	for _, s := range []string{p.File, p.Object} {
		switch {
		case s != "" && text != "":
			text += ", " + s
		case s != "":
			text = s
		}
	}
	return text
}
