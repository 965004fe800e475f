//go:build linux

package tpm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/aivault/aivault/crypto/custody"
)

// chip is a connection to the TPM, for one call to the keeper.
type chip struct {
	conn   transport.TPMCloser
	salt   tpm2.TPMHandle // a key that sessions are salted with
	public tpm2.TPMTPublic
	first  uint32 // of the range of indices
	auth   []byte // of indices
	owner  func() ([]byte, error)
}

// openChip connects to the TPM behind a device or an emulator's socket.
func openChip(device string) (*chip, error) {
	info, err := os.Stat(device)
	var conn transport.TPMCloser
	switch {
	case err != nil:
	case info.Mode()&fs.ModeSocket != 0:
		conn, err = linuxudstpm.Open(device)
	default:
		conn, err = linuxtpm.Open(device)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the TPM: %w: %w", custody.ErrDenied, err)
	case err != nil:
		return nil, fmt.Errorf("the TPM: %w: %w", custody.ErrUnavailable, err)
	}
	c := &chip{conn: conn}
	primary, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHNull, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(conn)
	if err != nil {
		return nil, errors.Join(failed("making a session key", err), conn.Close())
	}
	c.salt = primary.ObjectHandle
	public, err := primary.OutPublic.Contents()
	if err != nil {
		return nil, errors.Join(failed("making a session key", err), c.close())
	}
	c.public = *public
	return c, nil
}

func (c *chip) close() error {
	_, err := tpm2.FlushContext{FlushHandle: c.salt}.Execute(c.conn)
	if err != nil {
		err = failed("ending a session", err)
	}
	return errors.Join(err, c.conn.Close())
}

// session authorises a command and encrypts its first parameter, the one of its
// answer, or both.
func (c *chip) session(auth []byte, encrypts tpm2.AuthOption) tpm2.Session {
	options := []tpm2.AuthOption{tpm2.Auth(auth), tpm2.Salted(c.salt, c.public)}
	if encrypts != nil {
		options = append(options, encrypts)
	}
	return tpm2.HMAC(tpm2.TPMAlgSHA256, 16, options...)
}

func encryptIn() tpm2.AuthOption  { return tpm2.AESEncryption(128, tpm2.EncryptIn) }
func encryptOut() tpm2.AuthOption { return tpm2.AESEncryption(128, tpm2.EncryptOut) }

// slot is a defined index of the range.
type slot struct {
	handle  tpm2.TPMHandle
	name    tpm2.TPM2BName
	written bool
}

// slots lists the indices of the range that are defined.
func (c *chip) slots() ([]slot, error) {
	got, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: c.first, PropertyCount: indices}.Execute(c.conn)
	if err != nil {
		return nil, failed("listing NV indices", err)
	}
	handles, err := got.CapabilityData.Data.Handles()
	if err != nil {
		return nil, failed("listing NV indices", err)
	}
	var out []slot
	for _, h := range handles.Handle {
		if uint32(h) < c.first || uint32(h) >= c.first+indices {
			continue
		}
		s, err := c.slot(h)
		if errors.Is(err, tpm2.TPMRCHandle) {
			continue
		}
		if err != nil {
			return nil, failed("reading about an NV index", err)
		}
		out = append(out, s)
	}
	return out, nil
}

func (c *chip) slot(h tpm2.TPMHandle) (slot, error) {
	r, err := tpm2.NVReadPublic{NVIndex: h}.Execute(c.conn)
	if err != nil {
		return slot{}, err
	}
	public, err := r.NVPublic.Contents()
	if err != nil {
		return slot{}, err
	}
	if int(public.DataSize) != anchorSize {
		return slot{}, fmt.Errorf("NV index %#x has %d bytes and is not this keeper's: %w", uint32(h), public.DataSize, custody.ErrUnfit)
	}
	return slot{h, r.NVName, public.Attributes.Written}, nil
}

// define makes an index of the range that is not defined, after the one of a
// handle. It takes the owner's authorisation.
func (c *chip) define(after tpm2.TPMHandle, taken []slot) (slot, error) {
	owner, err := c.owner()
	if err != nil {
		return slot{}, err
	}
	h := tpm2.TPMHandle(c.first)
	for i := range uint32(indices) {
		h = tpm2.TPMHandle(c.first + (uint32(after)-c.first+1+i)%indices)
		free := true
		for _, s := range taken {
			free = free && s.handle != h
		}
		if free {
			break
		}
	}
	_, err = tpm2.NVDefineSpace{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: c.session(owner, encryptIn())},
		Auth:       tpm2.TPM2BAuth{Buffer: c.auth},
		PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{NVIndex: h, NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(anchorSize),
			Attributes: tpm2.TPMANV{AuthWrite: true, AuthRead: true, NT: tpm2.TPMNTOrdinary, NoDA: true}}),
	}.Execute(c.conn)
	if err != nil {
		return slot{}, failed("defining an NV index, with the owner's authorisation", err)
	}
	s, err := c.slot(h)
	if err != nil {
		return slot{}, failed("reading about an NV index", err)
	}
	return s, nil
}

func (c *chip) write(s slot, data []byte) error {
	_, err := tpm2.NVWrite{
		AuthHandle: tpm2.AuthHandle{Handle: s.handle, Name: s.name, Auth: c.session(c.auth, encryptIn())},
		NVIndex:    tpm2.NamedHandle{Handle: s.handle, Name: s.name},
		Data:       tpm2.TPM2BMaxNVBuffer{Buffer: data},
	}.Execute(c.conn)
	if err != nil {
		return failed(fmt.Sprintf("writing NV index %#x", uint32(s.handle)), err)
	}
	return nil
}

func (c *chip) read(s slot) ([]byte, error) {
	r, err := tpm2.NVRead{
		AuthHandle: tpm2.AuthHandle{Handle: s.handle, Name: s.name, Auth: c.session(c.auth, encryptOut())},
		NVIndex:    tpm2.NamedHandle{Handle: s.handle, Name: s.name},
		Size:       uint16(anchorSize),
	}.Execute(c.conn)
	if err != nil {
		return nil, failed(fmt.Sprintf("reading NV index %#x", uint32(s.handle)), err)
	}
	return r.Data.Buffer, nil
}

// undefine overwrites an index, removes it, and makes sure that it is gone. It
// takes the owner's authorisation.
func (c *chip) undefine(s slot) error {
	owner, err := c.owner()
	if err != nil {
		return err
	}
	if err := c.write(s, make([]byte, anchorSize)); err != nil {
		return err
	}
	if s, err = c.slot(s.handle); err != nil { // its first write changed its name
		return failed("reading about an NV index", err)
	}
	_, err = tpm2.NVUndefineSpace{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: c.session(owner, nil)},
		NVIndex:    tpm2.NamedHandle{Handle: s.handle, Name: s.name},
	}.Execute(c.conn)
	if err != nil {
		return failed(fmt.Sprintf("undefining NV index %#x, with the owner's authorisation", uint32(s.handle)), err)
	}
	if _, err := c.slot(s.handle); !errors.Is(err, tpm2.TPMRCHandle) {
		return fmt.Errorf("NV index %#x was undefined, and the TPM still shows it (%v): %w", uint32(s.handle), err, custody.ErrUnavailable)
	}
	return nil
}

// about returns what the TPM calls itself: its manufacturer and its firmware.
func (c *chip) about() (string, error) {
	got, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(tpm2.TPMPTManufacturer), PropertyCount: 16}.Execute(c.conn)
	if err != nil {
		return "", failed("asking the TPM who it is", err)
	}
	list, err := got.CapabilityData.Data.TPMProperties()
	if err != nil {
		return "", failed("asking the TPM who it is", err)
	}
	value := map[tpm2.TPMPT]uint32{}
	for _, p := range list.TPMProperty {
		value[p.Property] = p.Value
	}
	word := func(p tpm2.TPMPT) string {
		var out []byte
		for shift := 24; shift >= 0; shift -= 8 {
			if b := byte(value[p] >> shift); b > ' ' && b <= '~' {
				out = append(out, b)
			}
		}
		return string(out)
	}
	v := value[tpm2.TPMPTFirmwareVersion1]
	return fmt.Sprintf("%s %s%s, firmware %d.%d", word(tpm2.TPMPTManufacturer), word(tpm2.TPMPTVendorString1), word(tpm2.TPMPTVendorString2), v>>16, v&0xffff), nil
}

// failed gives an error of the TPM its kind.
func failed(what string, err error) error {
	kind := custody.ErrUnavailable
	switch {
	case errors.Is(err, custody.ErrUnfit), errors.Is(err, custody.ErrDenied):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, tpm2.TPMRCAuthFail), errors.Is(err, tpm2.TPMRCBadAuth), errors.Is(err, tpm2.TPMRCLockout):
		kind = custody.ErrDenied
	}
	return fmt.Errorf("%s: %w: %w", what, kind, err)
}
