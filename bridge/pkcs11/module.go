package pkcs11

import (
	"context"
	"sync"
	"time"
)

// Module is one PKCS #11 library. The zero value is of no use; see [New].
type Module struct {
	source  Source
	version [2]byte

	mu  sync.Mutex // guards run
	run *run       // nil before Initialize and after Finalize
}

// New makes a module whose tokens come from a source. version is that of the
// library, major and minor, as C_GetInfo tells it. Nothing is asked of the source
// before [Module.Initialize].
func New(source Source, version [2]byte) *Module { return &Module{source: source, version: version} }

// run is the time between Initialize and Finalize.
type run struct {
	source  Source
	ctx     context.Context // ends with Finalize
	cancel  context.CancelFunc
	wg      sync.WaitGroup // goroutines that watch connections
	looking sync.Mutex     // held while the source is asked: one look at a time

	mu          sync.Mutex // guards all following fields and those of slots that say so; no I/O while held
	ended       bool
	looked      bool // the source has been asked
	leaving     []leaving
	slots       []*slot
	sessions    map[SessionHandle]*session
	lastSession SessionHandle
	lastObject  ObjectHandle
}

// Info is CK_INFO.
type Info struct {
	CryptokiVersion    [2]byte
	ManufacturerID     string // at most 32 bytes
	LibraryDescription string // at most 32 bytes
	LibraryVersion     [2]byte
}

// Initialize is C_Initialize.
func (m *Module) Initialize() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run != nil {
		return ErrCryptokiAlreadyInitialized
	}
	r := &run{source: m.source, sessions: map[SessionHandle]*session{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.slots = []*slot{{run: r, id: 0}} // there is always a place to plug a token in
	m.run = r
	return nil
}

// Finalize is C_Finalize. Calls that wait end; whoever is logged in is logged out.
func (m *Module) Finalize() error {
	m.mu.Lock()
	r := m.run
	m.run = nil
	m.mu.Unlock()
	if r == nil {
		return ErrCryptokiNotInitialized
	}
	r.end()
	return nil
}

// parting bounds how long letting go of a token may take.
const parting = 5 * time.Second

func (r *run) end() {
	r.cancel()
	r.mu.Lock()
	r.ended = true
	slots := r.slots
	all := r.sessions
	r.sessions = map[SessionHandle]*session{}
	r.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		s.clear()
		s.mu.Unlock()
	}
	for _, s := range slots {
		r.vacate(s, nil)
	}
	r.wg.Wait()
}

// begin gives the run of a call.
func (m *Module) begin() (*run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return nil, ErrCryptokiNotInitialized
	}
	return m.run, nil
}

// GetInfo is C_GetInfo.
func (m *Module) GetInfo() (Info, error) {
	if _, err := m.begin(); err != nil {
		return Info{}, err
	}
	return Info{
		CryptokiVersion: [2]byte{3, 0}, ManufacturerID: "kaztoken",
		LibraryDescription: "KAZTOKEN", LibraryVersion: m.version,
	}, nil
}

// slot looks a slot up.
func (r *run) slot(id SlotID) (*slot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if uint(id) >= uint(len(r.slots)) {
		return nil, ErrSlotIDInvalid
	}
	return r.slots[id], nil
}

// session looks a session up and holds it: the caller unlocks its mu.
func (r *run) session(h SessionHandle) (*session, error) {
	r.mu.Lock()
	s := r.sessions[h]
	r.mu.Unlock()
	if s == nil {
		return nil, ErrSessionHandleInvalid
	}
	s.mu.Lock()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.sessions[h] != s: // closed meanwhile
		s.mu.Unlock()
		return nil, ErrSessionHandleInvalid
	case s.token != s.slot.token || s.token.gone(): // of a token that was pulled out
		s.clear()
		s.mu.Unlock()
		return nil, ErrDeviceRemoved
	}
	return s, nil
}

// in begins a call that belongs to a session. The caller unlocks its mu.
func (m *Module) in(h SessionHandle) (*session, error) {
	r, err := m.begin()
	if err != nil {
		return nil, err
	}
	return r.session(h)
}
