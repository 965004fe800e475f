package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// ErrPolicy marks a policy that is misspelt or impossible.
var ErrPolicy = errors.New("not a policy")

// maxPolicy bounds a policy's file, in bytes.
const maxPolicy = 64 << 10

// DefaultPolicy is that of a new vault.
func DefaultPolicy() state.Policy { return state.Policy{Approvals: 1, AdminQuorum: 1} }

// ParsePolicy reads a policy: a JSON object with the members of state.Policy, in
// any order, each at most once, none that is not known. What is left out is not
// set; approvals and admin_quorum must be there. Errors wrap ErrPolicy.
func ParsePolicy(b []byte) (state.Policy, error) {
	var p state.Policy
	bad := func(err error) (state.Policy, error) { return state.Policy{}, fmt.Errorf("%w: %w", ErrPolicy, err) }
	if len(b) > maxPolicy {
		return bad(fmt.Errorf("%d bytes, more than %d", len(b), maxPolicy))
	}
	names, err := memberNames(b)
	if err != nil {
		return bad(err)
	}
	known := slices.Collect(maps.Keys(PolicySchema()["properties"].(map[string]any)))
	slices.Sort(known)
	for i, name := range names {
		switch {
		case !slices.Contains(known, name):
			return bad(fmt.Errorf("there is no setting %q; there are %s", name, strings.Join(known, ", ")))
		case slices.Contains(names[:i], name):
			return bad(fmt.Errorf("%s stands there twice", name))
		}
	}
	for _, name := range []string{"approvals", "admin_quorum"} {
		if !slices.Contains(names, name) {
			return bad(fmt.Errorf("%s is missing", name))
		}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return bad(err)
	}
	if err := p.Check(); err != nil {
		return bad(err)
	}
	return p, nil
}

// memberNames returns the names of an object's members, as often as they stand there.
func memberNames(b []byte) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	var names []string
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprint(t))
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	return names, nil
}

// PolicySchema is a JSON Schema of what ParsePolicy takes.
func PolicySchema() map[string]any {
	number := func(about string, most int) map[string]any {
		return map[string]any{"type": "integer", "minimum": 1, "maximum": most, "description": about}
	}
	duration := map[string]any{"type": "string", "description": "a calendar duration in ISO 8601: P7D, P2Y6M, PT12H"}
	return map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "aivault policy", "type": "object",
		"required": []string{"approvals", "admin_quorum"}, "additionalProperties": false,
		"properties": map[string]any{
			"approvals":    number("custodians, other than the requester, who must approve a disposal", 16),
			"admin_quorum": number("admins who must sign an entry that changes members, roles, groups or policy", 16),
			"grace":        duration,
			"retention": map[string]any{"type": "array", "description": "sorted by class, each once", "items": map[string]any{"type": "object",
				"required": []string{"class"}, "additionalProperties": false,
				"properties": map[string]any{"class": map[string]any{"enum": state.RetentionClasses()}, "min": duration, "max": duration}}},
			"channels": map[string]any{"type": "array", "description": "what a version must show before a channel moves to it, and what a channel falls back to; all that match add up", "items": map[string]any{"type": "object",
				"required": []string{"artefact", "channel"}, "additionalProperties": false,
				"properties": map[string]any{
					"artefact":    map[string]any{"type": "string", "description": "a glob"},
					"channel":     map[string]any{"type": "string", "description": "a name, or *"},
					"kinds":       map[string]any{"type": "array", "items": map[string]any{"enum": state.ArtefactKinds()}, "description": "of versions; left out: all"},
					"evidence":    map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "description": "TYPE or TYPE/NAME: the newest must be a pass"},
					"independent": map[string]any{"type": "boolean", "description": "evidence by others than who pushed"},
					"approvals":   number("operators, other than who pushed, who must approve", 16),
					"trained":     map[string]any{"type": "array", "items": map[string]any{"enum": state.TrainedRoles()}, "description": "roles whose holders must have been trained: developer, who pushed; operator, who approved, and who moves the channel"},
					"drill":       duration,
				}}},
			"receipts":      map[string]any{"enum": []string{state.ReceiptsOff, state.ReceiptsBestEffort, state.ReceiptsRequired}},
			"witnesses":     map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "description": "verifier keys whose cosignatures members trust"},
			"max_staleness": map[string]any{"type": "string", "description": "how old the newest cosignature may be when content is read: an ISO 8601 duration, like grace"},
		}}
}

// PolicyChange is one setting in which two policies differ.
type PolicyChange struct {
	Name     string
	From, To string // in JSON; "" where it is not set
	Looser   bool   // it takes fewer people, or less time, from then on, or a requirement is not there as it was
}

// DiffPolicy lists what changes from one policy to another, by name.
func DiffPolicy(from, to state.Policy) ([]PolicyChange, error) {
	a, err := settings(from)
	if err != nil {
		return nil, err
	}
	b, err := settings(to)
	if err != nil {
		return nil, err
	}
	day := entry.Time{}
	looser := map[string]bool{
		"approvals": to.Approvals < from.Approvals, "admin_quorum": to.AdminQuorum < from.AdminQuorum,
		"channels": slices.ContainsFunc(from.Channels, func(r state.Requirement) bool {
			return !slices.ContainsFunc(to.Channels, func(o state.Requirement) bool { return reflect.DeepEqual(r, o) })
		}),
		"grace":         to.Grace.After(day).Before(from.Grace.After(day).Time),
		"max_staleness": !from.MaxStaleness.IsZero() && (to.MaxStaleness.IsZero() || from.MaxStaleness.After(day).Before(to.MaxStaleness.After(day).Time)),
	}
	var out []PolicyChange
	all := maps.Clone(a)
	maps.Copy(all, b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !bytes.Equal(a[name], b[name]) {
			out = append(out, PolicyChange{name, string(a[name]), string(b[name]), looser[name]})
		}
	}
	return out, nil
}

// settings returns a policy as JSON, setting by setting.
func settings(p state.Policy) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	return out, json.Unmarshal(b, &out)
}

// SetField returns p with one setting changed: value is JSON, or a plain word,
// and "" leaves the setting out. Errors wrap ErrPolicy.
func SetField(p state.Policy, name, value string) (state.Policy, error) {
	all, err := settings(p)
	if err != nil {
		return p, err
	}
	switch {
	case value == "":
		delete(all, name)
	case json.Valid([]byte(value)):
		all[name] = json.RawMessage(value)
	default:
		if all[name], err = json.Marshal(value); err != nil {
			return p, err
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		return p, err
	}
	return ParsePolicy(b)
}

// SetPolicy sets policy. change is asked for the new one, given the one in force.
// Errors: those of change; a *state.Void, e.g. for a quorum of more admins than
// there are.
func (v *Vault) SetPolicy(ctx context.Context, change func(state.Policy) (state.Policy, error)) (*Change, error) {
	return v.administer(ctx, state.KindPolicy, func(st *state.Vault) (any, error) {
		p, err := change(st.Policy)
		if err != nil {
			return nil, err
		}
		if reflect.DeepEqual(p, st.Policy) {
			return nil, nil
		}
		return state.PolicySet{Policy: p}, nil
	})
}
