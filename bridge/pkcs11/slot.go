package pkcs11

import (
	"context"
	"slices"
	"sync"
	"time"
)

// SlotID is a CK_SLOT_ID.
type SlotID uint

// SlotFlags are those of CK_SLOT_INFO.
type SlotFlags uint

// Flags of a slot.
const (
	SlotTokenPresent    SlotFlags = 1
	SlotRemovableDevice SlotFlags = 2
	SlotHardware        SlotFlags = 4
)

// SlotInfo is CK_SLOT_INFO.
type SlotInfo struct {
	Description    string // at most 64 bytes
	ManufacturerID string // at most 32 bytes
	Flags          SlotFlags
	Hardware       [2]byte
	Firmware       [2]byte
}

// slot is a place for a token. It stays until Finalize.
type slot struct {
	run *run
	id  SlotID

	opening sync.Mutex // held while the token is opened; taken before a token's turn

	// All following fields are guarded by run.mu.
	reader   *Reader // nil while there is no token
	name     string  // of the reader that was there last
	token    *token  // nil while it is not open
	event    bool    // WaitForSlotEvent has not told of a change yet
	sessions int     // of token
	writers  int     // those that are read-write
	login    login   // of token
	objects  map[ObjectHandle]*object
	// mustChange: the PIN of that role is the one of delivery, as far as was seen.
	mustChange [2]bool
}

// maxSlots is how many slots there may be before one without a token is used for
// a reader that was never there.
const maxSlots = 16

// look asks the source what is there and brings the slots up to it.
func (r *run) look(ctx context.Context) ([]Reader, error) {
	r.looking.Lock()
	defer r.looking.Unlock()
	now, err := r.source.Readers(ctx)
	if r.ctx.Err() != nil {
		return nil, ErrCryptokiNotInitialized
	}
	if err != nil {
		now = nil // whatever the reason, no token can be found
	}
	r.mu.Lock()
	slots := slices.Clone(r.slots)
	r.mu.Unlock()
	for _, s := range slots {
		r.mu.Lock()
		reader, tok := s.reader, s.token
		r.mu.Unlock()
		if reader == nil {
			continue
		}
		stays := slices.ContainsFunc(now, func(n Reader) bool { return n.Name == reader.Name && n.Instance == reader.Instance })
		if err != nil && tok != nil {
			stays = true // its connection says when it goes
		}
		if !stays || tok != nil && tok.gone() {
			r.vacate(s, reader)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaving = slices.DeleteFunc(r.leaving, func(l leaving) bool {
		return time.Since(l.since) > leavingLimit || !slices.ContainsFunc(now, l.is)
	})
	for _, n := range now {
		if slices.ContainsFunc(r.leaving, func(l leaving) bool { return l.is(n) }) {
			continue
		}
		if !slices.ContainsFunc(r.slots, func(s *slot) bool { return s.reader != nil && s.reader.Name == n.Name }) {
			r.place(n)
		}
	}
	r.looked = true
	return now, nil
}

// leaving is a reader whose connection has ended and which is listed still: a
// device that was pulled out is, until the system has taken it away. Put into a slot
// again it would come and go once more.
type leaving struct {
	reader Reader
	since  time.Time
}

// is reports whether n is what leaves: the device, or under the same name what is
// left of it when a service shows it no more.
func (l leaving) is(n Reader) bool {
	if n.Name != l.reader.Name {
		return false
	}
	if l.reader.Unique {
		return n.Instance == l.reader.Instance
	}
	return n.Unique
}

// leavingLimit is how long that takes at the most. What is listed then is there,
// and only its connection has failed.
const leavingLimit = 2 * time.Second

// place puts a reader that came into a slot: the one where it was before, an
// unused one, or a new one. The caller holds mu.
func (r *run) place(n Reader) {
	var s *slot
	for _, fits := range []func(*slot) bool{
		func(s *slot) bool { return s.name == n.Name },
		func(s *slot) bool { return s.name == "" },
		func(*slot) bool { return len(r.slots) >= maxSlots },
	} {
		if i := slices.IndexFunc(r.slots, func(s *slot) bool { return s.reader == nil && fits(s) }); i >= 0 {
			s = r.slots[i]
			break
		}
	}
	if s == nil {
		s = &slot{run: r, id: SlotID(len(r.slots))}
		r.slots = append(r.slots, s)
	}
	// Events are what happened since Initialize (PKCS #11 v2.40 §5.5), which is when
	// the first look is taken to be.
	s.reader, s.name, s.event = &n, n.Name, r.looked
}

// vacate empties a slot whose token is gone. With a reader, only if that is still
// the one in it; with none, whatever is in it, because of Finalize.
func (r *run) vacate(s *slot, reader *Reader) {
	r.mu.Lock()
	if reader != nil && s.reader != reader {
		r.mu.Unlock()
		return
	}
	tok := s.token
	if s.reader != nil && (!s.reader.Unique || tok != nil && tok.gone()) {
		r.leaving = append(r.leaving, leaving{*s.reader, time.Now()})
	}
	s.reader, s.token, s.event = nil, nil, true
	s.drop()
	r.mu.Unlock()
	if tok != nil {
		tok.close(reader == nil)
	}
}

// drop forgets what belonged to a token. Its sessions stay until they are closed:
// they tell that the token is gone. The caller holds mu.
func (s *slot) drop() {
	s.sessions, s.writers, s.login, s.objects, s.mustChange = 0, 0, login{}, nil, [2]bool{}
	dead := 0
	for h, x := range s.run.sessions {
		if x.slot == s {
			if dead++; dead > maxDead {
				delete(s.run.sessions, h)
			}
		}
	}
}

// maxDead is how many sessions of tokens that were pulled out are remembered.
const maxDead = 4096

// GetSlotList is C_GetSlotList: the slots, or those that have a token.
func (m *Module) GetSlotList(tokenPresent bool) ([]SlotID, error) {
	r, err := m.begin()
	if err != nil {
		return nil, err
	}
	if _, err := r.look(r.ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []SlotID
	for _, s := range r.slots {
		if s.reader != nil || !tokenPresent {
			ids = append(ids, s.id)
		}
	}
	return ids, nil
}

// GetSlotInfo is C_GetSlotInfo.
func (m *Module) GetSlotInfo(id SlotID) (SlotInfo, error) {
	r, err := m.begin()
	if err != nil {
		return SlotInfo{}, err
	}
	s, err := r.slot(id)
	if err != nil {
		return SlotInfo{}, err
	}
	if _, err := r.look(r.ctx); err != nil {
		return SlotInfo{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := SlotInfo{Description: s.name, Flags: SlotRemovableDevice | SlotHardware}
	if i.Description == "" {
		i.Description = "KAZTOKEN"
	}
	if s.reader != nil {
		i.Flags |= SlotTokenPresent
		i.ManufacturerID, i.Hardware = s.reader.Manufacturer, s.reader.Version
	}
	return i, nil
}

// WaitForSlotEvent is C_WaitForSlotEvent: it gives a slot whose token came or
// went since the source was asked first. With dontBlock it is [ErrNoEvent] if
// there is none; otherwise it waits, until Finalize at the longest.
func (m *Module) WaitForSlotEvent(dontBlock bool) (SlotID, error) {
	r, err := m.begin()
	if err != nil {
		return 0, err
	}
	for {
		known, err := r.look(r.ctx)
		if err != nil {
			return 0, err
		}
		if id, ok := r.takeEvent(); ok {
			return id, nil
		}
		if dontBlock {
			return 0, ErrNoEvent
		}
		if err := r.source.Wait(r.ctx, known); err != nil {
			if r.ctx.Err() != nil {
				return 0, ErrCryptokiNotInitialized
			}
			return 0, ErrGeneralError
		}
	}
}

// takeEvent gives a slot with an event, once.
func (r *run) takeEvent() (SlotID, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.slots {
		if s.event {
			s.event = false
			return s.id, true
		}
	}
	return 0, false
}
