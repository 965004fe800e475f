// Package wire translates between the contracts [backends.Store],
// [custody.Keeper] and [scan.Scanner] and the messages of aivault.plugin.v1. It is the only place
// that knows both. The side of a plugin serves an implementation ([Serve]); the
// side of aivault is one more implementation ([Store], [Keeper], [Scanner]), which takes
// every answer for hostile until it has been held to plugins/PROTOCOL.md.
package wire

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
)

// Limits of plugins/PROTOCOL.md §3.
const (
	// MaxMessage is the largest message of either side, in bytes.
	MaxMessage = 1 << 20
	// MaxConfig is the longest configuration of a plugin, in bytes.
	MaxConfig = 4 << 10

	maxPiece   = MaxMessage - 4<<10 // bytes of an object in one message
	maxVersion = 1024               // bytes of the version of an object
	maxText    = 1024               // bytes of a text for people
	maxTexts   = 64                 // of one kind in one message
	pageSize   = 256                // results in one message
	eraseSize  = 1000               // keys in one message
)

// BulkCapability is what a plugin names that can take and give bytes over the
// bulk socket.
const BulkCapability = "bulk.1"

// ErrProtocol: a plugin's answer is not one that plugins/PROTOCOL.md allows.
var ErrProtocol = errors.New("plugin breaks the protocol")

// Session is a plugin that runs and is open.
type Session struct {
	Conn grpc.ClientConnInterface
	Bulk string // address of its bulk socket; empty: bytes go over Conn
	PID  int    // of the process that must own that socket
}

// Connect returns the session that a call is to use. It is called once a call,
// concurrently, and observes ctx.
type Connect func(ctx context.Context) (Session, error)

// Options says how the side of aivault behaves.
type Options struct {
	// Stall ends a call after so long without an answer, or in a transfer without
	// a byte. It must be positive.
	Stall time.Duration
	// Now is this machine's clock.
	Now func() time.Time
}

// The handshake of go-plugin: plugins/PROTOCOL.md §2. The cookie keeps people
// from running a plugin by hand; it is no secret.
const (
	CookieKey       = "AIVAULT_PLUGIN"
	CookieValue     = "aivault.plugin.v1"
	ProtocolVersion = 1
	ServiceName     = "aivault"
)
