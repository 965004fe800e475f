package bulk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aivault/aivault/plugins/internal/bulk"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transfer returns body as a sender sends it.
func transfer(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	s := bulk.NewSender(&b)
	if n, err := s.Write(body); n != len(body) || err != nil {
		t.Fatalf("%d of %d bytes, %v", n, len(body), err)
	}
	if err := s.End(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 256 << 10, 256<<10 + 1, 3 << 20} {
		body := bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
		sent := transfer(t, body)
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(sent), "halves": iotest.HalfReader(bytes.NewReader(sent)), "with its end": iotest.DataErrReader(bytes.NewReader(sent))} {
			got, err := io.ReadAll(bulk.NewReceiver(r, int64(n)))
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes, %s: %d came, %v", n, name, len(got), err)
			}
		}
	}
}

func TestSenderTellsWhatFailed(t *testing.T) {
	r, w := io.Pipe()
	r.CloseWithError(io.ErrClosedPipe)
	if _, err := bulk.NewSender(w).Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func frame(n uint32, bytes string) string {
	return string(binary.BigEndian.AppendUint32(nil, n)) + bytes
}

func TestMalformed(t *testing.T) {
	end := frame(0, "")
	for what, c := range map[string]struct {
		sent string
		n    int64
		want error
	}{
		"nothing":                {"", 0, io.ErrUnexpectedEOF},
		"no end":                 {frame(3, "abc"), 3, io.ErrUnexpectedEOF},
		"half a length":          {frame(3, "abc") + "\x00\x00", 3, io.ErrUnexpectedEOF},
		"half a frame":           {frame(3, "ab"), 3, io.ErrUnexpectedEOF},
		"end at once":            {end, 3, bulk.ErrFrame},
		"end too early":          {frame(2, "ab") + end, 3, bulk.ErrFrame},
		"more than announced":    {frame(4, "abcd") + end, 3, bulk.ErrFrame},
		"more in a second frame": {frame(3, "abc") + frame(1, "d") + end, 3, bulk.ErrFrame},
		"a frame too large":      {frame(bulk.MaxFrame+1, strings.Repeat("x", bulk.MaxFrame+1)) + end, bulk.MaxFrame + 1, bulk.ErrFrame},
		"a length of 4 GiB":      {frame(1<<32-1, "abc"), 1 << 40, bulk.ErrFrame},
	} {
		r := bulk.NewReceiver(strings.NewReader(c.sent), c.n)
		if got, err := io.ReadAll(r); !errors.Is(err, c.want) || int64(len(got)) > c.n {
			t.Errorf("%s: %d bytes, %v, want at most %d and %v", what, len(got), err, c.n, c.want)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, c.want) {
			t.Errorf("%s, read again: %v, want %v", what, err, c.want)
		}
	}
}

// FuzzReceiver: whatever comes, no more than the announced bytes are given out,
// and an end without an error means that it was one transfer of just so many.
func FuzzReceiver(f *testing.F) {
	f.Add([]byte(frame(3, "abc")+frame(0, "")), int64(3))
	f.Add([]byte(frame(1, "a")+frame(2, "bc")+frame(0, "")), int64(3))
	f.Add([]byte(frame(1<<31, "a")), int64(1<<32))
	f.Add([]byte(frame(0, "")), int64(0))
	f.Fuzz(func(t *testing.T, sent []byte, n int64) {
		n = max(0, n)
		got, err := io.ReadAll(bulk.NewReceiver(bytes.NewReader(sent), n))
		if int64(len(got)) > n {
			t.Fatalf("%d bytes of %d", len(got), n)
		}
		if err != nil {
			return
		}
		if int64(len(got)) != n {
			t.Fatalf("ended without an error after %d of %d bytes", len(got), n)
		}
		var again []byte
		for rest := sent; ; {
			size := binary.BigEndian.Uint32(rest)
			if rest = rest[4:]; size == 0 {
				break
			}
			again, rest = append(again, rest[:size]...), rest[size:]
		}
		if !bytes.Equal(again, got) {
			t.Fatal("the bytes of the frames are not the bytes that were given out")
		}
	})
}
