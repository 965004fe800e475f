//go:build linux

package transfer_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aivault/aivault/vault/transfer"
)

// cpu is the processor time that this process has taken.
func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// directRate writes as much as a pull does around the page cache, and returns how
// long that takes.
func directRate(b *testing.B, name string, n int) time.Duration {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|syscall.O_DIRECT, 0o666)
	if err != nil {
		b.Fatal(err)
	}
	defer os.Remove(name)
	defer f.Close()
	buf, err := syscall.Mmap(-1, 0, 4*mib, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		b.Fatal(err)
	}
	defer syscall.Munmap(buf)
	copy(buf, cheap(7, 4*mib))
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(n)); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	for at := 0; at < n; at += len(buf) {
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// bufferedCost is the processor time of writing as much as a pull does to memory.
func bufferedCost(b *testing.B, name string, data []byte, times int) time.Duration {
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer os.Remove(name)
	defer f.Close()
	before := cpu(b)
	for range times {
		for at := 0; at < len(data); at += 4 * mib {
			if _, err := f.Write(data[at : at+4*mib]); err != nil {
				b.Fatal(err)
			}
		}
	}
	return cpu(b) - before
}

// BenchmarkPull pulls 512 MiB in two files from memory, to memory and to the
// directory for temporary files. Round by round it compares with SHA-256 by
// processor time: of all (SHA-256/cpu), and of what is not writing to memory
// (SHA-256/cpu-unwritten), as that costs about as much as a hash itself; and with
// direct writes by the clock (direct).
func BenchmarkPull(b *testing.B) {
	const size = 512 * mib
	data := []byte(cheap(1, size/2))
	src := b.TempDir()
	write(b, src+"/a", data)
	write(b, src+"/b", []byte(cheap(2, size/2)))
	v := newVault(b)
	s, _ := v.push(src, nil)
	for name, dir := range map[string]string{"memory": "/dev/shm", "disk": os.TempDir()} {
		b.Run(name, func(b *testing.B) {
			dir, err := os.MkdirTemp(dir, "pull")
			if err != nil {
				b.Fatal(err)
			}
			defer os.RemoveAll(dir)
			var pull, sum, wall, direct, written time.Duration
			for b.Loop() {
				before := cpu(b)
				for range 2 {
					sha256.Sum256(data)
				}
				sum += cpu(b) - before
				if name == "memory" {
					written += bufferedCost(b, filepath.Join(dir, "written"), data, 2)
				} else {
					direct += directRate(b, filepath.Join(dir, "direct"), size)
				}
				before = cpu(b)
				start := time.Now()
				mustPull(b, s, filepath.Join(dir, "dest"), transfer.PullOptions{})
				wall += time.Since(start)
				pull += cpu(b) - before
				if err := os.RemoveAll(filepath.Join(dir, "dest")); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(sum)/float64(pull), "SHA-256/cpu")
			b.ReportMetric(float64(b.N)*size/1e6/wall.Seconds(), "MB/s")
			if name == "memory" {
				b.ReportMetric(float64(sum)/float64(pull-written), "SHA-256/cpu-unwritten")
			} else {
				b.ReportMetric(float64(direct)/float64(wall), "direct")
			}
		})
	}
}
