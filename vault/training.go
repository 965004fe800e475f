package vault

import (
	"context"
	"fmt"
	"time"

	"github.com/aivault/aivault/vault/disposal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// TrainingOptions is a training that somebody had.
type TrainingOptions struct {
	Role     string    // one of state.Roles
	Course   string    // what it was, in words
	Expires  time.Time // it counts before then; zero: for ever
	Document []byte    // what shows it, at most disposal.MaxDocument bytes; nil: nothing
}

// MemberTrain records that a member was trained for a role: what policy may ask of
// those who push, approve and promote (state.Requirement.Trained). Nobody records
// their own training, as long as somebody else could. Errors: ErrNotFound,
// ErrNotPermitted; ErrRefused for a document that is too long; a *state.Void.
func (v *Vault) MemberTrain(ctx context.Context, name string, o TrainingOptions) (*Change, error) {
	if len(o.Document) > disposal.MaxDocument {
		return nil, fmt.Errorf("a document of %d bytes: at most %d: %w", len(o.Document), disposal.MaxDocument, ErrRefused)
	}
	body := state.MemberTraining{Name: name, Role: o.Role, Course: o.Course}
	if !o.Expires.IsZero() {
		body.Expires = entry.At(o.Expires)
	}
	return v.administer(ctx, state.KindMemberTraining, func(st *state.Vault) (any, error) {
		if m := st.Member(name); m == nil || m.Removed {
			return nil, fmt.Errorf("there is no member %s: %w", name, ErrNotFound)
		}
		if o.Document != nil && body.Document == (state.Object{}) {
			var err error
			if body.Document, err = v.putDocument(ctx, o.Document); err != nil {
				return nil, err
			}
		}
		return body, nil
	})
}
