package state_test

import (
	"fmt"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// badBody is a body that is malformed, or over a limit, and who sends it.
type badBody struct {
	name, author, kind string
	body               func(a *artefact) any
}

// changed returns a body after a change.
func changed[T any](b T, change func(*T)) any {
	change(&b)
	return b
}

// bodyCases break RuleBody, one limit at a time.
func bodyCases() []ruleCase {
	long := strings.Repeat("x", state.MaxText+1)
	word := strings.Repeat("x", state.MaxWord+1)
	ids := func(a *artefact, n int) []canonical.ID {
		return repeat(n, func(int) canonical.ID { return a.world.id() })
	}
	add := func(change func(*state.MemberAdd)) func(a *artefact) any {
		return func(a *artefact) any { return changed(a.addBody("new", identities().get("fresh")), change) }
	}
	version := func(change func(*state.Version)) func(a *artefact) any {
		return func(a *artefact) any { return changed(a.version(a.world.id()), change) }
	}
	parts := func(names ...string) (out []state.SystemPart) {
		for _, n := range names {
			out = append(out, state.SystemPart{Name: n, Artefact: canonical.Digest{1}, Version: canonical.ID{1}, Digest: canonical.Digest{1}})
		}
		return out
	}
	system := func(change func(*state.Version)) func(a *artefact) any {
		return version(func(b *state.Version) {
			b.Kind, b.Parts = state.KindSystem, parts("a", "b")
			change(b)
		})
	}
	request := func(change func(*state.DisposalRequest)) func(a *artefact) any {
		return func(a *artefact) any {
			return changed(state.DisposalRequest{ID: a.world.id(), Scope: []state.DisposalScope{a.scope()}, Plan: a.doc(), Reason: "r"}, change)
		}
	}
	activate := func(change func(*state.Activate)) func(a *artefact) any {
		return func(a *artefact) any { return changed(a.activate(a.prepare()), change) }
	}
	group := func(change func(*state.Group)) func(a *artefact) any {
		return func(a *artefact) any {
			id := a.world.id()
			return changed(state.Group{Name: "g", ID: id, Recipient: "r", Object: a.named("grp/" + id.String() + "-"), List: a.doc()}, change)
		}
	}
	readers := func(change func(*state.Readers)) func(a *artefact) any {
		return func(a *artefact) any { return changed(a.readers(a.world.id()), change) }
	}
	candidate := func(change func(*state.Candidate)) func(a *artefact) any {
		return func(a *artefact) any {
			eid := a.world.id()
			a.must("run", state.KindIntent, a.intent(eid))
			return changed(a.candidate(eid), change)
		}
	}
	transfer := func(change func(*state.Transfer)) func(a *artefact) any {
		return func(a *artefact) any {
			vid := a.push()
			return changed(state.Transfer{Version: vid, Digest: a.state.Version(vid).Digest, Recipient: "age1pq1new"}, change)
		}
	}
	value := func(v any) func(*artefact) any { return func(*artefact) any { return v } }
	keepers := func(n int, instance, kind string) state.CustodySet {
		return state.CustodySet{Custody: state.Custody{Mode: state.AnyOf, Keepers: repeat(n, func(i int) state.Keeper {
			return state.Keeper{Instance: fmt.Sprint(instance, i), Kind: kind}
		})}}
	}
	policy := func(a, q int) state.PolicySet {
		return state.PolicySet{Policy: state.Policy{Approvals: a, AdminQuorum: q}}
	}
	fresh := func(witnesses ...string) state.PolicySet {
		b := policy(1, 1)
		b.Policy.Witnesses = witnesses
		return b
	}
	bad := []badBody{
		{"another kind's", "admin", state.KindPolicy, value(state.Fence{})},
		{"null", "admin", state.KindPolicy, value(nil)},
		{"a number", "admin", state.KindPolicy, value(5)},
		{"an unknown member", "admin", state.KindPolicy, value(map[string]any{"policy": map[string]int{"approvals": 1, "admin_quorum": 1}, "x": 1})},
		{"no approvals", "admin", state.KindPolicy, value(policy(0, 1))},
		{"17 approvals", "admin", state.KindPolicy, value(policy(17, 1))},
		{"no quorum", "admin", state.KindPolicy, value(policy(1, 0))},
		{"17 admins", "admin", state.KindPolicy, value(policy(1, 17))},
		{"an empty witness", "admin", state.KindPolicy, value(fresh(""))},
		{"a long witness", "admin", state.KindPolicy, value(fresh(strings.Repeat("w", 257)))},
		{"9 witnesses", "admin", state.KindPolicy, value(fresh(strings.Split("w w w w w w w w w", " ")...))},
		{"staleness in seconds", "admin", state.KindPolicy, value(map[string]any{"policy": map[string]any{"approvals": 1, "admin_quorum": 1, "max_staleness": 3600}})},
		{"no staleness spelt out", "admin", state.KindPolicy, value(map[string]any{"policy": map[string]any{"approvals": 1, "admin_quorum": 1, "max_staleness": "P0D"}})},
		{"heads that are no document", "aud", state.KindCheckpoint, value(state.Checkpoint{Heads: state.Object{Key: "meta/x"}, Size: 3})},
		{"no keeper", "admin", state.KindCustody, value(keepers(0, "k", "local"))},
		{"9 keepers", "admin", state.KindCustody, value(keepers(9, "k", "local"))},
		{"no kind of keeper", "admin", state.KindCustody, value(keepers(1, "k", ""))},
		{"long kind of keeper", "admin", state.KindCustody, value(keepers(1, "k", word))},
		{"long keeper", "admin", state.KindCustody, value(keepers(1, strings.Repeat("k", 200), "local"))},
		{"keepers too long together", "admin", state.KindCustody, value(keepers(8, strings.Repeat(`"`, 199), "local"))},
		{"a keeper twice", "admin", state.KindCustody, value(state.CustodySet{Custody: state.Custody{Mode: state.AnyOf, Keepers: append(custody().Keepers, custody().Keepers[0])}})},
		{"no mode of custody", "admin", state.KindCustody, value(state.CustodySet{Custody: state.Custody{Keepers: custody().Keepers}})},

		{"member without a name", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Name = "" })},
		{"member with a path for a name", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Name = "a/b" })},
		{"member with a long name", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Name = word })},
		{"member without a key", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Key = "" })},
		{"member with half a key", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Key = b.Member.Key[:100] })},
		{"member with an unknown role", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Roles = []state.Grant{{Role: "king", Glob: "*"}} })},
		{"member with a bad glob", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Roles = []state.Grant{{Role: state.Admin, Glob: "["}} })},
		{"member with too many roles", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) {
			b.Member.Roles = repeat(state.MaxGrants+1, func(int) state.Grant { return state.Grant{Role: state.Admin, Glob: "*"} })
		})},
		{"member with a long person", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Person = strings.Repeat("x", 257) })},
		{"member with a line break", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Person = "a\nb" })},
		{"member with an escape sequence", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Person = "\x1b[31m" })},
		{"member with text turned round", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Person = "a\u202eb" })},
		{"member with a long environment", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Member.Env = word })},
		{"no metadata identity", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Metadata = state.Metadata{} })},
		{"no metadata recipient", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Metadata.Recipient = "" })},
		{"long metadata recipient", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Metadata.Recipient = strings.Repeat("r", 2049) })},
		{"no metadata object", "admin", state.KindMemberAdd, add(func(b *state.MemberAdd) { b.Metadata.SHA256 = canonical.Digest{} })},
		{"removal without a cut", "admin", state.KindMemberRemove, func(a *artefact) any { return state.MemberRemove{Name: "reader", Metadata: a.metadata()} }},
		{"removal with a long reason", "admin", state.KindMemberRemove, func(a *artefact) any {
			return state.MemberRemove{Name: "reader", Cut: a.doc(), Metadata: a.metadata(), Reason: long}
		}},
		{"rekey without a key", "admin", state.KindMemberRekey, func(a *artefact) any { return state.MemberRekey{Name: "reader", Metadata: a.metadata()} }},
		{"rekey without a cut", "admin", state.KindMemberRekey, func(a *artefact) any {
			return state.MemberRekey{Name: "reader", Key: identities().get("fresh").Public().String(), Metadata: a.metadata()}
		}},
		{"rotation without a key", "reader", state.KindMemberRotate, func(a *artefact) any {
			return state.MemberRotate{Overlap: entry.At(a.now), Metadata: a.metadata()}
		}},
		{"long reason to suspend", "op", state.KindMemberSuspend, value(state.MemberMark{Name: "reader", Reason: long})},
		{"group with a bad name", "admin", state.KindGroup, group(func(g *state.Group) { g.Name = "@g" })},
		{"group without a recipient", "admin", state.KindGroup, group(func(g *state.Group) { g.Recipient = "" })},
		{"group with another's object", "admin", state.KindGroup, group(func(g *state.Group) { g.Object.Key = "grp/" + canonical.ID{}.String() + "-" + canonical.ID{}.String() })},
		{"group without members", "admin", state.KindGroup, group(func(g *state.Group) { g.List = state.Object{} })},
		{"rule with a bad glob", "op", state.KindRule, value(state.ReadRule{Glob: "a/**/b", Readers: []string{"reader"}})},
		{"rule without readers", "op", state.KindRule, value(state.ReadRule{Glob: "*"})},
		{"rule with too many readers", "op", state.KindRule, value(state.ReadRule{Glob: "*", Readers: repeat(state.MaxRuleReaders+1, func(i int) string { return fmt.Sprint("r", i) })})},
		{"rule with a bad name", "op", state.KindRule, value(state.ReadRule{Glob: "*", Readers: []string{"@@g"}})},
		{"plugin without a platform", "admin", state.KindPlugin, value(state.Plugin{Name: "p", SHA256: canonical.Digest{1}})},
		{"plugin without a digest", "admin", state.KindPlugin, value(state.Plugin{Name: "p", Platform: "linux/amd64"})},
		{"plugin with a bad name", "admin", state.KindPlugin, value(state.Plugin{Name: "../p", Platform: "linux/amd64", SHA256: canonical.Digest{1}})},
		{"plugin in the place of what is built in", "admin", state.KindPlugin, value(state.Plugin{Name: "local", Platform: "linux/amd64", SHA256: canonical.Digest{1}})},
		{"plugin with many variables", "admin", state.KindPlugin, value(state.Plugin{Name: "p", Platform: "linux/amd64", SHA256: canonical.Digest{1}, Env: repeat(33, func(i int) string { return fmt.Sprint("V", i) })})},
		{"disposal of nothing", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) { b.Scope = nil })},
		{"disposal of the whole and a version", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) { b.Scope[0].Versions = []canonical.ID{{1}} })},
		{"disposal of neither", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) { b.Scope[0].Whole = false })},
		{"disposal of an artefact twice", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) { b.Scope = append(b.Scope, b.Scope[0]) })},
		{"disposal of no artefact", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) { b.Scope[0].Artefact = canonical.Digest{} })},
		{"disposal of too many artefacts", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) {
			b.Scope = repeat(state.MaxArtefacts+1, func(i int) state.DisposalScope {
				return state.DisposalScope{Artefact: canonical.Digest{byte(i + 1)}, Whole: true}
			})
		})},
		{"disposal of too many versions", "cust", state.KindDisposalRequest, func(a *artefact) any {
			return state.DisposalRequest{ID: a.world.id(), Scope: []state.DisposalScope{a.scope(ids(a, state.MaxNamed+1)...)}, Plan: a.doc(), Reason: "r"}
		}},
		{"disposal of too much together", "cust", state.KindDisposalRequest, func(a *artefact) any {
			scope := repeat(6, func(i int) state.DisposalScope {
				return state.DisposalScope{Artefact: canonical.Digest{byte(i + 1)}, Versions: ids(a, 1+(state.MaxNamed-6)*(i/5))}
			})
			return state.DisposalRequest{ID: a.world.id(), Scope: scope, Plan: a.doc(), Reason: "r"}
		}},
		{"disposal without a plan", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) { b.Plan = state.Object{} })},
		{"disposal without a reason", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) { b.Reason = "" })},
		{"disposal with a long reason", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) { b.Reason = long })},
		{"disposal with a long authority", "cust", state.KindDisposalRequest, request(func(b *state.DisposalRequest) { b.Authority = strings.Repeat("x", 257) })},

		{"readers without a recipient", "dev", state.KindReaders, readers(func(b *state.Readers) { b.Recipient = "" })},
		{"readers with another's object", "dev", state.KindReaders, readers(func(b *state.Readers) { b.Object.Key = "doc/" + b.Object.SHA256.String() })},
		{"readers without a digest", "dev", state.KindReaders, readers(func(b *state.Readers) { b.Object.SHA256 = canonical.Digest{} })},
		{"readers without a list", "dev", state.KindReaders, readers(func(b *state.Readers) { b.List.SHA256 = canonical.Digest{1} })},
		{"candidate without a recipient", "run", state.KindCandidate, candidate(func(b *state.Candidate) { b.Recipient = "" })},
		{"candidate without a ref", "run", state.KindCandidate, candidate(func(b *state.Candidate) { b.Keys[0].Ref = "" })},
		{"candidate with a long ref", "run", state.KindCandidate, candidate(func(b *state.Candidate) { b.Keys[0].Ref = strings.Repeat("r", 201) })},
		{"activation without a seed", "run", state.KindActivate, activate(func(b *state.Activate) { b.Seed = canonical.Digest{} })},
		{"activation with another's index", "run", state.KindActivate, activate(func(b *state.Activate) { b.Index.Key = strings.Replace(b.Index.Key, "/i-", "/k-", 1) })},
		{"end with an epoch", "run", state.KindActivate, func(a *artefact) any {
			eid := a.prepare()
			a.execute()
			return state.Activate{None: true, EID: eid, Survivors: a.state.Survivors()}
		}},
		{"end with a seed", "run", state.KindActivate, func(a *artefact) any {
			a.execute()
			return state.Activate{None: true, Seed: a.digest(), Survivors: a.state.Survivors()}
		}},
		{"version without an id", "push", state.KindVersion, func(a *artefact) any { return a.version(canonical.ID{}) }},
		{"version without a recipient", "push", state.KindVersion, version(func(b *state.Version) { b.Recipient = "" })},
		{"version without a row", "push", state.KindVersion, version(func(b *state.Version) { b.Row = canonical.Digest{} })},
		{"version without a secret", "push", state.KindVersion, version(func(b *state.Version) { b.Secret = canonical.Digest{} })},
		{"version without a digest", "push", state.KindVersion, version(func(b *state.Version) { b.Digest = canonical.Digest{} })},
		{"version with another's manifest", "push", state.KindVersion, version(func(b *state.Version) {
			b.Manifest.Key = strings.Replace(b.Manifest.Key, b.VID.String(), canonical.ID{1}.String(), 1)
		})},
		{"version without references", "push", state.KindVersion, version(func(b *state.Version) { b.References = state.Object{} })},
		{"version of negative size", "push", state.KindVersion, version(func(b *state.Version) { b.Stored = -1 })},
		{"version that adds a negative size", "push", state.KindVersion, version(func(b *state.Version) { b.Uploaded = -1 })},
		{"version of no kind", "push", state.KindVersion, version(func(b *state.Version) { b.Kind = "" })},
		{"version of an unknown kind", "push", state.KindVersion, version(func(b *state.Version) { b.Kind = "song" })},
		{"version of an unknown classification", "push", state.KindVersion, version(func(b *state.Version) { b.Classification = "secret" })},
		{"version with an empty label", "push", state.KindVersion, version(func(b *state.Version) { b.Labels = map[string]string{"": "x"} })},
		{"version with a label that does not print", "push", state.KindVersion, version(func(b *state.Version) { b.Labels = map[string]string{"a": "\u2028"} })},
		{"version with long labels", "push", state.KindVersion, version(func(b *state.Version) { b.Labels = map[string]string{"a": strings.Repeat("x", state.MaxLabels)} })},
		{"version with many labels", "push", state.KindVersion, version(func(b *state.Version) {
			b.Labels = map[string]string{}
			for i := range 65 {
				b.Labels[fmt.Sprint(i)] = ""
			}
		})},
		{"version that borrowed through many", "push", state.KindVersion, version(func(b *state.Version) { b.Borrowed = make([]canonical.ID, state.MaxBorrowed+1) })},
		{"version with a source without a URL", "push", state.KindVersion, version(func(b *state.Version) { b.Sources = []state.Source{{}} })},
		{"version with a long source", "push", state.KindVersion, version(func(b *state.Version) {
			b.Sources = []state.Source{{URL: strings.Repeat("u", 1025), Acquired: entry.At(dawn)}}
		})},
		{"version with a source of no time", "push", state.KindVersion, version(func(b *state.Version) { b.Sources = []state.Source{{URL: "https://data.example/"}} })},
		{"version with a source twice", "push", state.KindVersion, version(func(b *state.Version) {
			b.Sources = repeat(2, func(int) state.Source { return state.Source{URL: "u", Acquired: entry.At(dawn)} })
		})},
		{"version with sources out of order", "push", state.KindVersion, version(func(b *state.Version) {
			b.Sources = []state.Source{{URL: "v", Acquired: entry.At(dawn)}, {URL: "u", Acquired: entry.At(dawn)}}
		})},
		{"version of unknown descent", "push", state.KindVersion, version(func(b *state.Version) { b.Lineage = []state.Edge{edge(1, "child-of")} })},
		{"version that descends from nothing", "push", state.KindVersion, version(func(b *state.Version) { b.Lineage = []state.Edge{{Role: state.MergedFrom}} })},
		{"version that descends from one twice", "push", state.KindVersion, version(func(b *state.Version) {
			b.Lineage = []state.Edge{edge(1, state.MergedFrom), edge(1, state.MergedFrom)}
		})},
		{"version with lineage out of order", "push", state.KindVersion, version(func(b *state.Version) {
			b.Lineage = []state.Edge{edge(2, state.MergedFrom), edge(1, state.MergedFrom)}
		})},
		{"version with half a justification", "push", state.KindVersion, version(func(b *state.Version) { b.Justification.Version = canonical.ID{1} })},
		{"version with a long description", "push", state.KindVersion, version(func(b *state.Version) {
			b.Lineage = repeat(48, func(i int) state.Edge { return edge(byte(i+1), state.MergedFrom) })
		})},
		{"model of parts", "push", state.KindVersion, version(func(b *state.Version) { b.Parts = parts("model") })},
		{"system of too many parts", "push", state.KindVersion, system(func(b *state.Version) {
			b.Parts = repeat(state.MaxParts+1, func(i int) state.SystemPart { return parts(fmt.Sprintf("p%02d", i))[0] })
		})},
		{"system of parts out of order", "push", state.KindVersion, system(func(b *state.Version) { b.Parts = parts("b", "a") })},
		{"system of two parts of a name", "push", state.KindVersion, system(func(b *state.Version) { b.Parts = parts("a", "a") })},
		{"system with a part that is a path", "push", state.KindVersion, system(func(b *state.Version) { b.Parts = parts("a/b") })},
		{"system with a part in the place of its file", "push", state.KindVersion, system(func(b *state.Version) { b.Parts = parts(state.SystemFile) })},
		{"system with a part of no artefact", "push", state.KindVersion, system(func(b *state.Version) { b.Parts[0].Artefact = canonical.Digest{} })},
		{"system with a part of no version", "push", state.KindVersion, system(func(b *state.Version) { b.Parts[0].Version = canonical.ID{} })},
		{"system with a part of no digest", "push", state.KindVersion, system(func(b *state.Version) { b.Parts[0].Digest = canonical.Digest{} })},
		{"system with a part of its own artefact", "push", state.KindVersion, func(a *artefact) any {
			v := a.version(a.world.id())
			v.Kind, v.Parts = state.KindSystem, parts("a")
			v.Parts[0].Artefact = a.state.ID
			return v
		}},
		{"version that moves a path", "all", state.KindVersion, version(func(b *state.Version) { b.Move = "a/b" })},
		{"channel that is a path", "op", state.KindChannel, value(state.Channel{Channel: "a/b"})},
		{"channel with a long reason", "op", state.KindChannel, value(state.Channel{Channel: "a", Reason: long})},
		{"channel with a long incident", "op", state.KindChannel, value(state.Channel{Channel: "a", Incident: word})},
		{"condemns nothing", "run", state.KindCondemn, value(state.Versions{})},
		{"condemns too many", "run", state.KindCondemn, func(a *artefact) any { return state.Versions{Versions: ids(a, state.MaxNamed+1)} }},
		{"executes nothing", "run", state.KindExecute, func(a *artefact) any {
			return state.Execute{Disposal: a.approved(a.scope(a.push()))}
		}},
		{"executes too many", "run", state.KindExecute, func(a *artefact) any {
			vid := a.push()
			return state.Execute{Disposal: a.approved(a.scope(vid)), Versions: repeat(state.MaxNamed+1, func(int) canonical.ID { return vid })}
		}},
		{"cancels with a long reason", "cust", state.KindCancel, value(state.Disposal{Reason: long})},
		{"destroys too many", "run", state.KindDestroyed, func(a *artefact) any {
			return state.Destroyed{Versions: ids(a, state.MaxNamed+1), Keys: []state.DestroyedKey{}}
		}},
		{"purges nothing", "run", state.KindPurged, value(state.Purged{})},
		{"purges too many", "run", state.KindPurged, func(a *artefact) any { return state.Purged{Versions: ids(a, state.MaxNamed+1)} }},
		{"purges with too much retained", "run", state.KindPurged, func(a *artefact) any {
			return state.Purged{Versions: ids(a, 1), Retained: make([]state.Retained, state.MaxRetained+1)}
		}},
		{"purges with a long key", "run", state.KindPurged, func(a *artefact) any {
			return state.Purged{Versions: ids(a, 1), Retained: []state.Retained{{Key: strings.Repeat("k", 201)}}}
		}},
		{"verified, perhaps", "run", state.KindVerified, func(a *artefact) any {
			return state.Verified{Disposal: a.approved(a.scope()), Result: "perhaps", Report: a.doc()}
		}},
		{"verified without a report", "run", state.KindVerified, func(a *artefact) any {
			return state.Verified{Disposal: a.approved(a.scope()), Result: "verified"}
		}},
		{"hold without a reason", "op", state.KindHold, value(state.Hold{ID: canonical.ID{1}})},
		{"hold with a long reason", "op", state.KindHold, value(state.Hold{ID: canonical.ID{1}, Reason: long})},
		{"hold on too many", "op", state.KindHold, func(a *artefact) any {
			return state.Hold{ID: canonical.ID{1}, Versions: ids(a, state.MaxNamed+1), Reason: "r"}
		}},
		{"release without a reason", "cust", state.KindRelease, func(a *artefact) any { return state.Release{ID: a.hold()} }},
		{"quarantine of nothing", "op", state.KindQuarantine, value(state.Quarantine{Reason: "r"})},
		{"quarantine without a reason", "op", state.KindQuarantine, func(a *artefact) any { return state.Quarantine{Versions: ids(a, 1)} }},
		{"quarantine of too many", "op", state.KindQuarantine, func(a *artefact) any {
			return state.Quarantine{Versions: ids(a, state.MaxNamed+1), Reason: "r"}
		}},
		{"clear without a reason", "op", state.KindClear, func(a *artefact) any { return state.Quarantine{Versions: ids(a, 1)} }},
		{"evidence of no type", "op", state.KindAttest, func(a *artefact) any {
			v := a.push()
			return state.Attest{Version: v, Digest: a.state.Version(v).Digest, Result: "pass", Statement: a.doc()}
		}},
		{"evidence with a long name", "op", state.KindAttest, func(a *artefact) any {
			v := a.push()
			return state.Attest{Version: v, Digest: a.state.Version(v).Digest, Type: "drill", Result: "pass", Name: word, Statement: a.doc()}
		}},
		{"handed over to nobody", "cust", state.KindTransfer, transfer(func(b *state.Transfer) { b.Recipient = "" })},
		{"handed over to a long recipient", "cust", state.KindTransfer, transfer(func(b *state.Transfer) { b.Recipient = strings.Repeat("r", 2049) })},
		{"handed over to a long owner", "cust", state.KindTransfer, transfer(func(b *state.Transfer) { b.Owner = strings.Repeat("o", 257) })},
		{"handed over with a long reason", "cust", state.KindTransfer, transfer(func(b *state.Transfer) { b.Reason = long })},
		{"a name in two forms", "all", state.KindRelease, value(struct {
			ID  string `json:"id"`
			ID2 string `json:"ID"`
		}{canonical.ID{1}.String(), ""})},
	}
	out := []ruleCase{
		{state.RuleBody, "text in any script", false, func(w *world) *state.Void {
			b := w.addBody("new", identities().get("fresh"))
			b.Member.Person = "Zoë Ørsted, 品質管理, Müller & Söhne <GmbH> 😀"
			return w.try("admin", state.KindMemberAdd, b)
		}},
		{state.RuleBody, "an overlap that ends before it begins", true, func(w *world) *state.Void {
			return w.try("reader", state.KindMemberRotate, w.rotateBody("fresh", -1e9), cosigned("fresh"))
		}},
	}
	for _, b := range bad {
		out = append(out, ruleCase{state.RuleBody, b.name, true, func(w *world) *state.Void {
			a := w.register("m", nil)
			body := b.body(a)
			if inVault(b.kind) {
				return w.try(b.author, b.kind, body)
			}
			return a.try(b.author, b.kind, body)
		}})
	}
	return out
}
