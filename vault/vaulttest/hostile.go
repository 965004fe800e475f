package vaulttest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
)

// Hostile is storage in the hands of an adversary. It
// has the truth, and shows each client a view of its own. It is not safe for
// concurrent use.
type Hostile struct {
	Truth *mem.Store
}

// View returns a view for one client, honest until told otherwise.
func (h *Hostile) View() *View {
	return &View{Store: h.Truth, truth: h.Truth, own: map[string][]byte{}}
}

// View is the storage as one client sees it.
type View struct {
	backends.Store // for what the adversary leaves alone
	truth          *mem.Store
	own            map[string][]byte // what is shown in place of the truth; nil: nothing
	frozen         map[string]bool   // if not nil, of the truth only these keys are shown
	private        bool              // what the client puts is shown to it alone
	swallow        int               // so many puts are acknowledged and not stored
}

// Hide shows nothing under key.
func (v *View) Hide(key string) { v.own[key] = nil }

// Show shows body under key.
func (v *View) Show(key string, body []byte) { v.own[key] = append([]byte{}, body...) }

// Freeze shows listings and objects as they are now, whatever is written from
// now on by others.
func (v *View) Freeze() {
	if v.frozen == nil {
		v.frozen = map[string]bool{}
		for _, key := range v.truth.Keys() {
			v.frozen[key] = true
		}
	}
}

// Fork freezes the view, and shows what this client writes to nobody else.
func (v *View) Fork() {
	v.Freeze()
	v.private = true
}

// Swallow acknowledges the next n puts and stores nothing.
func (v *View) Swallow(n int) { v.swallow = n }

// Heal shows the truth again.
func (v *View) Heal() {
	clear(v.own)
	v.frozen, v.private, v.swallow = nil, false, 0
}

// Honest reports whether the view shows the truth.
func (v *View) Honest() bool {
	return len(v.own) == 0 && v.frozen == nil && !v.private && v.swallow == 0
}

// Join shows other's private branch, and lets both write to it.
func (v *View) Join(other *View) {
	v.own, v.frozen, v.private = other.own, other.frozen, other.private
}

// Keys returns the keys that the view shows below a prefix, in bytewise order.
func (v *View) Keys(prefix string) []string {
	shown := map[string]bool{}
	for _, key := range v.truth.Keys() {
		shown[key] = v.frozen == nil || v.frozen[key]
	}
	for key, body := range v.own {
		shown[key] = body != nil
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(shown)) {
		if shown[key] && strings.HasPrefix(key, prefix) {
			out = append(out, key)
		}
	}
	return out
}

// Read returns what the view shows under key; nil: nothing.
func (v *View) Read(key string) []byte {
	if body, ok := v.own[key]; ok {
		return body
	}
	if v.frozen != nil && !v.frozen[key] {
		return nil
	}
	r, _, err := v.truth.Get(context.Background(), backends.Ref{Key: key}, 0, -1)
	if err != nil {
		return nil
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return b
}

// Put implements [backends.Store].
func (v *View) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	info := backends.Info{Ref: backends.Ref{Key: key}, Size: int64(len(body))}
	switch {
	case v.swallow > 0:
		v.swallow--
		return info, nil
	case !v.private:
		return v.truth.Put(ctx, key, body)
	case v.Read(key) != nil:
		return backends.Info{}, &backends.Error{Op: "put", Key: key, Kind: backends.Exists}
	}
	v.Show(key, body)
	return info, nil
}

// Get implements [backends.Store].
func (v *View) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	body := v.Read(ref.Key)
	size := int64(len(body))
	switch {
	case body == nil:
		return nil, backends.Info{}, &backends.Error{Op: "get", Key: ref.Key, Kind: backends.NotExist}
	case off < 0 || off > size:
		return nil, backends.Info{}, &backends.Error{Op: "get", Key: ref.Key, Kind: backends.Invalid, Err: fmt.Errorf("offset %d of %d bytes", off, size)}
	case n < 0 || n > size-off:
		n = size - off
	}
	return io.NopCloser(bytes.NewReader(body[off : off+n])), backends.Info{Ref: backends.Ref{Key: ref.Key}, Size: size}, ctx.Err()
}

// List implements [backends.Store]. It has no versions to list.
func (v *View) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		n, last := 0, ""
		for _, key := range v.Keys(prefix) {
			info := backends.Info{Ref: backends.Ref{Key: key}, Size: int64(len(v.Read(key)))}
			if slash := strings.IndexByte(key[len(prefix):], '/'); o.OneLevel && slash >= 0 {
				info = backends.Info{Ref: backends.Ref{Key: key[:len(prefix)+slash+1]}}
			}
			if info.Key == last {
				continue
			}
			if last = info.Key; !yield(info, ctx.Err()) || ctx.Err() != nil {
				return
			}
			if n++; o.Limit > 0 && n == o.Limit {
				return
			}
		}
	}
}
