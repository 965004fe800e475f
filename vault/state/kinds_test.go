package state_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

var update = flag.Bool("update", false, "write the generated documentation")

// kinds returns every kind there is, from the source.
func kinds(t *testing.T) []string {
	t.Helper()
	all := append(constants(t, "kinds.go", "Kind"), state.KindSkip)
	if len(all) < 35 {
		t.Fatalf("found only %d kinds", len(all))
	}
	return all
}

// TestCriticality: whatever denies, holds, removes, kills, or decides which
// keys are used, stops a client that does not know it. The rest is listed here.
func TestCriticality(t *testing.T) {
	harmless := []string{state.KindPermit, state.KindApprove, state.KindAttest, state.KindVerified, state.KindDisposalAccept, state.KindDisposalRemoved, state.KindCheckpoint, state.KindTransfer}
	for _, k := range kinds(t) {
		if got, want := state.Critical(k), !slices.Contains(harmless, k); got != want {
			t.Errorf("%s: critical %v, want %v", k, got, want)
		}
	}
	if state.Critical("telepathy") {
		t.Error("a kind that is not ours to write is critical")
	}
}

func TestRoleTableCoversAllKinds(t *testing.T) {
	table := state.RoleTable()
	for _, k := range kinds(t) {
		if k != state.KindGenesis && len(table[k]) == 0 {
			t.Errorf("nobody may write %s", k)
		}
	}
	if len(table) != len(kinds(t))-1 {
		t.Errorf("%d kinds in the table, %d in the source", len(table), len(kinds(t)))
	}
}

// TestRoleMatrix lets a member of each role, and of none, write every kind.
func TestRoleMatrix(t *testing.T) {
	w := newWorld(t)
	member := map[string]string{"": "reader", state.Admin: "admin", state.Pusher: "push", state.Developer: "dev", state.Operator: "op",
		state.Custodian: "cust", state.Runner: "run", state.Auditor: "aud"}
	a := w.register("m", nil)
	for kind, roles := range state.RoleTable() {
		for _, role := range append(state.Roles(), "") {
			allowed := slices.Contains(roles, role) || slices.Contains(roles, "member")
			name := "m"
			if inVault(kind) {
				name = ""
			}
			if err := w.state().May(w.keyID(member[role]), kind, name, entry.At(w.now)); allowed != (err == nil) || err != nil && !errors.Is(err, state.ErrNotPermitted) {
				t.Errorf("%s by role %q: May says %v", kind, role, err)
			}
			if kind == state.KindSkip {
				continue // TestSkipNeedsTheRight
			}
			var void *state.Void
			if inVault(kind) {
				void = w.try(member[role], kind, struct{}{})
			} else {
				void = a.try(member[role], kind, struct{}{})
			}
			if refused := void != nil && void.Rule == state.RuleRole; refused == allowed {
				t.Errorf("%s by role %q: %v, allowed %v", kind, role, void, allowed)
			}
		}
	}
}

// TestSeparation states, apart from the table, what each role must never be able to do.
func TestSeparation(t *testing.T) {
	anyone := []string{state.KindFence, state.KindMemberRotate}
	table := state.RoleTable()
	for role, may := range map[string][]string{
		state.Pusher:  {state.KindVersion},
		state.Auditor: {state.KindCheckpoint},
		state.Runner: {state.KindIntent, state.KindCandidate, state.KindActivate, state.KindCondemn, state.KindExecute, state.KindDestroyed,
			state.KindPurged, state.KindVerified, state.KindCheckpoint},
	} {
		for kind, roles := range table {
			if got, want := slices.Contains(roles, role), slices.Contains(may, kind); got != want {
				t.Errorf("%s may write %s: %v, want %v", role, kind, got, want)
			}
		}
	}
	for _, kind := range anyone {
		if !slices.Equal(table[kind], []string{"member"}) {
			t.Errorf("%s: %v", kind, table[kind])
		}
	}
	for _, kind := range []string{state.KindDisposalRequest, state.KindDisposalApprove, state.KindDisposalCancel, state.KindDisposalAccept, state.KindDisposalRemoved} {
		if !slices.Equal(table[kind], []string{state.Custodian}) {
			t.Errorf("%s: %v", kind, table[kind])
		}
	}
	if got := table[state.KindTransfer]; !slices.Equal(got, []string{state.Custodian}) {
		t.Errorf("%s: %v", state.KindTransfer, got)
	}
	for _, kind := range []string{state.KindMemberAdd, state.KindMemberRemove, state.KindMemberRekey, state.KindMemberResume, state.KindPolicy, state.KindCustody, state.KindPlugin, state.KindGroup} {
		if !slices.Equal(table[kind], []string{state.Admin}) {
			t.Errorf("%s: %v", kind, table[kind])
		}
	}
}

// TestUnknownKinds: a kind that this client does not know stops it if it says
// critical, and is passed over and reported otherwise.
func TestUnknownKinds(t *testing.T) {
	critical := edit(func(h *entry.Header) { h.Critical = true })
	w := newWorld(t)
	a := w.register("m", nil)
	if _, err := w.put("reader", "telepathy", struct{}{}, critical); !errors.Is(err, entry.ErrUpgrade) {
		t.Errorf("critical, in the vault's journal: %v", err)
	}
	if _, err := a.put("reader", "telepathy", struct{}{}, critical); !errors.Is(err, entry.ErrUpgrade) {
		t.Errorf("critical, in an artefact's journal: %v", err)
	}
	before := state.DumpVault(w.state())
	if void := w.try("admin", "telepathy", map[string]int{"x": 1}); void == nil || void.Rule != state.RuleKind || void.Kind != "telepathy" || void.Author != "admin" {
		t.Errorf("not critical, in the vault's journal: %v", void)
	}
	if after := state.DumpVault(w.state()); after != before {
		t.Errorf("it changed the vault:\n%s\n%s", before, after)
	}
	if void := a.try("admin", "telepathy", struct{}{}); void == nil || void.Rule != state.RuleKind || len(a.state.Voids) != 1 {
		t.Errorf("not critical, in an artefact's journal: %v", void)
	}
	if void := a.tryPush("push"); void != nil {
		t.Errorf("after it: %v", void)
	}
}

// TestSkipNeedsTheRight: what a skip entry passes over must not depend on
// somebody without the right, so it is no void entry but an unverifiable one.
func TestSkipNeedsTheRight(t *testing.T) {
	w := newWorld(t)
	for author, allowed := range map[string]bool{"op": true, "admin": true, "push": false, "dev": false, "cust": false, "run": false, "aud": false, "reader": false} {
		body := entry.Skip{Slots: []entry.SkippedSlot{{Seq: 1}}, Reason: "junk"}
		a := w.register("m-"+author, nil)
		for journal, put := range map[string]func(string, string, any, ...any) (*state.Void, error){"vault": w.put, "artefact": a.put} {
			if void, err := put(author, state.KindSkip, body); allowed && (void != nil || err != nil) || !allowed && !errors.Is(err, state.ErrUnverifiable) {
				t.Errorf("%s in the journal of the %s: %v, %v", author, journal, void, err)
			}
		}
		if void, err := a.put("op", state.KindSkip, body, edit(func(h *entry.Header) { h.Critical = false })); !errors.Is(err, state.ErrUnverifiable) {
			t.Errorf("not critical: %v, %v", void, err)
		}
	}
	w.suspend("op2")
	if _, err := w.put("op2", state.KindSkip, entry.Skip{Slots: []entry.SkippedSlot{{Seq: 1}}}); !errors.Is(err, state.ErrUnverifiable) {
		t.Errorf("by a suspended operator: %v", err)
	}
}

// meanings says in a line what each kind does, for the documentation.
var meanings = map[string]string{
	state.KindGenesis:         "founds the vault; entry 0, by the founder",
	state.KindMemberAdd:       "adds a member with roles",
	state.KindMemberRemove:    "removes a member",
	state.KindMemberRekey:     "replaces a member's lost or stolen key",
	state.KindMemberRotate:    "replaces one's own key, signed with both",
	state.KindMemberSuspend:   "suspends a member: the brake",
	state.KindMemberResume:    "lets a suspended member act again",
	state.KindMemberTaint:     "says that a key's signatures in a window are not to be trusted",
	state.KindMemberTraining:  "records that a member was trained for a role; not one's own, where somebody else can",
	state.KindGroup:           "makes a group of readers, or replaces it",
	state.KindRule:            "grants reading by a glob, or takes it away",
	state.KindPolicy:          "sets policy",
	state.KindCustody:         "pins the keepers of new epochs",
	state.KindPlugin:          "pins a plugin's binary, or withdraws it",
	state.KindDisposalRequest: "asks for an end of life",
	state.KindDisposalApprove: "approves a disposal's plan; not who requested it, from the second custodian on",
	state.KindDisposalCancel:  "withdraws a disposal",
	state.KindDisposalAccept:  "validates a finished disposal",
	state.KindDisposalRemoved: "records that a holder of plaintext attests its removal",
	state.KindCheckpoint:      "binds the heads of all journals, for a witness to cosign",
	state.KindRegister:        "registers an artefact",
	state.KindReaders:         "adds readers; taking readers away is for operators and admins",
	state.KindIntent:          "announces an epoch, before its keys exist",
	state.KindCandidate:       "names the keys of an announced epoch",
	state.KindActivate:        "makes an epoch current, or ends the artefact: the point of no return of disposals",
	state.KindVersion:         "commits a version; moving a channel with it is for operators",
	state.KindChannel:         "moves a channel: promotion and rollback",
	state.KindCondemn:         "condemns unfinished uploads",
	state.KindExecute:         "begins an approved, due disposal",
	state.KindCancel:          "takes an execution back, before the activation",
	state.KindDestroyed:       "records that keys are destroyed, and with them versions",
	state.KindPurged:          "records that storage holds nothing more of versions",
	state.KindVerified:        "records how an attempt to recover what was destroyed ended",
	state.KindHold:            "freezes versions against disposal",
	state.KindRelease:         "releases a hold; not who placed it",
	state.KindQuarantine:      "denies versions to readers, and holds them against disposal",
	state.KindClear:           "lifts a quarantine",
	state.KindPermit:          "lets somebody else read a version in quarantine, to examine it",
	state.KindApprove:         "marks a version known good; not who pushed it",
	state.KindWaive:           "lets a channel move to a version although a gate is not met; not who pushed it",
	state.KindAttest:          "records evidence on a version",
	state.KindTransfer:        "records that a version is handed over to a new owner, before it is",
	state.KindSkip:            "passes over slots that do not verify",
	state.KindFence:           "acknowledges a vault entry, such as a removal",
}

// TestRolesDocument compares docs/roles.md with the table. To write it anew:
// go test ./vault/state -run TestRolesDocument -update
func TestRolesDocument(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "roles.md")
	want := rolesDocument(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the role table says; write it anew with go test ./vault/state -run TestRolesDocument -update", file)
	}
}

func rolesDocument(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`# Roles

Generated from the role table in vault/state/roles.go. An entry of a journal counts only if its author has a role that permits its kind, vault-wide or for a glob that covers the artefact; every client checks that when it reads. Kinds marked *admin quorum* need as many admins' signatures as policy says.

A member without a role reads what it is granted. An auditor reads journals and evidence, as every member does, and writes checkpoints and what any member may.

`)
	section := func(title string, in func(kind string) bool) {
		fmt.Fprintf(&b, "## %s\n\n| kind | does |", title)
		for _, r := range state.Roles() {
			fmt.Fprintf(&b, " %s |", r)
		}
		b.WriteString("\n|---|---|" + strings.Repeat(":-:|", len(state.Roles())) + "\n")
		for _, kind := range kinds(t) {
			if kind == state.KindGenesis || !in(kind) {
				continue
			}
			roles := state.RoleTable()[kind]
			meaning := meanings[kind]
			if meaning == "" {
				t.Errorf("no meaning for %s", kind)
			}
			if slices.Equal(roles, []string{state.Admin}) {
				meaning += " (*admin quorum*)"
			}
			if slices.Contains(roles, "member") {
				meaning += " (any member)"
			}
			fmt.Fprintf(&b, "| `%s` | %s |", kind, meaning)
			for _, r := range state.Roles() {
				mark := " "
				if slices.Contains(roles, r) || slices.Contains(roles, "member") {
					mark = " ● "
				}
				fmt.Fprintf(&b, "%s|", mark)
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
	both := []string{state.KindSkip, state.KindFence}
	section("In the vault's journal", inVault)
	section("In an artefact's journal", func(k string) bool { return !inVault(k) && !slices.Contains(both, k) })
	section("In either", func(k string) bool { return slices.Contains(both, k) })
	return strings.TrimSuffix(b.String(), "\n")
}

// TestIDs: what a name becomes is part of the format.
func TestIDs(t *testing.T) {
	if got, want := state.ArtefactID([32]byte{1}, "team/model").String(), "62d74497321238d3a65bc54c0ae5a8a9dbc45bdd720ea5a733104e98400d6f25"; got != want {
		t.Errorf("artefact id %s, want %s", got, want)
	}
	g, a, e := canonical.Sum([]byte("g")), canonical.Sum([]byte("a")), canonical.ID{1}
	label := state.EpochLabel(g, a, e)
	context := state.EpochContext(g, a, e)
	if want := canonical.Sum(slices.Concat(g[:], a[:], e[:])); label != want.String() || context != want {
		t.Errorf("epoch %s, %x, want %s", label, context, want)
	}
	if got, want := state.BindSurvivors(nil).Digest.String(), "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc"; got != want {
		t.Errorf("no survivors: %s, want %s", got, want)
	}
	if x, y := state.BindSurvivors([]canonical.ID{{1}, {2}}), state.BindSurvivors([]canonical.ID{{1}, {3}}); x == y || x.Count != 2 {
		t.Errorf("survivors %v, %v", x, y)
	}
}
