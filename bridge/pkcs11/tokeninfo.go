package pkcs11

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kaztoken/firmware"
)

// TokenFlags are those of CK_TOKEN_INFO.
type TokenFlags uint

// Flags of a token.
const (
	TokenRNG                TokenFlags = 0x000001
	TokenWriteProtected     TokenFlags = 0x000002
	TokenLoginRequired      TokenFlags = 0x000004
	TokenUserPINInitialized TokenFlags = 0x000008
	TokenInitialized        TokenFlags = 0x000400
	TokenUserPINCountLow    TokenFlags = 0x010000
	TokenUserPINFinalTry    TokenFlags = 0x020000
	TokenUserPINLocked      TokenFlags = 0x040000
	TokenUserPINToBeChanged TokenFlags = 0x080000
	TokenSOPINCountLow      TokenFlags = 0x100000
	TokenSOPINFinalTry      TokenFlags = 0x200000
	TokenSOPINLocked        TokenFlags = 0x400000
	TokenSOPINToBeChanged   TokenFlags = 0x800000
)

// TokenInfo is CK_TOKEN_INFO. What cannot be had is [Unavailable].
type TokenInfo struct {
	Label, ManufacturerID            string // at most 32 bytes
	Model, SerialNumber              string // at most 16 bytes
	Flags                            TokenFlags
	MaxSessions, Sessions            uint // no limit is 0
	MaxRWSessions, RWSessions        uint
	MaxPINLen, MinPINLen             uint
	TotalPublic, FreePublic          uint
	TotalPrivate, FreePrivate        uint
	HardwareVersion, FirmwareVersion [2]byte
}

// GetTokenInfo is C_GetTokenInfo. It costs no try of a PIN. While the token is at
// work for long, it tells what it told last.
func (m *Module) GetTokenInfo(id SlotID) (TokenInfo, error) {
	r, err := m.begin()
	if err != nil {
		return TokenInfo{}, err
	}
	s, err := r.slot(id)
	if err != nil {
		return TokenInfo{}, err
	}
	tok, err := s.open()
	if err != nil {
		return TokenInfo{}, err
	}
	defer tok.release()
	info, err := tok.info()
	if err != nil {
		return TokenInfo{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.token != tok {
		return TokenInfo{}, ErrTokenNotPresent
	}
	info.Sessions, info.RWSessions = uint(s.sessions), uint(s.writers)
	if s.mustChange[0] {
		info.Flags |= TokenSOPINToBeChanged
	}
	if s.mustChange[1] {
		info.Flags |= TokenUserPINToBeChanged
	}
	return info, nil
}

// patience is how long GetTokenInfo waits for a token that is at work: longer than
// a signature takes, and less than a person who looks at a window.
const patience = 2 * time.Second

func (t *token) info() (TokenInfo, error) {
	t.mu.Lock()
	last := t.last
	t.mu.Unlock()
	var info TokenInfo
	ask := func(ctx context.Context) error {
		i, err := t.fw.Info(ctx)
		if err == nil {
			info = tokenInfo(i, t.fw.Model())
		}
		return err
	}
	done, err := false, error(nil)
	if last != nil {
		if done, err = t.workSoon(patience, ask); !done {
			return *last, nil
		}
	} else {
		err = t.work(ask)
	}
	if err != nil {
		return TokenInfo{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = &info
	return info, nil
}

func tokenInfo(i firmware.Info, model firmware.Model) TokenInfo {
	t := TokenInfo{
		Label: i.Name.Value, ManufacturerID: i.Manufacturer.Value, Model: i.Model.Value,
		Flags:     TokenRNG | TokenLoginRequired,
		MaxPINLen: uint(model.MaxPIN), MinPINLen: 1,
		TotalPublic: Unavailable, FreePublic: Unavailable, TotalPrivate: Unavailable, FreePrivate: Unavailable,
		FirmwareVersion: version(i.Firmware.Value), HardwareVersion: version(i.Version.Value),
	}
	if i.ID.Known() {
		t.SerialNumber = fmt.Sprintf("%08X", i.ID.Value)
	}
	if i.TotalMemory.Known() {
		t.TotalPublic, t.TotalPrivate = uint(i.TotalMemory.Value), uint(i.TotalMemory.Value)
	}
	if i.FreeMemory.Known() {
		t.FreePublic, t.FreePrivate = uint(i.FreeMemory.Value), uint(i.FreeMemory.Value)
	}
	switch i.State {
	case firmware.StatePKCS15:
		t.Flags |= TokenInitialized | TokenUserPINInitialized
	case firmware.StateVendor: // its PINs can be used, and nothing else
		t.Flags |= TokenInitialized | TokenUserPINInitialized | TokenWriteProtected
	}
	if i.User.Known() {
		t.Flags |= pinFlags(i.User.Value, TokenUserPINCountLow, TokenUserPINFinalTry, TokenUserPINLocked)
		if n := i.User.Value.MinLength; n > 0 {
			t.MinPINLen = uint(n)
		}
	}
	if i.Admin.Known() {
		t.Flags |= pinFlags(i.Admin.Value, TokenSOPINCountLow, TokenSOPINFinalTry, TokenSOPINLocked)
	}
	return t
}

// pinFlags tell of the tries of a PIN.
func pinFlags(s firmware.PINStatus, low, final, locked TokenFlags) TokenFlags {
	switch {
	case s.Blocked:
		return locked
	case s.Left == 1 && s.Max != 1:
		return low | final
	case s.Left >= 0 && s.Left < s.Max:
		return low
	}
	return 0
}

// version reads the first two numbers of "20.04.21.00"; what is no number is 0.
func version(s string) (v [2]byte) {
	for i, part := range strings.SplitN(s, ".", 3) {
		if i == len(v) {
			break
		}
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return [2]byte{}
		}
		v[i] = byte(n)
	}
	return v
}
