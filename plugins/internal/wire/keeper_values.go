package wire

import (
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/pluginv1"
)

func fromKeyRef(s string) (custody.KeyRef, error) {
	if custody.CheckRef(custody.KeyRef(s)) != nil {
		return "", protocol("a key ref of %d bytes that is not printable ASCII of 1 to %d", len(s), custody.MaxRef)
	}
	return custody.KeyRef(s), nil
}

func fromDestruction(ref custody.KeyRef, a *pluginv1.DestroyResponse) (custody.Destruction, error) {
	d := custody.Destruction{Ref: ref, State: custody.KeyState(a.GetState()), Evidence: a.GetEvidence()}
	var err error
	if d.At, err = fromTime("at", a.GetAt()); err != nil {
		return d, err
	}
	if d.Until, err = fromTime("until", a.GetUntil()); err != nil {
		return d, err
	}
	switch {
	case a.GetRef() != string(ref):
		return d, protocol("it acknowledges the destruction of another key")
	case a.GetState() != pluginv1.KeyState_KEY_STATE_PENDING && a.GetState() != pluginv1.KeyState_KEY_STATE_DESTROYED:
		return d, protocol("it acknowledges a destruction with state %d", a.GetState())
	case d.At.IsZero():
		return d, protocol("it acknowledges a destruction without a time")
	case d.State == custody.Destroyed && !d.Until.IsZero():
		return d, protocol("it says of a destroyed key until when it lives")
	case d.State == custody.Pending && d.Until.IsZero() && len(d.Evidence) == 0:
		return d, protocol("it says neither until when a key lives nor what for")
	case len(d.Evidence) > custody.MaxEvidence:
		return d, protocol("evidence of %d bytes", len(d.Evidence))
	}
	return d, nil
}

func fromStatus(ref custody.KeyRef, a *pluginv1.StatusResponse) (custody.KeyStatus, error) {
	s := custody.KeyStatus{Ref: ref, Label: a.GetLabel(), State: custody.KeyState(a.GetState())}
	var err error
	if s.Since, err = fromTime("since", a.GetSince()); err != nil {
		return s, err
	}
	if s.Until, err = fromTime("until", a.GetUntil()); err != nil {
		return s, err
	}
	switch {
	case a.GetRef() != string(ref):
		return s, protocol("it tells the state of another key")
	case a.GetState() < 0 || a.GetState() > pluginv1.KeyState_KEY_STATE_DESTROYED:
		return s, protocol("it tells state %d of a key", a.GetState())
	case s.Label != "" && custody.CheckLabel(s.Label) != nil:
		return s, protocol("it tells a label that no key has")
	}
	return s, nil
}

func fromProfile(a *pluginv1.ProfileResponse) (custody.Profile, error) {
	p := custody.Profile{
		Instance: a.GetInstance(), Kind: a.GetKind(), Algorithm: a.GetAlgorithm(), Strength: int(a.GetStrength()), PostQuantum: a.GetPostQuantum(),
		KeyThroughHost: a.GetKeyThroughHost(), BackupRetention: a.GetBackupRetention(),
	}
	var err error
	if p.DeletionDelay, err = fromDuration("deletion_delay", a.GetDeletionDelay()); err != nil {
		return p, err
	}
	if p.Certificates, err = texts("certificates", a.GetCertificates()); err != nil {
		return p, err
	}
	if p.Notes, err = texts("notes", a.GetNotes()); err != nil {
		return p, err
	}
	if _, err := texts("its profile", []string{p.Algorithm, p.BackupRetention}); err != nil {
		return p, err
	}
	switch {
	case custody.CheckRef(custody.KeyRef(p.Instance)) != nil:
		return p, protocol("its instance id is not of the form of a key ref")
	case custody.CheckLabel(p.Kind) != nil:
		return p, protocol("its kind is not of the form of a label")
	case p.Strength <= 0 || p.DeletionDelay < 0:
		return p, protocol("a strength of %d bits, a deletion delay of %v", p.Strength, p.DeletionDelay)
	}
	return p, nil
}
