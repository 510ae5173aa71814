package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/bridge"
	"kaztoken/udev"
)

// ServiceGroup is the group whose members may use the service where nothing keeps
// account of sessions: the one that the devices belong to.
const ServiceGroup = udev.Group

// maxLegacySlots bounds what is sent to clients before 4:6, 184 bytes each. No
// distribution is known that has more than 32.
const maxLegacySlots = 256

// Choices are what a service can be told anew while it runs.
type Choices struct {
	Readers string // which readers to serve, one of [FilterNames]; "" is the first
	// Users and Groups are who may use the service, by name or number, beside root,
	// the user that it runs as and the user of the active session.
	Users, Groups []string
}

// access makes the policy of choices. The error names what is not there.
func (c Choices) access() (bridge.Policy, error) {
	users, err := bridge.UserIDs(c.Users)
	if err != nil {
		return nil, err
	}
	groups, err := bridge.GroupIDs(c.Groups)
	if err != nil {
		return nil, err
	}
	// Without the group nobody is in it.
	fallback, _ := bridge.GroupIDs([]string{ServiceGroup})
	return bridge.Access{
		Users: append(users, uint32(os.Geteuid())), Groups: groups, FallbackGroups: fallback,
	}, nil
}

// ServiceOptions say what a service serves, where and for whom.
type ServiceOptions struct {
	// Options choose the road to the readers: backend "usb" (which "auto" and ""
	// are here) or "virtual", and the USB driver. Devices does not matter.
	Options
	// Virtual serves one token in software with no USB in between, which is kept
	// in Options.VirtualState or, if that is empty, in memory.
	Virtual bool

	Socket string            // path; "" is [DefaultSocket]
	Passed *net.UnixListener // the socket that a service manager has passed, instead; nil without

	Choices
	LegacySlots int           // see [bridge.Config]
	IdleExit    time.Duration // end when there was no client for so long; 0 for never
	Program     string        // for reports: "kaztoken v1.2.3"

	// follow starts the supervisor; nil is Follow.
	follow func(Options) (*Supervisor, error)
}

// Service is the PC/SC service of this machine: a [bridge.Service] on its socket,
// with the readers of a [Supervisor]. All methods are safe for concurrent use.
type Service struct {
	options    ServiceOptions
	log        *logrus.Logger
	began      time.Time
	policy     atomic.Value // of type policyBox
	bridge     *bridge.Service
	endpoint   *endpoint
	reporter   *reporter // nil if there is none
	supervisor *Supervisor
	card       *cardSlot     // nil unless virtual
	attached   chan struct{} // closed when the readers of the start are
	wg         sync.WaitGroup
	cancel     context.CancelFunc
	close      func() error // once

	resting sync.Mutex // held while memory is given back; guards rested
	rested  time.Time  // when that was last
}

// policyBox makes all policies one type.
type policyBox struct{ bridge.Policy }

// OpenService takes the socket, and starts to look for readers. Programs are
// served once [Service.Serve] is called, whose answers wait for the readers of
// the start. The caller closes it.
//
// The error is an [OptionError], a [ServedError] in a [HintError] if another
// service has the socket, as [ExplainState] has it for the token in software, or
// that of the system.
func OpenService(ctx context.Context, o ServiceOptions) (_ *Service, err error) {
	if o.Log == nil {
		o.Log = silent()
	}
	if o.Socket == "" {
		o.Socket = DefaultSocket
	}
	if o.LegacySlots > maxLegacySlots {
		return nil, &OptionError{"legacy-slots", strconv.Itoa(o.LegacySlots), []string{"0 to " + strconv.Itoa(maxLegacySlots)}}
	}
	if o.follow == nil {
		o.follow = Follow
	}
	switch o.Backend {
	case "", "auto":
		o.Backend = "usb"
	case "usb", "virtual":
	default:
		return nil, &OptionError{"backend", o.Backend, []string{"usb", "virtual"}}
	}
	s := &Service{options: o, log: o.Log, began: time.Now(), attached: make(chan struct{})}
	s.close = sync.OnceValue(s.end)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.Apply(o.Choices); err != nil {
		return nil, err
	}
	if o.Virtual {
		if s.card, err = newCardSlot(o.VirtualState); err != nil {
			return nil, err
		}
	}
	s.bridge = bridge.New(bridge.Config{
		Policy:      bridge.PolicyFunc(s.allows),
		LegacySlots: o.LegacySlots,
		Ready:       s.attached,
		Trace:       s.trace,
	})
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if s.card != nil {
		defer close(s.attached)
		_, err := s.bridge.Attach(s.card)
		return s, err
	}
	o.Devices = o.Readers
	if s.supervisor, err = o.follow(o.Options); err != nil {
		return nil, err
	}
	all := &slots{service: s.bridge, log: s.log, readers: make(map[*Reader][]attachedSlot)}
	s.wg.Go(func() { all.run(run, s.supervisor, s.attached) })
	return s, nil
}

// listen takes the socket, and one for reports beside it.
func (s *Service) listen(ctx context.Context) (err error) {
	if s.options.Passed != nil {
		// The folder is the manager's business, and what lies in it a help.
		if s.endpoint, err = adopt(s.options.Passed); err != nil {
			s.log.WithError(err).Warn("no pid file")
		}
	} else if s.endpoint, err = listen(ctx, s.options.Socket); err != nil {
		return explainListen(err)
	}
	s.reporter, err = startReporter(s.endpoint.path, s.Report, s.allows)
	if err != nil && s.options.Passed != nil {
		s.log.WithError(err).Warn("status is not told")
		return nil
	}
	return err
}

func (s *Service) allows(p bridge.Peer) bool { return s.policy.Load().(policyBox).Allow(p) }

// Apply replaces the choices. Readers that are not chosen any more are removed,
// clients that may not use the service any more keep what they have and get
// nothing new. If there is anything wrong with the choices, nothing changes.
func (s *Service) Apply(c Choices) error {
	filter, err := filterNamed(c.Readers)
	if err != nil {
		return &OptionError{"readers", c.Readers, FilterNames()}
	}
	policy, err := c.access()
	if err != nil {
		return err
	}
	s.policy.Store(policyBox{policy})
	if s.supervisor != nil && s.options.Backend == "usb" {
		s.supervisor.SetFilter(filter)
	}
	return nil
}

// Ready is closed when programs are told of the readers of the start, which is
// some seconds after the call of Serve at the most.
func (s *Service) Ready() <-chan struct{} { return s.bridge.Started() }

// Serve serves programs until ctx ends or there was no client for
// [ServiceOptions.IdleExit], both of which are no error. It is called once.
func (s *Service) Serve(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var idle sync.WaitGroup
	defer idle.Wait()
	defer cancel()
	idle.Go(func() {
		if d := s.options.IdleExit; d > 0 && unused(inner, d, s.bridge.Clients) {
			s.log.WithField("after", s.options.IdleExit).Info("nobody uses the service")
			cancel()
		}
	})
	idle.Go(func() {
		select {
		case <-s.bridge.Started():
			s.rest()
		case <-inner.Done():
		}
	})
	err := s.bridge.Serve(inner, s.endpoint.listener)
	if inner.Err() != nil || errors.Is(err, bridge.ErrClosed) {
		return nil
	}
	return fmt.Errorf("%s: %w", s.endpoint.path, err)
}

// restPause is the least time between two times that memory is given back. A card
// that nobody uses is left on for longer.
const restPause = 4 * time.Second

// rest gives the memory back that a service does not need while nobody uses it:
// of its start, and of what programs have asked for since. Without it the runtime
// would do the same for its own part, bit by bit, and wake up for it.
func (s *Service) rest() {
	s.resting.Lock()
	defer s.resting.Unlock()
	if time.Since(s.rested) < restPause {
		return
	}
	s.rested = time.Now()
	debug.FreeOSMemory()
	if err := DropPages(); err != nil {
		s.log.WithError(err).Debug("memory is kept")
	}
}

// unused waits until there was no client for d. It is false if ctx ends before.
// Clients gives their number, and a channel that is closed when it changes.
func unused(ctx context.Context, d time.Duration, clients func() (int, <-chan struct{})) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		n, changed := clients()
		var over <-chan time.Time
		if n == 0 {
			timer.Reset(d)
			over = timer.C
		}
		select {
		case <-over:
			if n, _ := clients(); n == 0 {
				return true
			}
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Close ends the service: clients that wait are told, the cards are switched off,
// the readers are let go and the socket is removed, unless it belongs to a
// service manager. It returns when no goroutine is left, and is idempotent.
func (s *Service) Close() error { return s.close() }

func (s *Service) end() error {
	var errs []error
	if s.reporter != nil {
		errs = append(errs, s.reporter.close())
	}
	if s.bridge != nil {
		errs = append(errs, s.bridge.Close())
	}
	if s.cancel != nil {
		s.cancel()
	}
	s.wg.Wait()
	if s.supervisor != nil {
		errs = append(errs, s.supervisor.Close())
	}
	if s.card != nil {
		errs = append(errs, s.card.close())
	}
	if s.endpoint != nil {
		errs = append(errs, s.endpoint.close())
	}
	return errors.Join(errs...)
}

// trace logs what the service tells: no event carries what is in an APDU.
func (s *Service) trace(e bridge.Event) {
	if e.SwitchedOff() {
		s.wg.Go(s.rest) // slots end, and with them this, before it is waited for
	}
	level := logrus.DebugLevel
	switch e.Kind {
	case bridge.EventRequest:
		level = logrus.TraceLevel
	case bridge.EventAttached, bridge.EventDetached, bridge.EventRefused:
		level = logrus.InfoLevel
	case bridge.EventAcceptFailed:
		level = logrus.WarnLevel
	case bridge.EventPanic:
		level = logrus.ErrorLevel
	}
	if !s.log.IsLevelEnabled(level) {
		return
	}
	f := logrus.Fields{}
	if e.Peer.PID != 0 {
		f["pid"], f["uid"] = e.Peer.PID, e.Peer.UID
	}
	if e.Reader != "" {
		f["reader"] = e.Reader
	}
	if e.Kind == bridge.EventRequest {
		f["command"], f["result"] = e.Command, e.Result
		if e.SW != 0 {
			f["ins"], f["sw"] = fmt.Sprintf("%02X", e.INS), e.SW
		}
	}
	if e.Kind == bridge.EventCard {
		f["work"] = e.Work
	}
	if e.Dur > 0 {
		f["dur"] = e.Dur
	}
	if e.Err != nil {
		f[logrus.ErrorKey] = e.Err
	}
	if len(e.Stack) > 0 {
		f["stack"] = string(e.Stack)
	}
	s.log.WithFields(f).Log(level, "service: "+e.Kind.String())
}

// Report is what the service does now.
func (s *Service) Report() Report {
	return Report{
		Program: s.options.Program, PID: os.Getpid(), UID: uint32(os.Geteuid()), Socket: s.endpoint.path, Started: s.began,
		Snapshot: s.bridge.Snapshot(),
	}
}
