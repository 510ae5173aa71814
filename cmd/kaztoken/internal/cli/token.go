package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/host"
	"kaztoken/internal/secret"
)

// token is an open token as the management commands see it.
type token struct {
	*firmware.Token
	host *host.Token
}

// farewell is how long a log-out may take after the work was interrupted.
const farewell = 5 * time.Second

// withToken opens the token that is meant, powers it up and hands it to f.
// Whatever f does, nobody is logged in afterwards: also after an interruption
// the log-out goes through before the token is let go.
func (a *app) withToken(ctx context.Context, f func(context.Context, *token) error) (err error) {
	h, err := a.Open(ctx, a.options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if _, err := h.PowerOn(ctx); err != nil {
		return err
	}
	t, err := a.openFirmware(ctx, h)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		err = errors.Join(err, t.Logout(ctx))
	}()
	return f(ctx, &token{Token: t, host: h})
}

// openFirmware finds out how a powered-up token is formatted.
func (a *app) openFirmware(ctx context.Context, h *host.Token) (*firmware.Token, error) {
	options := []firmware.Option{firmware.WithATR(h.ATR())}
	if a.log.IsLevelEnabled(logrus.TraceLevel) {
		options = append(options, firmware.WithTrace(a.traceAPDU(h.Name)))
	}
	return firmware.Open(ctx, a.Card(h), options...)
}

// traceAPDU logs APDUs; package firmware has taken out what is secret.
func (a *app) traceAPDU(reader string) func(firmware.Event) {
	return func(e firmware.Event) {
		f := logrus.Fields{
			"reader": reader, "command": fmt.Sprintf("%X", e.Command), "answer": fmt.Sprintf("%X", e.Answer),
			"sw": e.SW, "dur": e.Duration,
		}
		if e.Hidden > 0 {
			f["hidden"] = e.Hidden
		}
		if e.HiddenAnswer > 0 {
			f["hidden_answer"] = e.HiddenAnswer
		}
		if e.Err != nil {
			f[logrus.ErrorKey] = e.Err
		}
		a.log.WithFields(f).Trace("token APDU")
	}
}

// loginFlags say who logs in, and with which PIN.
type loginFlags struct {
	pin     secretFlags
	lastTry bool
}

func (l *loginFlags) add(c *cobra.Command, whose string) {
	l.pin.add(c, "pin", "the "+whose+" PIN")
	c.Flags().BoolVar(&l.lastTry, "last-try", false, "use the last try; a wrong PIN then blocks the token")
}

// few is from how many tries left a person is told before the PIN is asked for.
const few = 3

// login logs a role in. It shows the tries that are left when they are few,
// does not touch the last one unless that is wanted, and warns of a default
// PIN. The PIN is compared once: a wrong one ends the command.
func (a *app) login(ctx context.Context, t *token, r firmware.Role, l *loginFlags) (firmware.LoginResult, error) {
	none := firmware.LoginResult{}
	if s := t.State(); s == firmware.StateWiped || s == firmware.StateHalf {
		return none, &firmware.StateError{Op: firmware.OpLogin, State: s}
	}
	s, err := t.PINStatus(ctx, r)
	if err != nil {
		return none, err
	}
	if s.Blocked {
		return none, &firmware.PINError{Role: r, Blocked: true, Err: firmware.ErrPINBlocked}
	}
	lastTry := l.lastTry || !a.settings.AskLastTry
	if s.Left == 1 && !lastTry {
		if lastTry, err = a.askLastTry(ctx); err != nil {
			return none, err
		}
		if !lastTry {
			return none, &firmware.PINError{Role: r, Left: 1, Err: firmware.ErrLastTry}
		}
	} else if s.Left > 0 && s.Left <= few {
		a.warn("ask.left", "role", describe.Role(r), "n", s.Left)
	}
	pin, err := a.askSecret(ctx, &l.pin, false, "ask.pin", "role", describe.Role(r))
	if err != nil {
		return none, err
	}
	defer pin.Wipe()
	var options []firmware.LoginOption
	if lastTry {
		options = append(options, firmware.AllowLastTry())
	}
	result, err := t.Login(ctx, r, pin.Bytes(), options...)
	if err == nil && result.DefaultPIN && a.settings.WarnDefaultPIN {
		a.warn("defwarn")
	}
	return result, err
}

// askLastTry asks whether the last try may be used. Without a terminal it may
// not.
func (a *app) askLastTry(ctx context.Context) (ok bool, err error) {
	err = a.withConsole(noTerminalError{}, func(c Console) (err error) {
		ok, err = a.yes(ctx, c, "ask.last")
		return err
	})
	var none *noTerminalError
	if errors.As(err, &none) {
		return false, nil
	}
	return ok, err
}

// newPIN gets a new PIN that the settings allow, typed twice if it is typed. The
// caller wipes it.
func (a *app) newPIN(ctx context.Context, f *secretFlags, whose firmware.Role) (*secret.Bytes, error) {
	pin, err := a.askSecret(ctx, f, true, "ask.newpin", "role", describe.Role(whose))
	if err != nil {
		return nil, err
	}
	if err := a.judge(pin.Bytes()); err != nil {
		pin.Wipe()
		return nil, err
	}
	return pin, nil
}

// roleNamed reads a role from the command line.
func roleNamed(s string) (firmware.Role, error) {
	switch strings.ToLower(s) {
	case "user":
		return firmware.User, nil
	case "admin", "administrator":
		return firmware.Admin, nil
	}
	return 0, &usageError{fmt.Errorf("%q: want user or admin", s)}
}

// addRole adds a flag that names a role.
func addRole(c *cobra.Command, p *string, name, value, usage string) {
	c.Flags().StringVar(p, name, value, usage+": user or admin")
	must(c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions([]string{"user", "admin"}, cobra.ShellCompDirectiveNoFileComp)))
}
