package transfer

import (
	"context"
	"crypto/sha256"
	"hash"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/gear"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/modelfile"
)

// readStep is how much is read at once where cuts depend on content: what was read
// beyond a cut, less than this, is copied into the next buffer.
const readStep = 1 << 20

// onePiece is the size up to which a file is not cut by content.
const onePiece = 8 << 20

// large reads a large file piece by piece. Each piece is stored in the
// background, while another goroutine adds it to the file's SHA-256.
func (r *run) large(ctx context.Context, g *errgroup.Group, i int) (err error) {
	src := &r.tree.sources[i]
	f, err := open(ctx, src)
	if err != nil {
		return err
	}
	defer f.Close()
	spans, err := r.spans(f, i)
	if err != nil {
		return err
	}
	l := &largeFile{run: r, ctx: ctx, group: g, file: f, index: i, pieces: make(chan piece)}
	hashed := make(chan hash.Hash, 1)
	go func() { hashed <- l.hash() }()
	for _, s := range spans {
		if s.piece || r.Padded {
			err = l.fixed(s)
		} else {
			err = l.byContent(s)
		}
		if err != nil {
			break
		}
	}
	close(l.pieces)
	sum := <-hashed
	if err != nil {
		return err
	}
	sum.Sum(r.files[i].sum[:0])
	if err := f.end(); err != nil {
		return err
	}
	r.meter.add(Progress{Files: 1})
	return nil
}

// spans decides how a large file is cut, and notes its tensors.
func (r *run) spans(f *sourceFile, i int) ([]span, error) {
	r.layouts.Lock()
	defer r.layouts.Unlock()
	src := &r.tree.sources[i]
	l, err := layout(f, src.stamp.size, src.path)
	if err != nil {
		return nil, err
	}
	if l == nil {
		return []span{{length: src.stamp.size, piece: src.stamp.size <= onePiece}}, nil
	}
	r.noteTensors(i, l)
	return planTensors(l, src.stamp.size, manifest.NewCutter(r.cut), r.Padded), nil
}

// noteTensors notes the tensors of a file, unless the version has too many already.
func (r *run) noteTensors(i int, l *modelfile.Layout) {
	if n := int64(len(l.Tensors)); n > 0 && r.tensors.Add(n) <= maxTensors {
		r.files[i].more().tensors = tensorsOf(l, r.tree.sources[i].path)
	}
}

// largeFile is a large file in reading.
type largeFile struct {
	run    *run
	ctx    context.Context
	group  *errgroup.Group
	file   *sourceFile
	index  int
	pieces chan piece // to be hashed, in order
}

// piece is a buffer that two goroutines work on.
type piece struct {
	data    []byte
	release func()
}

// hash returns the SHA-256 of all pieces.
func (l *largeFile) hash() hash.Hash {
	sum := sha256.New()
	for p := range l.pieces {
		sum.Write(p.data)
		p.release()
		l.run.meter.add(Progress{Bytes: int64(len(p.data))})
	}
	return sum
}

// fixed reads a span that is one piece, or is cut into the longest.
func (l *largeFile) fixed(s span) error {
	for left := s.length; left > 0; {
		buf, err := l.run.plain.get(l.ctx)
		if err != nil {
			return err
		}
		buf = buf[:min(left, manifest.MaxChunk)]
		if err := l.file.read(buf); err != nil {
			l.run.plain.put(buf)
			return err
		}
		left -= int64(len(buf))
		l.store(buf, s.kind)
	}
	return nil
}

// byContent reads a span and cuts it where its bytes say.
func (l *largeFile) byContent(s span) error {
	buf, err := l.run.plain.get(l.ctx)
	if err != nil {
		return err
	}
	cut := gear.NewCutter(l.run.gear)
	seen := 0 // bytes of buf that the cutter has been given
	for left := s.length; left > 0 || len(buf) > 0; {
		if seen == len(buf) && left > 0 {
			n := int(min(left, readStep, int64(cap(buf)-len(buf))))
			buf = buf[:len(buf)+n]
			if err := l.file.read(buf[seen:]); err != nil {
				l.run.plain.put(buf)
				return err
			}
			left -= int64(n)
		}
		n, end := cut.Next(buf[seen:])
		if seen += n; !end && left > 0 {
			continue
		}
		over := buf[seen:]
		var next []byte
		if len(over) > 0 || left > 0 {
			if next, err = l.run.plain.get(l.ctx); err != nil {
				l.run.plain.put(buf)
				return err
			}
			next = append(next, over...)
		}
		l.store(buf[:seen], s.kind)
		if buf, seen = next, 0; buf == nil {
			return nil
		}
	}
	return nil
}

// store stores a piece, the next of the file, and has it hashed.
func (l *largeFile) store(buf []byte, kind codec.Kind) {
	r, n := l.run, int64(len(buf))
	var users atomic.Int32
	users.Store(2)
	release := func() {
		if users.Add(-1) == 0 {
			r.plain.put(buf)
		}
	}
	r.mu.Lock()
	file := r.files[l.index].more()
	k := len(file.pieces)
	file.pieces = append(file.pieces, manifest.Piece{Length: n})
	r.mu.Unlock()
	l.group.Go(func() error {
		c, err := r.storeData(l.ctx, buf, kind, release)
		r.mu.Lock()
		defer r.mu.Unlock()
		file.pieces[k].Chunk = c
		return err
	})
	l.pieces <- piece{buf, release}
}
