package wire

import (
	"context"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/pluginv1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Probe implements [backends.Store]. What can be measured from here is measured
// here: a plugin's word does not make a store fit, it can only make it unfit.
func (s *Store) Probe(ctx context.Context) (backends.Capabilities, error) {
	told, err := s.probe(ctx)
	if err != nil {
		return told, err
	}
	seen, err := backends.ProbeStore(ctx, s, s.o.Now)
	out := told
	out.PutIfAbsent = told.PutIfAbsent && seen.PutIfAbsent
	out.ReadAfterWrite = told.ReadAfterWrite && seen.ReadAfterWrite
	out.BytesIntact = told.BytesIntact && seen.BytesIntact
	out.OrderedList = told.OrderedList && seen.OrderedList
	out.EraseWorks = told.EraseWorks && seen.EraseWorks
	out.Locked = told.Locked || seen.Locked
	out.ClockSkew = seen.ClockSkew
	out.Notes = append(out.Notes, seen.Notes...)
	return out, err
}

// probe asks the plugin.
func (s *Store) probe(ctx context.Context) (backends.Capabilities, error) {
	_, client, c, err := s.session(ctx, "probe", "")
	if err != nil {
		return backends.Capabilities{}, err
	}
	defer c.end()
	m, err := client.Probe(c, &pluginv1.ProbeRequest{})
	var out backends.Capabilities
	if err == nil {
		out, err = fromCapabilities(m)
	}
	if err != nil {
		return backends.Capabilities{}, storeFailure(c, "probe", "", backends.Unavailable, err)
	}
	return out, nil
}

func toCapabilities(p backends.Capabilities) *pluginv1.ProbeResponse {
	return &pluginv1.ProbeResponse{
		PutIfAbsent: p.PutIfAbsent, ReadAfterWrite: p.ReadAfterWrite, BytesIntact: p.BytesIntact, OrderedList: p.OrderedList,
		EraseWorks: p.EraseWorks, RefusesBadHash: p.RefusesBadHash, Versioned: p.Versioned, Locked: p.Locked, SoftDelete: p.SoftDelete,
		Replicated: p.Replicated, ExpiryRule: p.ExpiryRule, RefusesAnonymous: p.RefusesAnonymous,
		ClockSkew: durationpb.New(p.ClockSkew), Notes: cleanAll(p.Notes),
	}
}

func fromCapabilities(m *pluginv1.ProbeResponse) (backends.Capabilities, error) {
	notes, err := texts("notes", m.GetNotes())
	if err != nil {
		return backends.Capabilities{}, err
	}
	skew, err := fromDuration("clock_skew", m.GetClockSkew())
	if err != nil {
		return backends.Capabilities{}, err
	}
	return backends.Capabilities{
		PutIfAbsent: m.GetPutIfAbsent(), ReadAfterWrite: m.GetReadAfterWrite(), BytesIntact: m.GetBytesIntact(), OrderedList: m.GetOrderedList(),
		EraseWorks: m.GetEraseWorks(), RefusesBadHash: m.GetRefusesBadHash(), Versioned: m.GetVersioned(), Locked: m.GetLocked(),
		SoftDelete: m.GetSoftDelete(), Replicated: m.GetReplicated(), ExpiryRule: m.GetExpiryRule(), RefusesAnonymous: m.GetRefusesAnonymous(),
		ClockSkew: skew, Notes: notes,
	}, nil
}
