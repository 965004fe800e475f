package s3

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent is how many bytes the kernel takes that it cannot send yet. Without a
// bound it takes megabytes, which a slow link needs minutes for, and the
// watchdog sees only that nothing moves. What is on its way does not count, so a
// fast link is not slowed down (Linux, tcp(7): TCP_NOTSENT_LOWAT).
const unsent = 256 << 10

func boundUnsent(_, _ string, c syscall.RawConn) error {
	// Where the kernel does not know the option, a slow link must do without.
	return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent) })
}
