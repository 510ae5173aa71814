package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/host"
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
	return c
}

func (a *app) panel(ctx context.Context, o panelOptions) (err error) {
	if o.idleExit < 0 {
		return &usageError{errors.New("--idle-exit is not negative")}
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	address := l.Addr().String()
	tokens := newPanelTokens(a, o.fixed)
	defer tokens.close()
	s := panel.New(panel.Config{
		Tokens: tokens, Settings: a.settingsPath, Explain: a.explainToPanel, Firmware: a.panelFirmware,
		Chosen: tokens.choose, Registered: a.registered, About: a.aboutPanel, Hosts: []string{address, portOf(address, "localhost")},
		Now: a.Now, Trace: a.tracePanel, Report: func(err error) { a.log.WithError(err).Warn("panel") },
	})
	web := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13},
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	url := "http://" + address + s.Entry()
	if err := a.announcePanel(url, address, false); err != nil {
		return err
	}
	if !o.noBrowser {
		if err := a.Browse(ctx, url); err != nil {
			a.log.WithError(err).Warn("no browser could be opened")
		}
	}
	select {
	case <-ctx.Done():
	case err = <-served:
	}
	web.Close()
	return errors.Join(err, s.Close())
}

// portOf gives an address another name.
func portOf(address, name string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return name
	}
	return net.JoinHostPort(name, port)
}

// panelJSON is the output of panel --json.
type panelJSON struct {
	URL     string `json:"url"`
	Address string `json:"address"`
	PID     int    `json:"pid"`
	Reused  bool   `json:"reused"`
}

func (a *app) announcePanel(url, address string, reused bool) error {
	if a.json {
		return a.printJSON(panelJSON{url, address, os.Getpid(), reused}, "")
	}
	_, err := fmt.Fprintln(a.Out, url)
	return err
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

// registered reports whether applications find tokens through the PKCS#11 module.
func (a *app) registered() panel.Registration {
	return panel.Registration{Hint: a.words.Text("registered.none")}
}

// aboutPanel is what the program knows of itself.
func (a *app) aboutPanel(context.Context) panel.About {
	return panel.About{Version: a.Version, Platform: platform(), Facts: []panel.Fact{
		{Label: "about.drivers", Value: strings.Join(host.DriverNames(), ", ")},
		{Label: "about.road", Value: a.options.Backend},
		{Label: "about.settings", Value: a.settingsPath},
	}}
}
