package bridge

import (
	"cmp"
	"slices"
	"time"

	"kaztoken/bridge/sharing"
	"kaztoken/bridge/wire"
)

// Snapshot is the state of a service at one moment, for people to look at. Its
// names in JSON do not change.
type Snapshot struct {
	Readers []ReaderStatus `json:"readers"` // in the order in which they came
	Clients []ClientStatus `json:"clients"` // the longest there first
}

// ReaderStatus is one reader.
type ReaderStatus struct {
	Name     string `json:"name"`
	Visible  bool   `json:"visible"`  // programs see it; not before its card was tried
	State    string `json:"state"`    // "absent", "present|powered|negotiable", …
	Power    bool   `json:"power"`    // the card has power; programs do not see that
	ATR      string `json:"atr"`      // in hexadecimal, empty without a card
	Protocol string `json:"protocol"` // in force: "undefined", "T0", "T1", "raw"
	Sharing  int    `json:"sharing"`  // -1 exclusive, 0 nobody, else the number of handles
	Cards    int    `json:"cards"`    // that came and went, modulo 65536
	Waiting  int    `json:"waiting"`  // requests that wait for the card
	// Lock is who has the card for itself, nil if nobody has.
	Lock *Holder `json:"lock"`
	// Handles are all who have the reader, the oldest first.
	Handles []HandleStatus `json:"handles"`
}

// Holder is a program that has something, and since when.
type Holder struct {
	PID     int       `json:"pid"` // 0 if the system does not tell
	UID     uint32    `json:"uid"`
	Program string    `json:"program"` // empty if the system does not tell
	Since   time.Time `json:"since"`
}

// HandleStatus is one handle on a reader.
type HandleStatus struct {
	Holder
	Share string `json:"share"` // "exclusive", "shared", "direct"
	Event string `json:"event"` // what it has to be told: "none", "reset", "removed"
	Lock  bool   `json:"lock"`
}

// ClientStatus is one connection. A program has one for each context.
type ClientStatus struct {
	Holder         // since when it is connected
	Version string `json:"version"` // of the protocol: "4:4"
	Context bool   `json:"context"` // it has one
	Waiting bool   `json:"waiting"` // for a change of readers
	Handles int    `json:"handles"`
}

// Snapshot looks at everything.
func (s *Service) Snapshot() Snapshot {
	snap := s.look()
	programs := make(map[int]string)
	name := func(h *Holder) {
		if _, ok := programs[h.PID]; !ok && h.PID > 0 {
			programs[h.PID] = programOf(h.PID)
		}
		h.Program = programs[h.PID]
	}
	for i := range snap.Clients {
		name(&snap.Clients[i].Holder)
	}
	for i := range snap.Readers {
		r := &snap.Readers[i]
		if r.Lock != nil {
			name(r.Lock)
		}
		for j := range r.Handles {
			name(&r.Handles[j].Holder)
		}
	}
	return snap
}

// look is Snapshot without the names of programs, which are read from files.
func (s *Service) look() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := Snapshot{Readers: []ReaderStatus{}, Clients: []ClientStatus{}}
	for _, c := range s.conns {
		context, _ := c.client.Context()
		snap.Clients = append(snap.Clients, ClientStatus{
			Holder:  Holder{PID: c.peer.PID, UID: c.peer.UID, Since: c.since},
			Version: wire.Version{Major: wire.Major, Minor: c.client.Minor()}.String(), Context: context != 0, Waiting: c.client.Watching(), Handles: len(c.client.Handles()),
		})
	}
	slices.SortFunc(snap.Clients, func(a, b ClientStatus) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.PID, b.PID))
	})
	for _, r := range s.machine.Readers() {
		st := ReaderStatus{
			Name: r.Name(), Visible: r.Published(), State: r.State().String(), Power: r.Powered(), ATR: r.ATR().String(),
			Protocol: r.Protocol().String(), Sharing: r.Sharing(), Cards: r.Counter(), Waiting: r.Waiters(),
			Handles: []HandleStatus{},
		}
		lock, since := r.Lock()
		if lock != nil {
			holder := s.holder(lock, since)
			st.Lock = &holder
		}
		for _, h := range r.Handles() {
			st.Handles = append(st.Handles, HandleStatus{
				Holder: s.holder(h, h.Since()), Share: h.Share().String(), Event: h.Event().String(), Lock: h == lock,
			})
		}
		snap.Readers = append(snap.Readers, st)
	}
	return snap
}

// holder is who has a handle. The caller holds mu.
func (s *Service) holder(h *sharing.Handle, since int64) Holder {
	peer := s.conns[h.Client()].peer
	return Holder{PID: peer.PID, UID: peer.UID, Since: time.Unix(0, since)}
}
