package state_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// TestSystemDocument: the example in the specification is what is written.
func TestSystemDocument(t *testing.T) {
	doc, err := os.ReadFile("../FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "\n```json system\n")
	text, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("FORMAT.md has no system")
	}
	var example struct {
		Format string                `json:"format"`
		Parts  []state.PinnedVersion `json:"parts"`
	}
	if err := canonical.Unmarshal([]byte(strings.TrimSuffix(text, "\n")), &example); err != nil {
		t.Fatal(err)
	}
	if b, err := state.SystemDocument(example.Parts); err != nil || string(b) != text || len(example.Parts) != 2 {
		t.Errorf("got %s, %v", b, err)
	}
}

// TestSystemParts: what a system pins is held against the journals of its parts,
// by what policy asks there, and never deeper than one level.
func TestSystemParts(t *testing.T) {
	w := newWorld(t)
	w.must("admin", state.KindPolicy, state.PolicySet{Policy: state.Policy{Approvals: 1, AdminQuorum: 1, Channels: []state.Requirement{
		{Artefact: "model", Channel: "prod", Evidence: []string{state.Scan}}}}})
	model, chat := w.register("model", nil), w.register("chat", nil)
	part := model.state.Version(model.push())
	pin := state.SystemPart{Name: "model", Artefact: model.state.ID, Version: part.VID, Digest: part.Digest}
	vid := chat.world.id()
	v := chat.version(vid)
	v.Kind, v.Parts = state.KindSystem, []state.SystemPart{pin}
	chat.must("push", state.KindVersion, v)
	system := chat.state.Version(vid)
	if !system.Pins(model.state.ID, part.VID) || system.Pins(chat.state.ID, part.VID) || system.Pins(model.state.ID, vid) {
		t.Error("it does not know what it pins")
	}
	broken := errors.New("out of reach")
	lookup := func(id canonical.Digest) (*state.Artefact, error) {
		if id == model.state.ID {
			return model.state, nil
		}
		return nil, nil
	}
	check := func(channel, status, why string) {
		t.Helper()
		c, err := system.CheckParts(channel, w.state(), entry.At(dawn.AddDate(1, 0, 0)), lookup)
		if err != nil || c.Status != status || !strings.Contains(c.Why, why) {
			t.Errorf("%s: %+v, %v", channel, c, err)
		}
	}
	check("prod", state.CheckFail, "model, model@v1: approval:")
	check("prod", state.CheckFail, "model, model@v1: scan: scan: there is none")
	model.must("op", state.KindApprove, state.Approve{Version: part.VID})
	check("test", state.CheckPass, "model, model@v1")
	if c, err := part.CheckParts("prod", w.state(), entry.At(dawn), lookup); err != nil || c.Status != state.CheckNotRequired {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := system.CheckParts("prod", w.state(), entry.At(dawn), func(canonical.Digest) (*state.Artefact, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	model.must("op", state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{part.VID}, Reason: "r"})
	check("test", state.CheckFail, "release: in quarantine")
	for why, p := range map[string]state.SystemPart{
		"which is not there":       {Name: "p", Artefact: canonical.Digest{1}, Version: part.VID, Digest: part.Digest},
		"which does not exist":     {Name: "p", Artefact: pin.Artefact, Version: vid, Digest: part.Digest},
		"with digest 0100":         {Name: "p", Artefact: pin.Artefact, Version: part.VID, Digest: canonical.Digest{1}},
		"a system of parts itself": {Name: "p", Artefact: chat.state.ID, Version: vid, Digest: system.Digest},
	} {
		a, _ := lookup(p.Artefact)
		if p.Artefact == chat.state.ID {
			a = chat.state
		}
		if _, err := p.In(a); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
}
