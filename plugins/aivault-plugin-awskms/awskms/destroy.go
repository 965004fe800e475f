package awskms

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Destroy implements [custody.Keeper]. It schedules the deletion, and says until
// when it is pending; repeated after that date, that KMS does not know the key any
// more.
func (k *Keeper) Destroy(ctx context.Context, full custody.KeyRef) (custody.Destruction, error) {
	r, err := k.check(ctx, full)
	if err != nil {
		return custody.Destruction{}, fmt.Errorf("destroy: %w", err)
	}
	d, err := k.destroy(ctx, r)
	if err != nil {
		return custody.Destruction{}, fmt.Errorf("destroy %s: %w", full, err)
	}
	d.Ref, d.At = full, k.now().UTC()
	return d, nil
}

func (k *Keeper) destroy(ctx context.Context, r ref) (custody.Destruction, error) {
	m, err := k.state(ctx, r)
	if errors.Is(err, custody.ErrDestroyed) {
		return custody.Destruction{State: custody.Destroyed, Evidence: k.evidence(r, "KMS does not know the key any more (NotFoundException)", time.Time{})}, nil
	}
	if err != nil {
		return custody.Destruction{}, err
	}
	if !pending(m) {
		_, err := k.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: aws.String(r.id), PendingWindowInDays: aws.Int32(k.days)})
		// Of two who schedule at once, one finds it done.
		if _, done := errors.AsType[*types.KMSInvalidStateException](err); err != nil && !done {
			return custody.Destruction{}, translate(ctx, err)
		}
		if m, err = k.state(ctx, r); err != nil {
			return custody.Destruction{}, err
		}
	}
	if !pending(m) || m.DeletionDate == nil {
		return custody.Destruction{}, fmt.Errorf("KMS has scheduled the deletion and does not show it yet: %w", custody.ErrUnavailable)
	}
	until := m.DeletionDate.UTC()
	return custody.Destruction{State: custody.Pending, Until: until, Evidence: k.evidence(r, string(m.KeyState), until)}, nil
}

// evidence says what KMS answered.
func (k *Keeper) evidence(r ref, state string, until time.Time) []byte {
	text := fmt.Sprintf("awskms destruction 1\ninstance: %s-%s\nkey: %s\nlabel: %s\nstate: %s\n", kind, k.signer, r.id, r.label, state)
	if !until.IsZero() {
		text += "deletion: " + until.Format(time.RFC3339) + "\n"
	}
	return []byte(text)
}

// Status implements [custody.Keeper]. When a key died KMS does not keep: of a
// destroyed one, Since is when it was looked for.
func (k *Keeper) Status(ctx context.Context, full custody.KeyRef) (custody.KeyStatus, error) {
	s := custody.KeyStatus{Ref: full}
	r, err := k.check(ctx, full)
	if errors.Is(err, custody.ErrNotFound) {
		return s, nil
	}
	var m *types.KeyMetadata
	if err == nil {
		m, err = k.state(ctx, r)
	}
	s.Label = r.label
	switch {
	case errors.Is(err, custody.ErrDestroyed):
		s.State, s.Since = custody.Destroyed, k.now().UTC()
	case err != nil:
		return custody.KeyStatus{}, fmt.Errorf("status: %w", err)
	case pending(m):
		s.State, s.Until = custody.Pending, aws.ToTime(m.DeletionDate).UTC()
	default:
		s.State, s.Since = custody.Alive, r.created
	}
	return s, nil
}

// List implements [custody.Keeper]. Keys that KMS has deleted are forgotten.
func (k *Keeper) List(ctx context.Context, labelPrefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		if err := errors.Join(ctx.Err(), custody.CheckLabelPrefix(labelPrefix)); err != nil {
			yield("", fmt.Errorf("list keys: %w", err))
			return
		}
		for pages := kms.NewListAliasesPaginator(k.kms, &kms.ListAliasesInput{}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield("", fmt.Errorf("list keys: %w", translate(ctx, err)))
				return
			}
			for _, a := range page.Aliases {
				label, ours := strings.CutPrefix(aws.ToString(a.AliasName), k.prefix+"/")
				if !ours || custody.CheckLabel(label) != nil || !strings.HasPrefix(label, labelPrefix) {
					continue
				}
				full, err := k.refOf(ctx, label, aws.ToString(a.TargetKeyId))
				if errors.Is(err, errAbsent) {
					continue // deleted since
				}
				if err != nil {
					yield("", fmt.Errorf("list keys: %w", err))
					return
				}
				if !yield(full, nil) {
					return
				}
			}
		}
	}
}

func (k *Keeper) refOf(ctx context.Context, label, id string) (custody.KeyRef, error) {
	m, err := k.describe(ctx, id)
	if err != nil {
		return "", err
	}
	return k.issue(ctx, label, m)
}
