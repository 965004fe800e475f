package state

import (
	"encoding/json"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// DumpVault renders all that a state holds but its head and time, so that two can be compared.
func DumpVault(v *Vault) string {
	type key struct {
		Member string
		Until  entry.Time
		Dead   bool
		Ended  entry.Position
		Former Object
	}
	keys := map[string]key{}
	for id, k := range v.keys {
		keys[id.String()] = key{k.Member, k.Until, k.Dead, k.Ended, k.Former}
	}
	type request struct {
		*Request
		Sole     bool
		Policies []Policy
	}
	requests := map[string]request{}
	for id, r := range v.disposals {
		requests[id.String()] = request{r, r.sole, r.policies}
	}
	members := map[string]string{}
	for name, m := range v.members {
		members[name] = m.Public.Key.KeyID() + render(struct {
			Roles              []Grant
			Env, Person        string
			Expires            entry.Time
			Since              entry.Position
			Removed, Suspended bool
		}{m.Roles, m.Env, m.Person, m.Expires, m.Since, m.Removed, m.Suspended})
	}
	return render(map[string]any{"genesis": v.Genesis, "metadata": v.Metadata, "custody": v.Custody, "policy": v.Policy, "members": members,
		"keys": keys, "taints": v.taints, "trainings": v.trainings, "groups": v.groups, "bound": v.bound, "fence": v.Fence, "grants": v.grants, "plugins": v.plugins, "disposals": requests})
}

// DumpArtefact renders all that a state holds.
func DumpArtefact(a *Artefact) string {
	type epoch struct {
		*Epoch
		Death, Activation, Superseded bool
	}
	var epochs []epoch
	for _, ep := range a.Epochs {
		epochs = append(epochs, epoch{ep, ep.deathSinceIntent, ep.activationSinceIntent, ep.superseded})
	}
	byVID, ops := map[string]int{}, map[string]int{}
	for id, v := range a.byVID {
		byVID[id.String()] = v.Number
	}
	for k, v := range a.ops {
		ops[k.author.String()+k.op.String()] = v.Number
	}
	var condemned []canonical.ID
	for id := range a.condemned {
		condemned = append(condemned, id)
	}
	authority := entry.Position{}
	if a.Vault != nil {
		authority = a.Vault.Head
	}
	return render(map[string]any{"id": a.ID, "name": a.Name, "head": a.Head, "time": a.Time, "vault": authority, "registered": a.Registered,
		"generations": a.Generations, "epochs": epochs, "current": a.Current, "ended": a.Ended, "whole": a.Whole, "by": a.wholeBy, "activated": a.Activated,
		"at": a.ActivatedAt, "died": a.DiedAt, "versions": a.Versions, "channels": a.Channels, "voids": a.Voids, "vids": byVID, "ops": ops,
		"condemned": len(condemned), "holds": a.holds, "attacks": a.attacks})
}

func render(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
