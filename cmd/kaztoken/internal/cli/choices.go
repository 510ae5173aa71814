package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kaztoken/internal/describe"
	"kaztoken/internal/host"
	"kaztoken/internal/pinpolicy"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// The environment's choices: they come behind the flags and before the file.
const (
	langVariable    = "KAZTOKEN_LANG"
	backendVariable = "KAZTOKEN_BACKEND"
	devicesVariable = "KAZTOKEN_DEVICES"
)

// impersonal are the commands that the user's settings are not for: the service has
// the administrator's, and the others must work whatever is in the file.
var impersonal = []string{"serve", "udev-rules", "version", "completion", "help"}

// readSettings reads the user's settings before the command line is understood, so
// that a mistake in that is told in the user's language.
func (a *app) readSettings() {
	a.settings = settings.Standard()
	path, err := settings.Path(a.Getenv)
	if err != nil {
		return // no place for settings, so none were made
	}
	a.settingsPath = path
	s, err := settings.Load(path)
	if err != nil {
		if !errors.Is(err, settings.ErrMalformed) {
			err = &fileError{err}
		}
		a.settingsErr = err
		return
	}
	a.settings = s
}

// settle lets the environment and then the settings decide what no flag of a
// command says.
func (a *app) settle(c *cobra.Command) error {
	if words := strings.Fields(c.CommandPath()); len(words) > 1 && slices.Contains(impersonal, words[1]) {
		return nil
	}
	if a.settingsErr != nil {
		return a.settingsErr
	}
	for _, o := range []struct {
		flag, variable, chosen string
		option                 *string
	}{
		{"backend", backendVariable, a.settings.Backend, &a.options.Backend},
		{"devices", devicesVariable, a.settings.Readers, &a.options.Devices},
	} {
		switch value := a.Getenv(o.variable); {
		case c.Flags().Changed(o.flag):
		case value != "":
			*o.option = value
		default:
			*o.option = o.chosen
		}
	}
	return nil
}

// judge refuses a new PIN that the settings do not allow, and says of a weak one
// what is wrong with it.
func (a *app) judge(pin []byte) error {
	w, err := a.settings.NewPINs().Check(pin)
	if err != nil {
		if a.settingsPath == "" || tooShort(err) && a.settings.MinPINLength == settings.MinPINLengthLow {
			return err // no file can change that
		}
		return &host.HintError{Err: err, Hint: "hint.settings", Values: []any{"file", a.settingsPath}}
	}
	if w != 0 {
		a.warn("warn.pin.weak", "why", describe.Weakness(w))
	}
	return nil
}

// tooShort reports that a new PIN has fewer characters than the settings ask for.
func tooShort(err error) bool {
	var e *pinpolicy.Error
	return errors.As(err, &e) && e.Weakness == 0
}

// language decides in which language to talk: the flag, the environment's choice,
// the settings, or what the environment asks of every program.
func (a *app) language() words.Language {
	for _, code := range []string{a.lang, a.Getenv(langVariable), a.settings.Language} {
		if l, ok := words.Named(code); ok {
			return l
		}
	}
	return words.Preferred(a.Getenv)
}
