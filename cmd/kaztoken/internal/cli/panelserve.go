//go:build !minimal

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

	"kaztoken/internal/panel"
)

// site is where a panel is served.
type site struct {
	listener net.Listener
	tls      *tls.Config // nil without TLS
	hosts    []string    // what a request may name
	origin   string      // "http://127.0.0.1:8600"
	password *panel.Password
}

// openSite begins to listen. Beyond loopback it refuses without TLS and a password.
func (a *app) openSite(o panelOptions) (_ *site, err error) {
	s := &site{}
	if (o.cert == "") != (o.key == "") {
		return nil, &usageError{errors.New("--tls-cert and --tls-key belong together")}
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, &fileError{err}
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if o.password != "" {
		if s.password, err = a.readPassword(o.password); err != nil {
			return nil, err
		}
	}
	if path, ok := strings.CutPrefix(o.listen, "unix:"); ok {
		return s, s.listenUnix(path)
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return nil, &usageError{fmt.Errorf("--listen: %w", err)}
	}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) && (s.tls == nil || s.password == nil) {
		return nil, &usageError{fmt.Errorf("--listen %s is beyond this machine: give --tls-cert, --tls-key and --password-file", o.listen)}
	}
	if s.listener, err = net.Listen("tcp", o.listen); err != nil {
		return nil, &fileError{err}
	}
	address, ok := s.listener.Addr().(*net.TCPAddr)
	if !ok || host == "localhost" && !address.IP.IsLoopback() {
		return nil, errors.Join(&usageError{fmt.Errorf("--listen %s leads to %v", o.listen, s.listener.Addr())}, s.listener.Close())
	}
	port := fmt.Sprint(address.Port)
	names := []string{}
	if address.IP.IsLoopback() {
		names = append(names, address.IP.String(), "localhost")
		s.listener = ownUserOnly(s.listener, a.log)
	}
	if s.tls != nil && s.tls.Certificates[0].Leaf != nil {
		leaf := s.tls.Certificates[0].Leaf
		names = append(names, leaf.DNSNames...)
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
	}
	if len(names) == 0 {
		return nil, errors.Join(&usageError{fmt.Errorf("%s names no host", o.cert)}, s.listener.Close())
	}
	for _, n := range names {
		s.hosts = append(s.hosts, strings.ToLower(net.JoinHostPort(n, port)))
		if s.tls != nil && port == "443" {
			s.hosts = append(s.hosts, strings.ToLower(n))
		}
	}
	scheme := "http://"
	if s.tls != nil {
		scheme = "https://"
	}
	s.origin = scheme + s.hosts[0]
	return s, nil
}

// listenUnix listens on a socket that only the user may connect to. A socket that
// nobody listens to any more is replaced.
func (s *site) listenUnix(path string) error {
	if c, err := net.DialTimeout("unix", path, instanceAnswer); err == nil {
		c.Close()
		return &fileError{fmt.Errorf("%s: another program listens there", path)}
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return &fileError{err}
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return &fileError{err}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(&fileError{err}, l.Close())
	}
	s.listener, s.hosts, s.origin = l, []string{"localhost"}, "http://localhost"
	return nil
}

// readPassword reads what is kept of the password.
func (a *app) readPassword(name string) (*panel.Password, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, &fileError{err}
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o044 != 0 {
		a.warn("warn.readable", "file", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, &fileError{err}
	}
	p, err := panel.ParsePassword(text)
	if err != nil {
		return nil, &fileError{fmt.Errorf("%s: %w", name, err)}
	}
	return p, nil
}

// farewellPanel bounds how long browsers are waited for at the end.
const farewellPanel = 3 * time.Second

// serve serves a panel until ctx ends, or nobody was there for idleExit. Release gives
// the claim to be the one panel back before the first browser is refused: an operation
// that runs may go on for long, and another start must not be led here any more.
func (s *site) serve(ctx context.Context, p *panel.Server, idleExit time.Duration, release func() error) error {
	web := &http.Server{
		Handler: p, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: s.tls,
	}
	web.RegisterOnShutdown(p.Evict)
	served := make(chan error, 1)
	go func() {
		if s.tls != nil {
			served <- web.ServeTLS(s.listener, "", "")
			return
		}
		served <- web.Serve(s.listener)
	}()
	err := errors.Join(s.await(ctx, p, idleExit, served), release())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellPanel)
	defer cancel()
	if web.Shutdown(ctx) != nil {
		web.Close() // browsers that do not leave
	}
	return err
}

// await waits for the end.
func (s *site) await(ctx context.Context, p *panel.Server, idleExit time.Duration, served <-chan error) error {
	timer := time.NewTimer(max(idleExit, time.Second))
	defer timer.Stop()
	for {
		var tick <-chan time.Time
		if idleExit > 0 {
			tick = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return err
		case <-tick:
			rest := idleExit - p.Idle()
			if rest <= 0 {
				return nil
			}
			timer.Reset(rest)
		}
	}
}
