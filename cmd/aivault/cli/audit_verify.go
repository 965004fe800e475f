package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/ledger"
)

func auditVerifyCommand() *command {
	return &command{
		name: "verify", args: "[FILE]", usage: "prove the whole trail, or a cosigned checkpoint without the vault",
		about: "Without FILE: reads every object of every journal from storage and checks chains, signatures and copies, that every checkpoint is one of these journals, and what witnesses have cosigned; tells which entries are void, by whom and by which rule, and what was skipped. It opens no content and needs no keeper. --against compares the vault with a file from before: it must be a continuation.\n\n" +
			"With FILE: verifies a checkpoint that a witness has cosigned with nothing but that file and the witness's key: no vault, no network, no identity.",
		example: "aivault audit verify\naivault audit verify --against checkpoint-2026-11.json\naivault audit verify checkpoint.json --witness witness.example/1+09804adb+BCiZ…",
		flags: flagList(
			textFlag("against", "FILE", "a file of audit checkpoint, from before, that the vault must continue"),
		),
		json: auditVerifyJSON{},
		run:  runAuditVerify,
	}
}

type auditVerifyJSON struct {
	Schema      string                `json:"schema"`
	Freshness   string                `json:"freshness"`
	OK          bool                  `json:"ok"`
	Offline     bool                  `json:"offline"`
	Journals    int                   `json:"journals"`
	Entries     int                   `json:"entries"`
	Problems    []problemJSON         `json:"problems"`
	Voids       []auditVoidJSON       `json:"voids"`
	Skips       []auditSkipJSON       `json:"skips"`
	Checkpoints []auditCheckpointJSON `json:"checkpoints"`
	Unknown     []string              `json:"unknown"`
	Heads       []string              `json:"heads,omitempty"` // that the file vouches for, as --pin takes them
}

type auditVoidJSON struct {
	Journal string    `json:"journal"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	By      string    `json:"by"`
	Key     string    `json:"key"`
	Rule    string    `json:"rule"`
	Why     string    `json:"why"`
}

type auditSkipJSON struct {
	Journal string            `json:"journal"`
	Seq     uint64            `json:"seq"`
	Time    time.Time         `json:"time"`
	By      string            `json:"by"`
	Slots   []skippedSlotJSON `json:"slots"`
	Reason  string            `json:"reason"`
}

type skippedSlotJSON struct {
	Seq    uint64 `json:"seq"`
	SHA256 string `json:"sha256"`
}

type auditCheckpointJSON struct {
	Size         uint64            `json:"size"`
	Root         string            `json:"root"`
	Seq          uint64            `json:"seq"`
	By           string            `json:"by,omitempty"`
	Time         time.Time         `json:"time"`
	Cosignatures []cosignatureJSON `json:"cosignatures"`
}

func runAuditVerify(ctx context.Context, c *call) error {
	if len(c.args) > 0 {
		if c.flags.IsSet("against") {
			return usage("--against compares the vault with a file; FILE is verified without the vault")
		}
		return verifyOffline(c, c.args[0])
	}
	var against *checkpoint.Export
	if c.flags.IsSet("against") {
		var err error
		if against, err = c.readExport(c.flags.String("against")); err != nil {
			return err
		}
	}
	p, err := c.findVault("")
	if err != nil {
		return err
	}
	config, err := c.config(ctx, p)
	if err != nil {
		return err
	}
	r, err := vault.AuditVerify(ctx, config, against)
	if err != nil {
		return err
	}
	object := auditVerifyJSON{Schema: c.out.schema(), Freshness: r.Freshness, OK: r.OK, Journals: r.Journals, Entries: r.Entries, Problems: []problemJSON{},
		Voids: []auditVoidJSON{}, Skips: []auditSkipJSON{}, Checkpoints: []auditCheckpointJSON{}, Unknown: nonNil(r.Unknown)}
	for _, p := range r.Problems {
		object.Problems = append(object.Problems, problemJSON{p.Object, p.Artefact, p.Version, p.File, p.Why})
	}
	for _, v := range r.Voids {
		object.Voids = append(object.Voids, auditVoidJSON{v.Journal, v.At.Seq, v.Time.UTC(), v.Kind, v.Author, v.Key.String(), string(v.Rule), v.Why})
	}
	for _, s := range r.Skips {
		j := auditSkipJSON{s.Journal, s.Seq, s.Time.UTC(), s.By, []skippedSlotJSON{}, s.Reason}
		for _, slot := range s.Slots {
			j.Slots = append(j.Slots, skippedSlotJSON{slot.Seq, slot.SHA256.String()})
		}
		object.Skips = append(object.Skips, j)
	}
	for _, k := range r.Checkpoints {
		object.Checkpoints = append(object.Checkpoints, auditCheckpointJSON{k.Size, k.Root.String(), k.Seq, k.By, k.Time.UTC(), cosignaturesJSON(k.Cosignatures)})
	}
	verdict := map[bool]string{true: "ok", false: "failed"}[r.OK]
	err = c.out.result(object, verdict, func(w io.Writer) { printAudit(w, r, verdict) })
	if err != nil || r.OK {
		return err
	}
	kind := vault.ErrIntegrity
	if r.RolledBack {
		kind = vault.ErrRolledBack
	}
	return hint(fmt.Errorf("the trail: %s: %w", plural(len(r.Problems), "problem"), kind), "aivault audit log tells who wrote what, and when")
}

func printAudit(w io.Writer, r *vault.AuditReport, verdict string) {
	for _, p := range r.Problems {
		fmt.Fprintf(w, "does not verify: %s: %s\n", printable(problemPlace(p)), printable(p.Why))
	}
	for _, v := range r.Voids {
		fmt.Fprintf(w, "void: %s entry %d, %s by %s at %s (%s: %s)\n", printable(v.Journal), v.At.Seq, printable(v.Kind), printable(v.Author), timeText(v.Time.Time), v.Rule, printable(v.Why))
	}
	for _, s := range r.Skips {
		fmt.Fprintf(w, "skipped: %s entry %d, %s by %s at %s: %s\n", printable(s.Journal), s.Seq, plural(len(s.Slots), "slot"), printable(s.By), timeText(s.Time), printable(s.Reason))
	}
	for _, u := range r.Unknown {
		fmt.Fprintf(w, "by no known witness: %s\n", printable(u))
	}
	for _, k := range r.Checkpoints {
		fmt.Fprintf(w, "checkpoint of %d entries by %s at %s\n", k.Size, printable(k.By), timeText(k.Time))
		printCosignatures(w, "  ", k.Cosignatures)
	}
	if n := len(r.Checkpoints); n == 0 || len(r.Checkpoints[n-1].Cosignatures) == 0 {
		fmt.Fprintln(w, "the newest entries are not witnessed")
	}
	fmt.Fprintf(w, "%s, %s: %s\n", plural(r.Journals, "journal"), entriesText(r.Entries), verdict)
}

func entriesText(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// verifyOffline verifies a cosigned checkpoint from its file alone.
func verifyOffline(c *call, file string) error {
	if len(c.set.witnesses) == 0 {
		return hint(usage("whose cosignature the file must have is not said"), "name the witness's key with --witness, as aivault audit cosign printed it")
	}
	x, err := c.readExport(file)
	if err != nil {
		return err
	}
	shown, err := x.Verify()
	if err != nil {
		return fmt.Errorf("%s: %w: %v", file, vault.ErrIntegrity, err)
	}
	if err := c.checkGenesis(shown.Checkpoint); err != nil {
		return err
	}
	_, sigs, err := checkpoint.OpenNote(x.Note, c.set.witnesses)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	newest := sigs[0].Time
	for _, s := range sigs {
		if s.Time.After(newest) {
			newest = s.Time
		}
	}
	if limit := c.set.maxStaleness; limit > 0 && c.sys.now().Sub(newest) > limit {
		return fmt.Errorf("%s was cosigned at %s, and a cosignature of the last %s is required: %w", file, timeText(newest), limit, vault.ErrRefused)
	}
	k := shown.Checkpoint
	object := auditVerifyJSON{Schema: c.out.schema(), Freshness: vault.FreshWitnessed, OK: true, Offline: true, Journals: len(shown.Heads.Heads), Entries: int(k.Size),
		Problems: []problemJSON{}, Voids: []auditVoidJSON{}, Skips: []auditSkipJSON{}, Unknown: []string{},
		Checkpoints: []auditCheckpointJSON{{k.Size, k.Root.String(), shown.Entry.Seq, "", shown.Entry.Time.UTC(), cosignaturesJSON(sigs)}}}
	for _, h := range shown.Heads.Heads {
		object.Heads = append(object.Heads, ledger.Pin{Journal: h.Journal, Position: h.Position()}.String())
	}
	return c.out.result(object, "ok", func(w io.Writer) {
		fmt.Fprintf(w, "checkpoint of %d entries in %s of the vault %s: ok\n", k.Size, plural(len(shown.Heads.Heads), "journal"), k.Genesis)
		printCosignatures(w, "  ", sigs)
	})
}
