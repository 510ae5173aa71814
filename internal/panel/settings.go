package panel

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// settingsBody is the Settings tab.
type settingsBody struct {
	Problem   *Problem
	Place     string // of the file
	Languages []choice
	Backends  []choice
	Readers   []choice
	Weak      []choice

	WarnDefault, AskLastTry bool
	MinLength, Idle         string
	MinLow, MinHigh         int
	IdleLow, IdleHigh       int
}

// The values of settings in words.
var (
	languageWords = map[string]words.Key{
		"auto": "settings.language.auto", "kk": "settings.language.kk", "ru": "settings.language.ru", "en": "settings.language.en",
	}
	backendWords = map[string]words.Key{"auto": "settings.backend.auto", "usb": "settings.backend.usb", "pcsc": "settings.backend.pcsc"}
	readersWords = map[string]words.Key{
		"kaztoken": "settings.readers.kaztoken", "rutoken": "settings.readers.rutoken", "all": "settings.readers.all",
	}
	weakWords = map[string]words.Key{"warn": "settings.weak.warn", "forbid": "settings.weak.forbid", "allow": "settings.weak.allow"}
)

func (c *call) settingsPage() {
	chosen, err := settings.Standard(), error(nil)
	if c.srv.cfg.Settings != "" {
		if chosen, err = settings.Load(c.srv.cfg.Settings); err != nil {
			chosen = settings.Standard()
		}
	}
	c.showSettings(http.StatusOK, chosen, strconv.Itoa(chosen.MinPINLength), strconv.Itoa(chosen.IdleMinutes), err)
}

func (c *call) showSettings(status int, s settings.Settings, minLength, idle string, failure error) {
	b := settingsBody{
		Place: c.srv.cfg.Settings, WarnDefault: s.WarnDefaultPIN, AskLastTry: s.AskLastTry, MinLength: minLength, Idle: idle,
		MinLow: settings.MinPINLengthLow, MinHigh: settings.MinPINLengthHigh, IdleLow: settings.IdleMinutesLow, IdleHigh: settings.IdleMinutesHigh,
	}
	for _, l := range []struct {
		list   *[]choice
		all    []string
		chosen string
		named  map[string]words.Key
	}{
		{&b.Languages, settings.Languages(), s.Language, languageWords},
		{&b.Backends, settings.Backends(), s.Backend, backendWords},
		{&b.Readers, settings.Readers(), s.Readers, readersWords},
		{&b.Weak, settings.WeakPINRules(), s.WeakPINs, weakWords},
	} {
		for _, v := range l.all {
			*l.list = append(*l.list, choice{v, c.words.Text(l.named[v]), v == l.chosen})
		}
	}
	if failure != nil {
		b.Problem = c.problem(failure)
	}
	c.render(status, "settings", "settings", "tab.settings", b)
}

// errNoSettings: there is no place for settings.
var errNoSettings = errors.New("there is no folder for settings")

func (c *call) saveSettings() {
	f := c.form
	s := c.settings
	s.Language, s.Backend, s.Readers, s.WeakPINs = f.line("language"), f.line("backend"), f.line("readers"), f.line("weak")
	s.WarnDefaultPIN, s.AskLastTry = f.has("warn_default"), f.has("ask_last_try")
	again := func(err error) {
		c.showSettings(http.StatusUnprocessableEntity, s, f.line("min_length"), f.line("idle"), err)
	}
	for _, n := range []struct {
		text  string
		value *int
	}{{f.line("min_length"), &s.MinPINLength}, {f.line("idle"), &s.IdleMinutes}} {
		var err error
		if *n.value, err = strconv.Atoi(strings.TrimSpace(n.text)); err != nil {
			again(errNumber)
			return
		}
	}
	if err := c.update(func(to *settings.Settings) {
		to.Language, to.Backend, to.Readers, to.WeakPINs = s.Language, s.Backend, s.Readers, s.WeakPINs
		to.WarnDefaultPIN, to.AskLastTry, to.MinPINLength, to.IdleMinutes = s.WarnDefaultPIN, s.AskLastTry, s.MinPINLength, s.IdleMinutes
	}); err != nil {
		again(err)
		return
	}
	c.s.tell(notice{key: "settings.saved"})
	c.redirect("/settings")
}

// update changes the settings file, and has the change take effect.
func (c *call) update(change func(*settings.Settings)) error {
	if c.srv.cfg.Settings == "" {
		return errNoSettings
	}
	var now settings.Settings
	err := settings.Update(c.srv.cfg.Settings, func(s *settings.Settings) error {
		change(s)
		now = *s
		return nil
	})
	if err == nil && c.srv.cfg.Chosen != nil {
		c.srv.cfg.Chosen(now)
	}
	c.srv.news.tell()
	return err
}

// pages are those that a form may lead back to.
var pages = []string{"/", "/certificates", "/settings", "/about", "/diagnostics"}

// localPath is one of the panel's own pages, whatever a form says.
func localPath(path string) string {
	for _, p := range pages {
		if p == path {
			return p
		}
	}
	return "/"
}
