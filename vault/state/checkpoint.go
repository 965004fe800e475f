package state

import "github.com/aivault/aivault/vault/entry"

const (
	// maxWitnesses bounds the witnesses of a policy, and maxWitnessKey one's key, in bytes.
	maxWitnesses  = 8
	maxWitnessKey = 256
)

// Checkpoint is the body of a checkpoint entry. It binds a list of all journals'
// heads, and so all their entries. Size is the number of leaves of the vault's
// log (vault/FORMAT.md §9.1), this entry being the last one.
type Checkpoint struct {
	Heads Object `json:"heads"`
	Size  uint64 `json:"size"`
}

// CheckpointMade is a checkpoint as the vault's journal knows it.
type CheckpointMade struct {
	Checkpoint
	By   string
	At   entry.Position
	Time entry.Time
}

// applyCheckpoint folds a checkpoint. That its heads are those of the journals is
// for whoever verifies the log; a fold reads nothing but its journal.
func (v *Vault) applyCheckpoint(e *entry.Entry) error {
	b, err := decode[Checkpoint](e)
	if err != nil {
		return err
	}
	if err := checkDocument(b.Heads); err != nil {
		return err
	}
	last := uint64(0)
	if n := len(v.Checkpoints); n > 0 {
		last = v.Checkpoints[n-1].Size
	}
	if b.Size > entry.MaxSeq || b.Size <= last {
		return refuse(RuleTarget, "a log of %d entries, after one of %d", b.Size, last)
	}
	v.Checkpoints = append(v.Checkpoints, CheckpointMade{Checkpoint: *b, By: v.keys[e.Author].Member, At: e.Position(), Time: e.Time})
	return nil
}

func checkFreshness(p Policy) error {
	if len(p.Witnesses) > maxWitnesses {
		return refuse(RuleBody, "policy: %d witnesses", len(p.Witnesses))
	}
	for _, w := range p.Witnesses {
		if w == "" {
			return refuse(RuleBody, "policy: the key of a witness is empty")
		}
		if err := checkText("witness", w, maxWitnessKey); err != nil {
			return err
		}
	}
	return nil
}
