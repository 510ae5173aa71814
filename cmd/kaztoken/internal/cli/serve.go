package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kaztoken/bridge"
	"kaztoken/internal/host"
	"kaztoken/internal/nap"
	"kaztoken/internal/settings"
	"kaztoken/internal/systemd"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	socket      string
	virtual     bool
	readers     string
	idleExit    time.Duration
	groups      []string
	users       []string
	legacySlots int
	config      string
}

func (a *app) serveCommand() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve smart-card programs in place of pcscd",
		Long: `Serve the programs that use PC/SC through libpcsclite: OpenSC, p11-kit, Java,
browsers. They need no change and no pcscd; they look for the socket
` + host.DefaultSocket + `, or the one that they find in ` + host.SocketVariable + `.

The service refuses to start where another one listens, and says which. Run with
systemd it takes its socket from there, and tells it when it is ready. SIGHUP has
it read its settings again; SIGTERM ends it, and its clients are told.

Root, the user that the service runs as and the users of active local sessions
(as logind has them) may use it, and those whom --group and --user name. Where
there is no logind, members of the group ` + host.ServiceGroup + ` may, too.

With --virtual the one reader is a token in software, in this process: new at
every start, or kept in FILE with --virtual-state.

What is not said by a flag is read from the file of --config: the table [service]
of a TOML file, with the keys readers, groups, users and legacy_slots; and again at
SIGHUP.

--json prints an object once programs are served, with the keys
  socket, export (what to put into their environment; empty for the socket that
  they know), pid, and readers as in status`,
		Example: `  kaztoken serve
  kaztoken serve --socket "$XDG_RUNTIME_DIR/pcsc" --virtual
  kaztoken serve --readers all --group smartcard --idle-exit 1m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.socket, "socket", host.DefaultSocket, "`PATH` of the socket")
	f.BoolVar(&o.virtual, "virtual", false, "serve a token in software")
	f.StringVar(&o.readers, "readers", "", "which readers to serve, instead of --devices: "+strings.Join(host.FilterNames(), ", "))
	f.DurationVar(&o.idleExit, "idle-exit", 0, "end when there was no client for so long, 0 for never")
	f.StringSliceVar(&o.groups, "group", nil, "`GROUP` whose members may use the service; may be repeated")
	f.StringSliceVar(&o.users, "user", nil, "`USER` who may use the service; may be repeated")
	f.IntVar(&o.legacySlots, "legacy-slots", 0, "`N` readers that clients before pcsc-lite 2.5 expect; 0 is 16")
	f.StringVar(&o.config, "config", settings.ServicePath, "`FILE` of settings")
	must(c.RegisterFlagCompletionFunc("readers", cobra.FixedCompletions(host.FilterNames(), cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// choices joins the flags with the settings, which count where no flag says
// something else.
func (a *app) choices(o serveOptions) (host.Choices, int, error) {
	s, err := settings.LoadService(o.config)
	if err != nil {
		if errors.Is(err, settings.ErrMalformed) {
			return host.Choices{}, 0, err
		}
		return host.Choices{}, 0, &fileError{err}
	}
	c := host.Choices{Readers: o.readers, Groups: o.groups, Users: o.users}
	for _, readers := range []string{s.Readers, a.options.Devices} {
		if c.Readers == "" {
			c.Readers = readers
		}
	}
	if c.Groups == nil {
		c.Groups = s.Groups
	}
	if c.Users == nil {
		c.Users = s.Users
	}
	slots := o.legacySlots
	if slots == 0 {
		slots = s.LegacySlots
	}
	return c, slots, nil
}

func (a *app) serve(ctx context.Context, o serveOptions) (err error) {
	if o.idleExit < 0 || o.legacySlots < 0 {
		return &usageError{errors.New("--idle-exit and --legacy-slots are not negative")}
	}
	c, slots, err := a.choices(o)
	if err != nil {
		return err
	}
	manager, err := systemd.NewNotifier(a.Getenv)
	if err != nil {
		a.log.WithError(err).Warn("the service manager is not told anything")
	}
	passed, err := a.Activated()
	if err != nil {
		return err
	}
	s, err := host.OpenService(ctx, host.ServiceOptions{
		Options: a.options, Socket: o.socket, Passed: passed, Virtual: o.virtual,
		Choices: c, LegacySlots: slots, IdleExit: o.idleExit, Program: strings.TrimSpace("kaztoken " + a.Version),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	defer lendProcessors()()
	hangups, stop := a.Hangups()
	defer stop()
	inner, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(inner) }()
	var watchdog <-chan time.Time
	if every := systemd.WatchdogInterval(a.Getenv, os.Getpid()); every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		watchdog = t.C
	}
	notify := func(err error) {
		if err != nil {
			a.log.WithError(err).Warn("the service manager was not told")
		}
	}
	ready := s.Ready()
	for {
		select {
		case <-ready:
			ready = nil
			notify(manager.Ready(summary(s.Report())))
			if err := a.announceService(s); err != nil {
				cancel()
				return errors.Join(err, <-ended)
			}
		case <-hangups:
			notify(manager.Reloading())
			a.reload(s, o)
			notify(manager.Ready(summary(s.Report())))
		case <-watchdog:
			s.Report() // takes the locks that a client's request takes
			notify(manager.Watchdog())
		case <-ctx.Done():
			notify(manager.Stopping())
			cancel()
			return <-ended
		case err := <-ended:
			cancel()
			notify(manager.Stopping())
			return err
		}
	}
}

// lendProcessors lets connections keep a processor of Go's scheduler while they
// wait for a moment, see package nap: some, and one is left to the rest in any
// case. So there are two of them also on a machine with one core; who waits takes
// none of its time.
func lendProcessors() (back func()) {
	const most = 4 // a card answers one at a time
	before := runtime.GOMAXPROCS(0)
	n := max(2, before)
	runtime.GOMAXPROCS(n)
	nap.Allow(min(n-1, most))
	return func() {
		nap.Allow(0)
		runtime.GOMAXPROCS(before)
	}
}

// summary is one line for the service manager.
func summary(r host.Report) string {
	return fmt.Sprintf("%s: readers %d, clients %d", r.Socket, len(r.Readers), len(r.Clients))
}

// reload takes the settings over, or leaves everything as it is.
func (a *app) reload(s *host.Service, o serveOptions) {
	c, _, err := a.choices(o)
	if err == nil {
		err = s.Apply(c)
	}
	if err != nil {
		a.log.WithError(err).Error("settings not taken over")
		return
	}
	a.log.Info("settings taken over")
}

// serviceJSON is the output of serve --json.
type serviceJSON struct {
	Socket  string                `json:"socket"`
	Export  string                `json:"export"` // "" for the default socket
	PID     int                   `json:"pid"`
	Readers []bridge.ReaderStatus `json:"readers"`
}

// announceService says where programs find the service.
func (a *app) announceService(s *host.Service) error {
	r := s.Report()
	export := ""
	if r.Socket != host.DefaultSocket {
		export = host.SocketVariable + "=" + r.Socket
	}
	if a.json {
		return a.printJSON(serviceJSON{r.Socket, export, r.PID, r.Readers}, "")
	}
	if export != "" {
		fmt.Fprintf(a.Err, "serving %s; Ctrl-C ends. For programs:\n  export %s\n", r.Socket, export)
	} else {
		fmt.Fprintf(a.Err, "serving %s; Ctrl-C ends\n", r.Socket)
	}
	return nil
}

// activated takes the socket of the service manager.
func activated() (*net.UnixListener, error) { return systemd.Listener(os.Getenv, os.Getpid()) }

// hangups gives the signals that ask for a reload, until stop. What pcscd's own
// tool sends to have the readers looked for is not needed, and must not end the
// program.
func hangups() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	signal.Ignore(syscall.SIGUSR1)
	return c, func() { signal.Stop(c) }
}
