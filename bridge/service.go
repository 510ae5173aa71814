// Package bridge is a PC/SC service: it speaks with programs that are linked to
// libpcsclite, unmodified, in the place of pcsc-lite's daemon, and shares the
// slots that it is given among them.
//
//	s := bridge.New(bridge.Config{Policy: policy})
//	detach, err := s.Attach(slot) // for each reader, whenever it comes
//	err = s.Serve(ctx, listener)  // a unix socket, /run/pcscd/pcscd.comm
//	s.Close()
//
// The messages are those of [kaztoken/bridge/wire], the rules by which programs
// share a card are in [kaztoken/bridge/sharing]. What is here is the rest: one
// goroutine for each connection, one for each reader, the time, who may connect,
// and limits, so that no program can harm another beyond what sharing a card
// means.
//
// Where it differs from pcsc-lite's daemon: it speaks 4:3 to 4:6 at the same
// time; an event never comes between a question and its answer; who waits is
// noticed when it dies; who waits for a card is served in the order in which
// it came; a change of sharing is told at once; the size of the array is
// the same from the start; a program that does not read its answers is dropped.
package bridge

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"kaztoken/bridge/sharing"
)

// Times.
const (
	// holdBegin is how long a request to lock the card is kept waiting. The library
	// cannot be interrupted meanwhile, and asks again after as long.
	holdBegin = 100 * time.Millisecond
	// overdue is how long a client of 4:6 that asked for an event may be silent
	// before it is taken for one that does not fetch the array.
	overdue = 250 * time.Millisecond
	// stall is how long one message may take that has begun, either way.
	stall = 10 * time.Second
	// defaultIdle is how long a card keeps its power that nobody uses.
	defaultIdle = 5 * time.Second
	// startWait bounds what clients of a service that has just started wait for:
	// the first readers, and each reader's first try at its card.
	startWait = 5 * time.Second
	// grace is how long a command to a card may go on when the service closes,
	// and how long switching a card off may take then.
	grace = 2 * time.Second
)

// Limits bound what clients can hold. A zero field takes the default, which is
// that of pcscd where it has one.
type Limits struct {
	Connections        int // 200; over it, a connection is closed as soon as it is made
	ConnectionsPerUser int // 64
	HandlesPerContext  int // 200
	HandlesPerReader   int // 200
	HandlesPerUser     int // of one user on one reader; 128
	Waiters            int // for the lock of one reader; 128
	WaitersPerUser     int // 32
}

// Config is what a [Service] works with.
type Config struct {
	// Policy decides who may connect; nil is [SameUser].
	Policy Policy
	Limits Limits
	// LegacySlots is the number of records that clients before 4:6 are sent; 0 is
	// 16. Some distributions have compiled their library for another number,
	// which nothing in the messages tells.
	LegacySlots int
	// IdleTime is how long a card keeps its power that nobody uses; 0 is 5 s, a
	// negative time is for ever.
	IdleTime time.Duration
	// Ready is closed when the readers that were there at the start have been
	// attached; nil is at once. Until then, 5 s at the most, programs that ask
	// for readers wait for the answer.
	Ready <-chan struct{}
	// Trace is called for what happens; nil for nothing. It may be called from
	// several goroutines at once, must return soon and must not call the service.
	Trace func(Event)

	// peer finds who is at the other end; nil is PeerOf.
	peer func(net.Conn) (Peer, error)
	// random gives the numbers of contexts and handles; nil is the system's.
	random func() uint32
}

// ErrClosed: the service was closed.
var ErrClosed = errors.New("PC/SC service is closed")

// Service is a PC/SC service. Make one with [New]. All methods are safe for
// concurrent use.
type Service struct {
	cfg     Config
	ctx     context.Context // of calls of slots; ends some time after Close
	cancel  context.CancelFunc
	closing chan struct{} // closed by Close
	started chan struct{} // closed when answers may tell of readers
	begin   sync.Once     // of what closes started
	closed  sync.Once
	running sync.WaitGroup // every goroutine but those of readers

	mu       sync.Mutex // guards all following fields; no I/O and no call of a slot while held
	policy   Policy
	machine  *sharing.Machine
	keepers  map[*sharing.Reader]*keeper
	conns    map[*sharing.Client]*conn
	perUser  map[uint32]int
	changed  chan struct{} // closed when the number of connections changes
	shutdown bool
}

// New makes a service without slots. It does nothing before [Service.Serve].
func New(cfg Config) *Service {
	if cfg.Policy == nil {
		cfg.Policy = SameUser()
	}
	if cfg.IdleTime == 0 {
		cfg.IdleTime = defaultIdle
	}
	if cfg.Limits.Connections <= 0 {
		cfg.Limits.Connections = 200
	}
	if cfg.Limits.ConnectionsPerUser <= 0 {
		cfg.Limits.ConnectionsPerUser = 64
	}
	if cfg.peer == nil {
		cfg.peer = PeerOf
	}
	if cfg.random == nil {
		cfg.random = random
	}
	s := &Service{
		cfg: cfg, closing: make(chan struct{}), started: make(chan struct{}),
		policy: cfg.Policy, changed: make(chan struct{}),
		keepers: make(map[*sharing.Reader]*keeper), conns: make(map[*sharing.Client]*conn), perUser: make(map[uint32]int),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.machine = sharing.New(sharing.Config{
		Random:        cfg.random,
		LegacyRecords: cfg.LegacySlots,
		Limits: sharing.Limits{
			HandlesPerContext: cfg.Limits.HandlesPerContext, HandlesPerReader: cfg.Limits.HandlesPerReader,
			HandlesPerUser: cfg.Limits.HandlesPerUser, Waiters: cfg.Limits.Waiters, WaitersPerUser: cfg.Limits.WaitersPerUser,
		},
	})
	return s
}

// random is a number that nobody can guess.
func random() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint32(b[:])
}

// SetPolicy replaces the policy. Connections that are there stay, and are asked
// about when they make their next handle.
func (s *Service) SetPolicy(p Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy = p
}

func (s *Service) allows(p Peer) bool {
	s.mu.Lock()
	policy := s.policy
	s.mu.Unlock()
	return policy.Allow(p)
}

// Clients is the number of connections, and a channel that is closed when it
// changes.
func (s *Service) Clients() (n int, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.changed
}

// Serve takes connections from ln, which it closes, until ctx ends or the
// service is closed. It may be called for several listeners. Connections outlive
// it: only [Service.Close] ends them. The error is [ErrClosed], that of ctx, or
// one of the listener that does not pass.
func (s *Service) Serve(ctx context.Context, ln net.Listener) error {
	if !s.enter() {
		ln.Close()
		return ErrClosed
	}
	defer s.running.Done()
	s.begin.Do(func() { s.running.Go(s.start) })
	stop := make(chan struct{})
	defer close(stop)
	s.running.Go(func() {
		select {
		case <-ctx.Done():
		case <-s.closing:
		case <-stop:
		}
		ln.Close()
	})
	var pause time.Duration
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.accept(nc)
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case s.isClosing():
			return ErrClosed
		}
		var passing interface{ Temporary() bool } // no descriptors left, a client that gave up
		if !errors.As(err, &passing) || !passing.Temporary() {
			return fmt.Errorf("accept: %w", err)
		}
		s.trace(Event{Kind: EventAcceptFailed, Err: err})
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-s.closing:
		}
		timer.Stop()
	}
}

// enter counts a goroutine of a caller as running, unless the service is closed.
func (s *Service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shutdown {
		return false
	}
	s.running.Add(1)
	return true
}

func (s *Service) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// start closes started when the first readers are there and their cards have
// been tried, or have had their time.
func (s *Service) start() {
	defer close(s.started)
	timer := time.NewTimer(startWait)
	defer timer.Stop()
	if s.cfg.Ready != nil {
		select {
		case <-s.cfg.Ready:
		case <-timer.C:
		case <-s.closing:
		}
	}
	s.mu.Lock()
	var first []*keeper
	for _, k := range s.keepers {
		first = append(first, k)
	}
	s.mu.Unlock()
	for _, k := range first {
		select {
		case <-k.published: // it bounds that itself
		case <-k.ctx.Done():
		case <-s.closing:
		}
	}
}

// accept begins a connection, or closes it if there are too many.
func (s *Service) accept(nc net.Conn) {
	peer, err := s.cfg.peer(nc)
	if err != nil {
		s.trace(Event{Kind: EventRefused, Err: err})
		nc.Close()
		return
	}
	l, err := newLink(nc)
	if err != nil {
		s.trace(Event{Kind: EventRefused, Peer: peer, Err: err})
		return
	}
	c := newConn(s, l, peer)
	if err := s.admit(c); err != nil {
		s.trace(Event{Kind: EventRefused, Peer: peer, Err: err})
		l.close()
		return
	}
	go c.serve()
}

// Why a connection is refused.
var (
	errTooMany = errors.New("too many connections")
	errDenied  = errors.New("not allowed")
)

// admit counts a connection. leave has to be called for it.
func (s *Service) admit(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.shutdown:
		return ErrClosed
	case len(s.conns) >= s.cfg.Limits.Connections, s.perUser[c.peer.UID] >= s.cfg.Limits.ConnectionsPerUser:
		return errTooMany
	}
	c.client = s.machine.Join(c.peer.UID)
	s.conns[c.client] = c
	s.perUser[c.peer.UID]++
	s.countChanged()
	s.running.Add(1)
	return nil
}

// leave forgets a connection and everything that it had.
func (s *Service) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settle()
	delete(s.conns, c.client)
	if s.perUser[c.peer.UID]--; s.perUser[c.peer.UID] == 0 {
		delete(s.perUser, c.peer.UID)
	}
	s.countChanged()
	s.stamp()
	s.machine.Leave(c.client)
}

// hangUp ends a connection from beside its goroutine, which may be giving the
// connection back at this moment.
func (s *Service) hangUp(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c.client] == c {
		c.link.hangUp()
	}
}

// countChanged tells of another number of connections. The caller holds mu.
func (s *Service) countChanged() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// stamp tells the machine the time. The caller holds mu.
func (s *Service) stamp() { s.machine.Stamp = time.Now().UnixNano() }

// settle hands on what calls of the machine did to others. The caller holds mu.
func (s *Service) settle() {
	if s.machine.Quiet() {
		return
	}
	e := s.machine.Effects()
	for _, op := range e.Woken {
		if c := s.conns[op.Client()]; c != nil {
			select {
			case c.wake <- struct{}{}:
			default:
			}
		}
	}
	for _, n := range e.Notices {
		if c := s.conns[n.Client]; c != nil {
			c.post(n.Event)
		}
	}
	for _, r := range e.Readers {
		if k := s.keepers[r]; k != nil {
			select {
			case k.kick <- struct{}{}:
			default:
			}
		}
	}
}

// Close ends the service: no connection is taken any more, programs that wait
// are told [wire.ServiceStopped], a command that a card is at may take two
// seconds, all connections are closed, and the cards are switched off. It
// returns when no goroutine is left and no slot is in use. Further calls wait
// for the first.
func (s *Service) Close() error {
	s.closed.Do(func() {
		s.mu.Lock()
		s.shutdown = true
		close(s.closing)
		s.stamp()
		s.machine.Close()
		s.settle()
		for _, c := range s.conns {
			c.link.quit() // it is not to wait for another message
		}
		s.mu.Unlock()
		late := time.AfterFunc(grace, func() {
			s.cancel()
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, c := range s.conns {
				c.link.hangUp()
			}
		})
		s.running.Wait()
		late.Stop()
		s.mu.Lock()
		var all []*keeper
		for _, k := range s.keepers {
			all = append(all, k)
		}
		s.mu.Unlock()
		var off sync.WaitGroup
		for _, k := range all {
			off.Go(func() {
				k.detach()
				k.switchOff()
			})
		}
		off.Wait()
		s.cancel()
	})
	return nil
}

// past is a time at which every deadline is over.
var past = time.Unix(1, 0)
