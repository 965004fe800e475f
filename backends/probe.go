package backends

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
)

// Objects is the part of a [Store] that [ProbeStore] exercises.
type Objects interface {
	Put(ctx context.Context, key string, body []byte) (Info, error)
	Get(ctx context.Context, ref Ref, off, n int64) (io.ReadCloser, Info, error)
	List(ctx context.Context, prefix string, o ListOptions) iter.Seq2[Info, error]
	Erase(ctx context.Context, keys ...string) ([]Remnant, error)
}

// ProbeStore measures what every store can be measured for, in some 100
// requests and 2 MiB: PutIfAbsent, ReadAfterWrite, BytesIntact, OrderedList,
// EraseWorks and ClockSkew; Locked where a lock retained what it erased. It
// works under "probe/" and a random name and erases that when done; what a lock
// retained stays and is noted. All other fields are the implementation's.
//
// A measurement that comes out badly is a false field and a note. An error
// means that the store could not be measured, as with credentials that may not
// do all of it; the fields measured before stand.
//
// A race is between goroutines of this process, and no listing reaches a second
// page of 1,000 keys: the conformance suite does what is too slow here.
func ProbeStore(ctx context.Context, s Objects, now func() time.Time) (Capabilities, error) {
	var id [8]byte
	rand.Read(id[:])
	p := &probe{Objects: s, now: now, prefix: "probe/" + hex.EncodeToString(id[:]) + "/"}
	err := p.measure(ctx)
	if cerr := p.clean(ctx); cerr != nil {
		p.note("objects under %s could not be erased", p.prefix)
		err = errors.Join(err, cerr)
	}
	if err != nil {
		return p.Capabilities, &Error{Op: "probe", Key: p.prefix, Kind: probeKind(err), Err: err}
	}
	return p.Capabilities, nil
}

func probeKind(err error) Kind {
	if k := KindOf(err); k != 0 {
		return k
	}
	return Unavailable
}

type probe struct {
	Objects
	Capabilities
	now    func() time.Time
	prefix string

	mu   sync.Mutex
	keys []string
}

// unfit is a measurement that came out badly, as opposed to a failure to measure.
type unfit string

func (u unfit) Error() string { return string(u) }

func unfitf(format string, args ...any) error { return unfit(fmt.Sprintf(format, args...)) }

func (p *probe) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// measure takes the measurements in an order in which the first shows, with one
// object, whether these credentials can clean up after themselves.
func (p *probe) measure(ctx context.Context) error {
	for _, m := range []struct {
		ok  *bool
		run func(context.Context) error
	}{
		{&p.EraseWorks, p.eraseWorks},
		{&p.PutIfAbsent, p.putIfAbsent},
		{&p.ReadAfterWrite, p.readAfterWrite},
		{&p.BytesIntact, p.bytesIntact},
		{&p.OrderedList, p.orderedList},
	} {
		err := m.run(ctx)
		if u, bad := errors.AsType[unfit](err); bad {
			p.note("%s", u)
			continue
		}
		if err != nil {
			return err
		}
		*m.ok = true
	}
	p.note("listings beyond one page of 1,000 keys were not measured")
	return nil
}

// clean erases every key that was put, also when ctx has ended.
func (p *probe) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	slices.Sort(p.keys)
	rem, err := p.Erase(ctx, slices.Compact(p.keys)...)
	if err != nil || len(rem) == 0 {
		return err
	}
	last := slices.MaxFunc(rem, func(a, b Remnant) int { return a.Until.Compare(b.Until) })
	until := "an unknown date"
	if !last.Until.IsZero() {
		p.Locked, until = true, last.Until.Format(time.RFC3339)
	}
	p.note("object versions retained under %s: %d, until %s: %s", p.prefix, len(rem), until, last.Why)
	return nil
}

func (p *probe) put(ctx context.Context, name string, body []byte) (Info, error) {
	p.mu.Lock()
	p.keys = append(p.keys, p.prefix+name)
	p.mu.Unlock()
	return p.Put(ctx, p.prefix+name, body)
}

// read returns a whole object, or part of it.
func (p *probe) read(ctx context.Context, name string, off, n int64) ([]byte, Info, error) {
	r, in, err := p.Get(ctx, Ref{Key: p.prefix + name}, off, n)
	if err != nil {
		return nil, in, err
	}
	defer r.Close()
	buf := bytes.NewBuffer(make([]byte, 0, max(0, min(in.Size, MaxObject))+bytes.MinRead))
	_, err = buf.ReadFrom(io.LimitReader(r, MaxObject+1))
	return buf.Bytes(), in, err
}

func (p *probe) names(ctx context.Context, name string, o ListOptions) ([]string, error) {
	var out []string
	for in, err := range p.List(ctx, p.prefix+name, o) {
		if err != nil {
			return out, err
		}
		out = append(out, strings.TrimPrefix(in.Key, p.prefix))
	}
	return out, nil
}

func (p *probe) eraseWorks(ctx context.Context) error {
	for _, body := range []string{"first", "second"} {
		sent := p.now()
		if _, err := p.put(ctx, "erase", []byte(body)); errors.Is(err, Exists) {
			return unfitf("an erased key cannot be put again: %v", err)
		} else if err != nil {
			return err
		}
		answered := p.now()
		_, in, err := p.read(ctx, "erase", 0, -1)
		if err != nil && !errors.Is(err, NotExist) {
			return err
		}
		if !in.Modified.IsZero() {
			p.ClockSkew = in.Modified.Sub(sent.Add(answered.Sub(sent) / 2))
		}
		rem, err := p.Erase(ctx, p.prefix+"erase")
		if err != nil {
			return err
		}
		for v, err := range p.List(ctx, p.prefix+"erase", ListOptions{Versions: true}) {
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(rem, func(r Remnant) bool { return r.Ref == v.Ref }) {
				return unfitf("an erased object is still listed (version %q, marker: %v)", v.Version, v.Marker)
			}
		}
		if len(rem) > 0 {
			return nil // a lock: the key stays in use
		}
		if _, _, err := p.read(ctx, "erase", 0, -1); err == nil {
			return unfitf("an erased object can still be read")
		} else if !errors.Is(err, NotExist) {
			return err
		}
	}
	return nil
}

func (p *probe) putIfAbsent(ctx context.Context) error {
	const rounds, racers = 4, 8
	for round := range rounds {
		name := fmt.Sprintf("race%d", round)
		bodies, errs := make([][]byte, racers), make([]error, racers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range racers {
			bodies[i] = bytes.Repeat([]byte{byte('a' + i)}, 4096+i)
			wg.Go(func() {
				<-start
				_, errs[i] = p.put(ctx, name, bodies[i])
			})
		}
		close(start)
		wg.Wait()
		var won []int
		for i, err := range errs {
			switch {
			case err == nil:
				won = append(won, i)
			case !errors.Is(err, Exists):
				return err
			}
		}
		if len(won) != 1 {
			return unfitf("of %d racing writers %d were told that they won", racers, len(won))
		}
		for _, late := range [][]byte{bodies[won[0]], []byte("late")} {
			if _, err := p.put(ctx, name, late); err == nil {
				return unfitf("a put over an existing object was accepted")
			} else if !errors.Is(err, Exists) {
				return err
			}
		}
		if got, _, err := p.read(ctx, name, 0, -1); err != nil {
			return err
		} else if !bytes.Equal(got, bodies[won[0]]) {
			return unfitf("after a race the object is not the winner's")
		}
	}
	return nil
}

func (p *probe) readAfterWrite(ctx context.Context) error {
	for i := range 4 {
		// Asking first fills whatever remembers that the key was absent.
		name := fmt.Sprintf("fresh/%d", i)
		if _, _, err := p.read(ctx, name, 0, -1); !errors.Is(err, NotExist) {
			return cmp.Or[error](err, unfitf("a key that never was can be read"))
		}
		if names, err := p.names(ctx, name, ListOptions{}); err != nil || len(names) > 0 {
			return cmp.Or[error](err, unfitf("a key that never was is listed"))
		}
		if _, err := p.put(ctx, name, []byte(name)); err != nil {
			return err
		}
		if got, _, err := p.read(ctx, name, 0, -1); errors.Is(err, NotExist) || err == nil && string(got) != name {
			return unfitf("an object just written cannot be read")
		} else if err != nil {
			return err
		}
		if names, err := p.names(ctx, name, ListOptions{}); err != nil || !slices.Equal(names, []string{name}) {
			return cmp.Or[error](err, unfitf("an object just written is not listed"))
		}
	}
	return nil
}

func (p *probe) bytesIntact(ctx context.Context) error {
	noise := make([]byte, 2<<20+3)
	rand.Read(noise)
	for i, body := range [][]byte{
		{},
		[]byte("\r\n5;chunk-signature=0\r\n\x00\xff"),
		noise[:64<<10],
		noise,
	} {
		name := fmt.Sprintf("bytes%d", i)
		if _, err := p.put(ctx, name, body); errors.Is(err, Invalid) {
			return unfitf("an object of %d bytes is refused: %v", len(body), err)
		} else if err != nil {
			return err
		}
		got, in, err := p.read(ctx, name, 0, -1)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, body) || in.Size != int64(len(body)) {
			return unfitf("an object of %d bytes came back as other bytes (%d of them)", len(body), len(got))
		}
	}
	const off, n = 1 << 20, 70_000
	got, _, err := p.read(ctx, "bytes3", off, n)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, noise[off:off+n]) {
		return unfitf("a ranged get of %d bytes from %d gave other bytes (%d of them)", n, off, len(got))
	}
	return nil
}

func (p *probe) orderedList(ctx context.Context) error {
	var all []string
	for _, name := range []string{"b/x/y", "b.x", "b-x/y", "a0", "bb", "b/x-y", "b0/x", "b/x.y", "b-", "b/0"} {
		all = append(all, "order/"+name)
		if _, err := p.put(ctx, "order/"+name, []byte(name)); err != nil {
			return err
		}
	}
	slices.Sort(all)
	for _, c := range []struct {
		prefix string
		o      ListOptions
		want   []string
	}{
		{"order/", ListOptions{}, all},
		{"order/b", ListOptions{Limit: 3}, all[1:4]},
		{"order/", ListOptions{OneLevel: true}, []string{"order/a0", "order/b-", "order/b-x/", "order/b.x", "order/b/", "order/b0/", "order/bb"}},
		{"order/", ListOptions{Versions: true}, all},
	} {
		got, err := p.names(ctx, c.prefix, c.o)
		if err != nil {
			return err
		}
		if !slices.Equal(got, c.want) {
			return unfitf("a listing of %d keys came as %q, want %q", len(c.want), got, c.want)
		}
	}
	return nil
}
