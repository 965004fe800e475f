package transfer

import (
	"errors"
	"os"
	"syscall"
)

// leastDirect is the shortest run of bytes worth a direct write.
const leastDirect = 1 << 20

// write writes data at an offset of a staged file that has size bytes in the
// end. It returns the file, open, buffered. Whole blocks of a large file go
// around the page cache where the file system allows that: it costs a tenth of
// the processor time. They can if data lies in memory as it will lie in the
// file: as far into a block.
func (d *destination) write(name string, data []byte, at, size int64) (*os.File, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	first, last := int64(0), int64(0) // of data, whole blocks
	if size > smallFile && int64(misaligned(data)) == at%block {
		first = -at & (block - 1)
		last = max(first, int64(len(data))-(at+int64(len(data)))%block)
	}
	if last-first >= leastDirect && directFlag != 0 && !d.buffered.Load() {
		err = d.writeDirect(name, data[first:last], at+first)
		if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
			d.buffered.Store(true)
			err, last = nil, first
		}
	} else {
		last = first
	}
	if err == nil && first > 0 {
		_, err = f.WriteAt(data[:first], at)
	}
	if err == nil && last < int64(len(data)) {
		_, err = f.WriteAt(data[last:], at+last)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d *destination) writeDirect(name string, data []byte, at int64) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|directFlag, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, at)
	return errors.Join(err, f.Close())
}
