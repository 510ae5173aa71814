//go:build !minimal

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/panel"
)

// panelOptions are the flags of panel.
type panelOptions struct {
	listen    string
	noBrowser bool
	idleExit  time.Duration
	cert, key string
	password  string
	fixed     map[string]bool // see panelTokens
}

func (a *app) panelCommand() *cobra.Command {
	var o panelOptions
	c := &cobra.Command{
		Use:   "panel",
		Short: "Open the control panel in a browser",
		Long: `Serve the control panel as a web page on this machine, and open it in the default
browser. With --no-browser the address is printed only. If the panel runs already,
it is opened once more.

The address holds a secret that works once, within ten minutes; the browser gets a
session in its place, which ends with this program. Other users of this machine and
other web pages cannot use the panel.

--listen takes an address and port, or unix:PATH. Beyond the loopback addresses it
needs TLS and a password: --tls-cert, --tls-key and --password-file, whose line is
made by: kaztoken panel password

--json prints an object once the panel is served, with the keys
  url (holds the secret), address, pid, reused`,
		Example: `  kaztoken panel
  kaztoken panel --no-browser
  kaztoken panel --backend virtual --listen 127.0.0.1:8600`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.fixed = map[string]bool{
				"backend": cmd.Flags().Changed("backend") || a.Getenv(backendVariable) != "",
				"devices": cmd.Flags().Changed("devices") || a.Getenv(devicesVariable) != "",
			}
			return a.panel(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "`ADDRESS`:PORT or unix:PATH to serve at; port 0 is any that is free")
	f.BoolVar(&o.noBrowser, "no-browser", false, "do not open a browser")
	f.DurationVar(&o.idleExit, "idle-exit", 0, "end when no browser has been in the panel for so long, 0 for never")
	f.StringVar(&o.cert, "tls-cert", "", "`FILE` with the certificate of the server, and its chain, in PEM")
	f.StringVar(&o.key, "tls-key", "", "`FILE` with its private key, in PEM")
	f.StringVar(&o.password, "password-file", "", "`FILE` with what is kept of the password")
	c.AddCommand(a.panelPasswordCommand())
	return c
}

func (a *app) panelPasswordCommand() *cobra.Command {
	var f secretFlags
	c := &cobra.Command{
		Use:   "password",
		Short: "Make the line of a password file for the panel",
		Long: `Make what the panel keeps of a password: one line, for the file of --password-file.
The password is typed twice and has 12 bytes or more. It cannot be read out of the
line, which holds a salt and 600,000 rounds of PBKDF2 with HMAC-SHA-256.`,
		Example: `  kaztoken panel password > panel.password
  kaztoken panel password --secret-file password.txt > panel.password`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.panelPassword(cmd.Context(), &f) },
	}
	f.add(c, "secret", "the password")
	return c
}

func (a *app) panelPassword(ctx context.Context, f *secretFlags) error {
	b, err := a.askSecret(ctx, f, false, "ask.panel.password")
	if err != nil {
		return err
	}
	defer b.Wipe()
	if !f.given() {
		again, err := a.askSecret(ctx, f, false, "ask.panel.again")
		if err != nil {
			return err
		}
		defer again.Wipe()
		if !b.Equal(again.Bytes()) {
			return errDiffer
		}
	}
	p, err := panel.NewPassword(b.Bytes())
	if err != nil {
		return &usageError{err}
	}
	_, err = fmt.Fprintln(a.Out, p)
	return err
}

func (a *app) panel(ctx context.Context, o panelOptions) (err error) {
	if o.idleExit < 0 {
		return &usageError{errors.New("--idle-exit is not negative")}
	}
	dir, err := runtimeFolder(a.Getenv)
	if err != nil {
		a.log.WithError(err).Warn("another start of the panel will not find this one")
	}
	var own *instance
	release := sync.OnceValue(func() error {
		if own == nil {
			return nil
		}
		return own.close()
	})
	defer func() { err = errors.Join(err, release()) }()
	if name := a.instanceName(o); dir != "" {
		own, err = claim(dir, name)
		if errors.Is(err, errRunning) {
			return a.reopenPanel(ctx, dir, name, o)
		}
		if err != nil {
			a.log.WithError(err).Warn("another start of the panel will not find this one")
		}
	}
	at, err := a.openSite(o)
	if err != nil {
		return err
	}
	tokens := newPanelTokens(a, o.fixed)
	defer tokens.close()
	s := panel.New(panel.Config{
		Tokens: tokens, Settings: a.settingsPath, Explain: a.explainToPanel, Firmware: a.panelFirmware,
		Chosen: tokens.choose, Registered: a.registered, About: a.aboutPanel, Diagnose: tokens.diagnose, Hosts: at.hosts, TLS: at.tls != nil, Password: at.password,
		Now: a.Now, Trace: a.tracePanel, Report: func(err error) { a.log.WithError(err).Warn("panel") },
	})
	defer func() { err = errors.Join(err, s.Close()) }()
	open := func() panelJSON {
		return panelJSON{URL: at.origin + s.Entry(), Address: at.listener.Addr().String(), PID: os.Getpid()}
	}
	if own != nil {
		own.serve(open)
	}
	if err := a.showPanel(ctx, open(), o); err != nil {
		return errors.Join(err, at.listener.Close())
	}
	return at.serve(ctx, s, o.idleExit, release)
}

// reopenPanel opens the panel that runs already once more.
func (a *app) reopenPanel(ctx context.Context, dir, name string, o panelOptions) error {
	p, err := askInstance(ctx, dir, name)
	if err != nil {
		return fmt.Errorf("%w, and does not answer: %w", errRunning, err)
	}
	return a.showPanel(ctx, p, o)
}

// showPanel prints where the panel is, and opens it.
func (a *app) showPanel(ctx context.Context, p panelJSON, o panelOptions) error {
	var err error
	if a.json {
		err = a.printJSON(p, "")
	} else {
		_, err = fmt.Fprintln(a.Out, p.URL)
	}
	if err == nil && a.ErrTerminal && !p.Reused {
		a.say("panel.serving")
	}
	if err != nil || o.noBrowser || strings.HasPrefix(o.listen, "unix:") {
		return err
	}
	if err := a.Browse(ctx, p.URL); err != nil {
		a.log.WithError(err).Warn("no browser could be opened")
	}
	return nil
}

// panelJSON is the output of panel --json.
type panelJSON struct {
	URL     string `json:"url"`
	Address string `json:"address"`
	PID     int    `json:"pid"`
	Reused  bool   `json:"reused"`
}

// panelFirmware has APDUs logged, secrets left out.
func (a *app) panelFirmware(reader string) []firmware.Option {
	if !a.log.IsLevelEnabled(logrus.TraceLevel) {
		return nil
	}
	return []firmware.Option{firmware.WithTrace(a.traceAPDU(reader))}
}

func (a *app) tracePanel(e panel.Exchange) {
	a.log.WithFields(logrus.Fields{"method": e.Method, "route": e.Route, "status": e.Status, "dur": e.Took}).Debug("panel request")
}
