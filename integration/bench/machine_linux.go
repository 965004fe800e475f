package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// peakOf returns the largest resident size that a process has had since it was
// given its program, in bytes; 0 if it has ended.
func peakOf(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return peakIn(status)
}

// peakIn reads VmHWM, in KiB, from /proc/PID/status.
func peakIn(status []byte) int64 {
	_, rest, ok := bytes.Cut(status, []byte("VmHWM:"))
	if !ok {
		return 0
	}
	f := bytes.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(f[0]), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// processorFlags names the instructions that hashing and sealing profit from.
func processorFlags() []string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil
	}
	return flagsIn(string(info))
}

func flagsIn(cpuinfo string) []string {
	_, rest, _ := strings.Cut(cpuinfo, "flags")
	line, _, _ := strings.Cut(rest, "\n")
	var out []string
	for _, f := range strings.Fields(line) {
		if slices.Contains([]string{"sha_ni", "avx2", "avx512f", "vaes", "bmi2", "aes"}, f) {
			out = append(out, f)
		}
	}
	return out
}

// free returns the bytes that may be written to a directory's file system.
func free(dir string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0
	}
	return int64(s.Bavail) * s.Bsize
}

// memoryDir is a directory in memory, or "".
func memoryDir() string {
	if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// used returns the processor time that this process has taken, in seconds.
func used() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(r.Utime) + seconds(r.Stime)
}

// createDirect creates a file that is written past the page cache, with room for
// size bytes.
func createDirect(name string, size int64) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_DIRECT, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
		f.Close()
		return nil, fmt.Errorf("reserving %d bytes: %w", size, err)
	}
	return f, nil
}

// aligned returns a buffer at a page boundary, as direct writes ask for.
func aligned(n int) []byte {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n)
	}
	for i := range b {
		b[i] = byte(i * (i >> 8)) // no file system takes it for a hole
	}
	return b
}
