package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault/state"
)

// ErrPolicy marks a policy that is misspelt or impossible.
var ErrPolicy = errors.New("not a policy")

// PolicyField is one setting of a policy.
type PolicyField struct {
	Name     string // in JSON
	About    string // one sentence without a full stop
	Min, Max int
	Default  int
	Value    func(*state.Policy) *int
}

// PolicyFields lists the settings, in the order of the entry.
func PolicyFields() []PolicyField {
	return []PolicyField{
		{"approvals", "custodians, other than the requester, who must approve a disposal", 1, 16, 1, func(p *state.Policy) *int { return &p.Approvals }},
		{"admin_quorum", "admins who must sign an entry that changes members, roles, groups or policy", 1, 16, 1, func(p *state.Policy) *int { return &p.AdminQuorum }},
	}
}

// DefaultPolicy is that of a new vault.
func DefaultPolicy() state.Policy {
	var p state.Policy
	for _, f := range PolicyFields() {
		*f.Value(&p) = f.Default
	}
	return p
}

// maxPolicy bounds a policy's file, in bytes.
const maxPolicy = 64 << 10

// ParsePolicy reads a policy: a JSON object with every setting once and no
// other. Errors wrap ErrPolicy.
func ParsePolicy(b []byte) (state.Policy, error) {
	var p state.Policy
	bad := func(format string, args ...any) (state.Policy, error) {
		return state.Policy{}, fmt.Errorf("%w: "+format, append([]any{ErrPolicy}, args...)...)
	}
	if len(b) > maxPolicy {
		return bad("%d bytes, more than %d", len(b), maxPolicy)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return bad("it is no JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return bad("%v", err)
		}
		name, _ := t.(string)
		i := slices.IndexFunc(PolicyFields(), func(f PolicyField) bool { return f.Name == name })
		switch {
		case i < 0:
			return bad("there is no setting %q", name)
		case seen[name]:
			return bad("%s stands there twice", name)
		}
		seen[name] = true
		f := PolicyFields()[i]
		if err := d.Decode(f.Value(&p)); err != nil {
			return bad("%s: %v", name, err)
		}
		if n := *f.Value(&p); n < f.Min || n > f.Max {
			return bad("%s is %d: it is a number from %d to %d", name, n, f.Min, f.Max)
		}
	}
	if _, err := d.Token(); err != nil {
		return bad("%v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("something follows the object")
	}
	for _, f := range PolicyFields() {
		if !seen[f.Name] {
			return bad("%s is missing", f.Name)
		}
	}
	return p, nil
}

// PolicySchema is a JSON Schema of what ParsePolicy takes.
func PolicySchema() map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range PolicyFields() {
		properties[f.Name] = map[string]any{"type": "integer", "minimum": f.Min, "maximum": f.Max, "default": f.Default, "description": f.About}
		required = append(required, f.Name)
	}
	return map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "aivault policy", "type": "object",
		"properties": properties, "required": required, "additionalProperties": false}
}

// PolicyChange is one setting in which two policies differ.
type PolicyChange struct {
	Name     string
	From, To int
	Looser   bool // it takes fewer people from then on
}

// DiffPolicy lists what changes from one policy to another.
func DiffPolicy(from, to state.Policy) []PolicyChange {
	var out []PolicyChange
	for _, f := range PolicyFields() {
		if a, b := *f.Value(&from), *f.Value(&to); a != b {
			out = append(out, PolicyChange{Name: f.Name, From: a, To: b, Looser: b < a})
		}
	}
	return out
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
		for _, f := range PolicyFields() {
			if n := *f.Value(&p); n < f.Min || n > f.Max {
				return nil, fmt.Errorf("%w: %s is %d: it is a number from %d to %d", ErrPolicy, f.Name, n, f.Min, f.Max)
			}
		}
		if reflect.DeepEqual(p, st.Policy) {
			return nil, nil
		}
		return state.PolicySet{Policy: p}, nil
	})
}

// SetField returns p with one setting changed. Errors wrap ErrPolicy.
func SetField(p state.Policy, name string, value int) (state.Policy, error) {
	var known []string
	for _, f := range PolicyFields() {
		if f.Name == name {
			*f.Value(&p) = value
			return p, nil
		}
		known = append(known, f.Name)
	}
	return p, fmt.Errorf("%w: there is no setting %q; there are %s", ErrPolicy, name, strings.Join(known, ", "))
}
