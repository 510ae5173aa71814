package pcscsim

import (
	"context"
	"net"
	"slices"
	"sync"

	"kaztoken/bridge/wire"
)

// Card is a card in software, as package firmware/emu has them. The service
// calls it one command at a time.
type Card interface {
	ATR() []byte
	Reset(cold bool)
	Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error)
}

// Reader is one reader. It may not be changed while it is plugged in.
type Reader struct {
	Name       string
	Card       Card // nil if it is empty
	Protocol   wire.Protocol
	Attributes map[wire.AttributeID][]byte
	Control    map[wire.ControlCode][]byte // answers, whatever is sent
}

// Said is one command that a client sent, with the disposition in it, if any.
type Said struct {
	Command     wire.Command
	Disposition wire.Disposition
}

// Service is a service. All methods are safe for concurrent use.
type Service struct {
	path     string
	listener net.Listener
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu      sync.Mutex // guards all following fields
	changed *sync.Cond // with mu: a lock, a gate or the end of the service
	minor   int32      // of the protocol
	refuse  bool
	readers []*reader
	conns   map[*conn]bool
	numbers uint32 // the last number given to a context or handle
	events  uint32
	faults  map[wire.Command]wire.Result
	silent  map[wire.Command]bool
	said    []Said
	closed  bool
}

// reader is a reader that is plugged in.
type reader struct {
	Reader
	counter uint32
	sharing int32
	active  wire.Protocol
	handles []*handle
	owner   *handle // of the lock; one without a conn for a program that is not there
	depth   int
	atWork  sync.Mutex // held while the card is; taken with or without mu, which is not taken under it
}

// handle is what a client has connected to.
type handle struct {
	number    wire.Handle
	conn      *conn // nil for a program that is not there
	reader    *reader
	event     wire.Result // CardReset or CardRemoved, until it reconnects
	exclusive bool
	gone      bool // the reader is
}

// Listen starts a service of protocol 4:4 at a path.
func Listen(path string) (*Service, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	s := &Service{
		path: path, listener: l, minor: 4, conns: make(map[*conn]bool), events: 1,
		faults: make(map[wire.Command]wire.Result), silent: make(map[wire.Command]bool),
	}
	s.changed = sync.NewCond(&s.mu)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	return s, nil
}

// Path is that of the socket.
func (s *Service) Path() string { return s.path }

// Close ends every connection and returns when nothing runs any more.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	s.cancel()
	err := s.listener.Close()
	for c := range s.conns {
		c.nc.Close()
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

func (s *Service) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.refuse || s.closed {
			s.mu.Unlock()
			nc.Close()
			continue
		}
		c := &conn{s: s, nc: nc}
		s.conns[c] = true
		s.wg.Go(c.serve)
		s.mu.Unlock()
	}
}

// SetMinor makes later connections speak protocol 4:minor.
func (s *Service) SetMinor(minor int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minor = minor
}

// Refuse turns later connections away, or lets them in again.
func (s *Service) Refuse(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

// Fail makes the next command of a kind fail.
func (s *Service) Fail(command wire.Command, with wire.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[command] = with
}

// Silence keeps the answers to commands of a kind back, or lets them go.
func (s *Service) Silence(command wire.Command, silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent[command] = silent
	s.changed.Broadcast()
}

// Said lists what clients have sent, without what asks for readers or waits.
func (s *Service) Said() []Said {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.said)
}

// Connections is the number of connections that are open.
func (s *Service) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Plug plugs a reader in.
func (s *Service) Plug(r Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Protocol == wire.ProtocolUndefined {
		r.Protocol = wire.ProtocolT1
	}
	if r.Card != nil {
		r.Card.Reset(true)
	}
	in := &reader{Reader: r}
	// A reader keeps its place, and another takes the first that is free.
	if i := slices.Index(s.readers, nil); i >= 0 {
		s.readers[i] = in
	} else {
		s.readers = append(s.readers, in)
	}
	s.events++
	s.signal()
}

// Unplug pulls a reader out.
func (s *Service) Unplug(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range s.readers {
		if r != nil && r.Name == name {
			for _, h := range r.handles {
				h.gone = true
			}
			r.owner = nil
			s.readers[i] = nil
		}
	}
	s.events++
	s.signal()
}

// Insert puts a card into a reader, or takes the one in it out if card is nil.
func (s *Service) Insert(name string, card Card) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(name); r != nil {
		r.Card, r.active, r.owner = card, wire.ProtocolUndefined, nil
		r.counter++
		if card == nil {
			for _, h := range r.handles {
				h.event = wire.CardRemoved
			}
		}
	}
	s.signal()
}

// Lock has another program begin a transaction, or end it.
func (s *Service) Lock(name string, lock bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(name); r != nil {
		r.owner, r.depth = nil, 0
		if lock {
			r.owner, r.depth = &handle{reader: r}, 1
		}
	}
	s.changed.Broadcast()
}

// Hold has another program connect exclusively, or disconnect.
func (s *Service) Hold(name string, hold bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(name); r != nil {
		r.sharing = 0
		if hold {
			r.sharing = wire.SharingExclusive
		}
	}
	s.signal()
}

// Reset has another program reset the card.
func (s *Service) Reset(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(name); r != nil {
		r.reset()
	}
}

// find finds a reader. The caller holds mu.
func (s *Service) find(name string) *reader {
	for _, r := range s.readers {
		if r != nil && r.Name == name {
			return r
		}
	}
	return nil
}

// signal tells every connection that waits. The caller holds mu.
func (s *Service) signal() {
	for c := range s.conns {
		c.tell(wire.Success)
	}
	s.changed.Broadcast()
}

// reset resets the card for everybody. The caller holds mu.
func (r *reader) reset() {
	r.active = wire.ProtocolUndefined
	for _, h := range r.handles {
		h.event = wire.CardReset
	}
	if r.Card != nil {
		r.atWork.Lock()
		defer r.atWork.Unlock()
		r.Card.Reset(false)
	}
}

// record is what everybody is told of a reader. The caller holds mu.
func (r *reader) record() wire.Reader {
	if r == nil {
		return wire.Reader{ATRLength: 34} // as in pcscd's own array
	}
	name, err := wire.NameOf(r.Name)
	if err != nil {
		panic(err) // a mistake of the test
	}
	m := wire.Reader{Name: name, Counter: r.counter, State: wire.NoCard, Sharing: r.sharing, Protocol: r.active}
	if r.Card != nil {
		m.State = wire.CardMute
		if atr := r.Card.ATR(); len(atr) > 0 {
			m.State = wire.CardReady
			m.SetATR(atr)
		}
	}
	return m
}

// array is n records. The caller holds mu.
func (s *Service) array(n int) []byte {
	var b []byte
	for i := range n {
		var r *reader
		if i < len(s.readers) {
			r = s.readers[i]
		}
		m := r.record()
		b = m.AppendTo(b)
	}
	return b
}

// connect gives a handle to c. The caller holds mu, which it gives up while
// another program has a transaction.
func (s *Service) connect(c *conn, m *wire.Connect) wire.Result {
	var r *reader
	for {
		if r = s.find(m.Reader.String()); r == nil {
			return wire.UnknownReader
		}
		if r.sharing == wire.SharingExclusive {
			return wire.SharingViolation
		}
		if r.owner == nil || s.closed {
			break
		}
		s.changed.Wait()
	}
	if m.Share == wire.ShareExclusive && r.sharing != 0 {
		return wire.SharingViolation
	}
	if result := r.protocol(m.Share, m.Preferred, &m.Active); result != wire.Success {
		return result
	}
	s.numbers++
	h := &handle{number: wire.Handle(s.numbers), conn: c, reader: r, exclusive: m.Share == wire.ShareExclusive}
	r.handles = append(r.handles, h)
	c.handles = append(c.handles, h)
	r.sharing++
	if h.exclusive {
		r.sharing, r.owner, r.depth = wire.SharingExclusive, h, 1
	}
	m.Handle = h.number
	s.signal()
	return wire.Success
}

// protocol brings the protocol in force. The caller holds mu.
func (r *reader) protocol(share wire.ShareMode, asked wire.Protocol, active *wire.Protocol) wire.Result {
	switch {
	case share == wire.ShareDirect:
		*active = r.active
		return wire.Success
	case r.Card == nil:
		return wire.NoSmartcard
	case len(r.Card.ATR()) == 0:
		return wire.UnresponsiveCard
	case asked&r.Protocol == 0:
		return wire.ProtoMismatch
	}
	r.active = r.Protocol
	*active = r.active
	return wire.Success
}

// disconnect ends a handle. The caller holds mu.
func (s *Service) disconnect(h *handle, d wire.Disposition) {
	r := h.reader
	if r.owner == h {
		r.owner, r.depth = nil, 0
	}
	if d == wire.ResetCard || d == wire.UnpowerCard {
		r.reset()
	}
	is := func(o *handle) bool { return o == h }
	r.handles = slices.DeleteFunc(r.handles, is)
	h.conn.handles = slices.DeleteFunc(h.conn.handles, is)
	if r.sharing--; r.sharing < 0 {
		r.sharing = 0
	}
	s.signal()
}
