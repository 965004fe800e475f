package transfer

import (
	"bytes"
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/manifest"
)

// group reads small files into one buffer and stores it as a chunk, in the
// background.
func (r *run) group(ctx context.Context, g *errgroup.Group, members []int) {
	buf, err := r.plain.get(ctx)
	if err != nil {
		return // ctx has ended, and data says so
	}
	g.Go(func() error {
		release := func() { r.plain.put(buf) }
		for _, i := range members {
			var err error
			if buf, err = r.readSmall(ctx, buf, i); err != nil {
				release()
				return err
			}
		}
		c := new(manifest.Chunk)
		if len(buf) > 0 {
			if c, err = r.storeData(ctx, buf, codec.Unknown, release); err != nil {
				return err
			}
		} else {
			release()
		}
		off := int64(0)
		for _, i := range members {
			if size := r.tree.sources[i].stamp.size; size > 0 {
				r.files[i].whole = manifest.Piece{Chunk: c, Offset: off, Length: size}
				off += size
			}
		}
		r.meter.add(Progress{Files: int64(len(members)), Bytes: off})
		return nil
	})
}

// readSmall appends a file to buf and notes its SHA-256 and its tensors.
func (r *run) readSmall(ctx context.Context, buf []byte, i int) ([]byte, error) {
	src := &r.tree.sources[i]
	start := len(buf)
	buf = buf[:start+int(src.stamp.size)]
	content := buf[start:]
	if err := src.readAll(ctx, content); err != nil {
		return buf[:start], err
	}
	r.files[i].sum = canonical.Sum(content)
	l, err := layout(bytes.NewReader(content), src.stamp.size, src.path)
	if err != nil {
		return buf[:start], err
	}
	if l != nil {
		r.noteTensors(i, l)
	}
	return buf, nil
}

// readAll reads a file that must still be what was scanned into b, which is as
// long.
func (s *source) readAll(ctx context.Context, b []byte) error {
	if s.data != nil {
		copy(b, s.data)
		return nil
	}
	f, err := open(ctx, s)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.read(b); err != nil {
		return err
	}
	return f.end()
}
