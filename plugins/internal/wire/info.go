package wire

import (
	"unicode/utf8"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/plugins/pluginv1"
)

func toRef(r backends.Ref) *pluginv1.Ref { return &pluginv1.Ref{Key: r.Key, Version: r.Version} }

func toInfo(in backends.Info) *pluginv1.Info {
	return &pluginv1.Info{
		Ref: toRef(in.Ref), Size: in.Size, Modified: toTime(in.Modified), Marker: in.Marker, RetainUntil: toTime(in.RetainUntil),
	}
}

// fromInfo reads what a plugin says of an object. The key is for the caller to
// judge.
func fromInfo(in *pluginv1.Info) (backends.Info, error) {
	var out backends.Info
	var err error
	if out.Ref, err = fromRef(in.GetRef()); err != nil {
		return out, err
	}
	if out.Size, out.Marker = in.GetSize(), in.GetMarker(); out.Size < 0 {
		return out, protocol("an object of %d bytes", out.Size)
	}
	if out.Modified, err = fromTime("modified", in.GetModified()); err != nil {
		return out, err
	}
	out.RetainUntil, err = fromTime("retain_until", in.GetRetainUntil())
	return out, err
}

func fromRef(r *pluginv1.Ref) (backends.Ref, error) {
	if err := checkVersion(r.GetVersion()); err != nil {
		return backends.Ref{}, protocol("%v", err)
	}
	return backends.Ref{Key: r.GetKey(), Version: r.GetVersion()}, nil
}

type badVersion string

func (b badVersion) Error() string { return string(b) }

// checkVersion refuses a version that cannot cross the wire.
func checkVersion(v string) error {
	if len(v) > maxVersion || !utf8.ValidString(v) {
		return badVersion("the version of an object is UTF-8 of at most 1,024 bytes")
	}
	return nil
}
