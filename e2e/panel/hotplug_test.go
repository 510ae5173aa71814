//go:build e2e && linux

package panel

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/firmware/emu"
	"kaztoken/internal/words"
)

// desk is a smart-card service whose readers come and go as the test has it. The
// program finds it as it finds pcscd.
type desk struct {
	t       *testing.T
	service *bridge.Service
	socket  string
	plugged map[string]*plug
}

// plug is a token that is plugged in.
type plug struct {
	slot   *bridgetest.Slot
	detach func()
	gone   chan struct{}
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, service: bridge.New(bridge.Config{Policy: bridge.SameUser()}), plugged: make(map[string]*plug)}
	d.socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", d.socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { served <- d.service.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("the service ends with %v", err)
		}
		if err := d.service.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// plug plugs a token in.
func (d *desk) plug(serial string, card *emu.Card) *plug {
	d.t.Helper()
	name := bridge.ReaderName{Base: "DigiFlow LLP. KAZTOKEN", Serial: serial}
	p := &plug{slot: bridgetest.NewSlot(name.String(), card), gone: make(chan struct{})}
	info := bridgetest.Info
	info.Serial, info.Path = serial, "1-"+serial+":1.0"
	p.slot.SetInfo(info)
	var err error
	if p.detach, err = d.service.Attach(p.slot); err != nil {
		d.t.Fatal(err)
	}
	d.plugged[serial] = p
	return p
}

// pull pulls a token out.
func (d *desk) pull(serial string) {
	p := d.plugged[serial]
	delete(d.plugged, serial)
	close(p.gone)
	p.slot.Unplug()
	p.detach()
	p.slot.Detached()
	if faults := p.slot.Faults(); len(faults) > 0 {
		d.t.Errorf("reader %s: %q", serial, faults)
	}
}

// stick has a token do n more commands, and then none until it is pulled out: stuck
// is closed when that begins.
func (p *plug) stick(n int) (stuck <-chan struct{}) {
	at := make(chan struct{})
	left := n
	p.slot.Hook(func(_ context.Context, call bridgetest.Call) error {
		if call != bridgetest.Transmit {
			return nil
		}
		if left--; left > 0 { // one call at a time
			return nil
		}
		if left == 0 {
			close(at)
		}
		<-p.gone
		return bridge.ErrGone
	})
	return at
}

// serve starts a panel that finds its tokens through the service.
func (d *desk) serve(args ...string) *server {
	d.t.Helper()
	h := newHome(d.t)
	h.env = slices.DeleteFunc(h.env, func(s string) bool { return len(s) > 8 && s[:8] == "PCSCLITE" })
	h.env = append(h.env, "PCSCLITE_CSOCK_NAME="+d.socket)
	return h.serve(d.t, append([]string{"--backend", "pcsc"}, args...)...)
}

// TestHotPlug: tokens come and go while the panel is open, in the middle of a dialog
// and in the middle of an operation.
func TestHotPlug(t *testing.T) {
	for _, lang := range words.Languages() {
		t.Run(string(lang), func(t *testing.T) {
			t.Parallel()
			hotPlug(t, lang)
		})
	}
}

func hotPlug(t *testing.T, lang words.Language) {
	d := newDesk(t)
	b := newTab(t, d.serve(), lang, "hot-plug-"+string(lang))
	b.closely = lang == words.English
	b.enter()
	b.see("#empty")
	b.disabled("#login")
	b.look("no-token")

	first := emu.New(emu.WithNewState(), emu.WithLabel("Birinshi"))
	second := emu.New(emu.WithNewState(), emu.WithLabel("Ekinshi"), emu.WithTokenID([8]byte{7: 2}))
	d.plug("32D18A58", first)
	b.says("#token-name", "Birinshi")
	b.see("#login")
	d.plug("00000002", second)
	b.until(`document.querySelectorAll("#token option").length === 2`)
	b.says("#token-name", "Birinshi") // the one that was looked at stays
	b.look("two-tokens")

	// A log-in holds for one token.
	b.login("user", factoryUser)
	other := value[string](b, `[...document.querySelectorAll("#token option")].find(o => o.text.includes("00000002")).value`)
	b.choose("#token", other)
	b.says("#token-name", "Ekinshi")
	b.gone("#logout")
	b.see("#login")

	// Pulled out while its dialog is open.
	b.click("#login")
	b.see("#login-form")
	d.pull("00000002")
	b.says("#gone", b.say("panel.gone"))
	b.disabled("#ok")
	b.look("gone")
	b.leave("#cancel")
	b.until(`document.querySelectorAll("#token option").length === 1`)
	b.says("#token-name", "Birinshi")
	b.see("#logout")
	b.logout()

	// Pulled out in the middle of formatting.
	b.login("admin", factoryAdmin)
	b.click("#format")
	b.see("#format-form")
	b.click("#start")
	b.see("#format-warning")
	stuck := d.plugged["32D18A58"].stick(40)
	b.click("#start")
	<-stuck
	b.says("#busy", b.say("format.busy"))
	b.see("#progress")
	b.look("formatting")

	// The operation goes on when its tab is closed, and another tab finds it.
	task := value[string](b, `document.querySelector("[data-task]").dataset.task`)
	b.do(navigate(b.server.address() + "/certificates"))
	b.see("[data-task=" + quote(task) + "] progress")
	b.look("busy")
	b.do(navigate(b.server.address() + "/task/" + task))
	b.see("#progress")

	d.pull("32D18A58")
	b.see("#problem")
	b.gone("#progress")
	b.look("cut")
	b.click("#ok")
	b.see("#empty")

	// Plugged in again, it tells in which state it was left.
	d.plug("32D18A58", first)
	b.says("#summary, #problem, #cut", "")
	b.see("#problem, #cut")
	b.look("half-formatted")
	b.see("#format") // there is a way on without a PIN
	b.click("#format")
	b.see("#format-form")
	b.click("#start")
	b.see("#format-warning")
	b.click("#start")
	b.finished()
	b.says("#token-name", "KAZTOKEN")
	b.gone("#cut")
	b.look("whole-again")
}

// TestOpensTheBrowser: without a word about it, the panel hands its address to the
// person's browser, and that works.
func TestOpensTheBrowser(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	opened := filepath.Join(h.dir, "opened")
	script := "#!/bin/sh\necho \"$1\" >" + opened + ".new && mv " + opened + ".new " + opened + "\n"
	if err := os.WriteFile(filepath.Join(h.dir, "xdg-open"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	h.env[0] = "PATH=" + h.dir + ":" + os.Getenv("PATH")
	s := h.start(t, "--backend", "virtual")
	b := newTab(t, s, words.English, "opened")
	b.eventually("an opened browser", func() bool {
		address, err := os.ReadFile(opened)
		s.entry = strings.TrimSpace(string(address))
		return err == nil
	})
	b.enter()
	b.see("#login")
	b.until(`document.documentElement.classList.contains("live")`) // it is told

	// Once the program has ended, a page says so, and offers nothing any more.
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	b.says("main", b.say("panel.over"))
	b.gone("#login")
	b.look("over")
}

// TestProgramThatDies: a page whose program was killed, and could tell nobody, says that
// it does not answer.
func TestProgramThatDies(t *testing.T) {
	t.Parallel()
	s := virtual(t)
	b := newTab(t, s, words.English, "dies").enter()
	b.until(`document.documentElement.classList.contains("live")`)
	s.once.Do(func() {
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.cmd.Wait(); err == nil {
			t.Error("it ended well")
		}
	})
	b.says("#notices", b.say("panel.unreachable"))
	b.look("unreachable")
}

// TestSessionsAreApart: who has logged in in one browser has not in another.
func TestSessionsAreApart(t *testing.T) {
	t.Parallel()
	s := virtual(t)
	a := newTab(t, s, words.English, "apart").enter()
	a.login("user", factoryUser)
	s.again(t)
	b := newTab(t, s, words.English, "apart").enter()
	b.see("#login")
	b.gone("#logout")
	b.disabled("#name")
	a.see("#logout")
	// The address has worked, and does not again.
	c := newTab(t, s, words.English, "apart")
	c.do(navigate(s.entry))
	c.see("#message")
	c.gone("#tab-admin")
	c.look("stranger")

	// Closing the panel ends the session of that browser, and no other.
	b.click("#close")
	b.says("#message", b.say("panel.closed"))
	b.look("closed")
	b.do(navigate(s.address()))
	b.says("#message", b.say("panel.stranger"))
	a.see("#logout")
}

// TestSlowRequest: who does not say what he wants keeps no connection.
func TestSlowRequest(t *testing.T) {
	t.Parallel()
	s := virtual(t)
	address := strings.TrimPrefix(s.address(), "http://")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(*patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+address+"\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil || strings.Contains(string(answer), "200 OK") {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestLateAnswer: of two answers of the server, the one that was asked for later is
// shown, whichever comes first.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	b := newTab(t, virtual(t), words.English, "late").enter()
	b.see("#login")
	// From now on answers wait for the test.
	value[bool](b, `(() => {
		window.held = [];
		window.asked = window.shown = 0;
		window.free = false;
		const get = window.get = window.fetch.bind(window);
		window.fetch = async (...args) => {
			const answer = await get(...args), text = answer.text.bind(answer);
			answer.text = async () => {
				asked++;
				const body = await text();
				if (!free) await new Promise((go) => held.push({ go, body }));
				setTimeout(() => shown++);
				return body;
			};
			return answer;
		};
		document.dispatchEvent(new Event("visibilitychange"));
		return true;
	})()`)
	b.until(`held.length === 1 && held[0].body.includes('id="login"')`)
	value[bool](b, `(() => {
		const form = new URLSearchParams({ role: "user", pin: "`+factoryUser+`" });
		for (const name of ["csrf", "token"]) form.set(name, document.querySelector('[name="' + name + '"]').value);
		get("/login", { method: "POST", body: form });
		return true;
	})()`)
	b.until(`held.some(h => h.body.includes('id="logout"'))`)
	value[bool](b, `(() => { free = true; for (const h of held.reverse()) h.go(); return true; })()`)
	b.until(`shown === asked`)
	b.see("#logout")
	b.gone("#login")
}
