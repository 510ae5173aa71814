package panel_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/panel"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// TestLogInBelongsToOneSession: another browser sees the token as not logged in, and
// can do nothing with it.
func TestLogInBelongsToOneSession(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	one, two := w.enter(words.English), w.enter(words.English)
	one.login("admin", factoryAdmin)
	two.get("/").wants(200, say(words.English, "login"))
	if a := two.get("/"); strings.Contains(a.body, `id="who"`) || a.enabled("unblock") {
		t.Error("another session is logged in, too")
	}
	for path, fields := range map[string][]string{
		"/unblock": nil, "/pin": {"whose", "user", "new", newUser, "again", newUser}, "/name": {"name", "x"},
	} {
		two.post(path, fields...).wants(422, say(words.English, "panel.loggedout"))
	}
	two.post("/format", formatForm()...).wants(422, say(words.English, "error.role", "role", "admin"))
	if a := two.post("/format/start"); a.path != "/format" {
		t.Errorf("another session starts a format: %s", a.path)
	}
	// Both work side by side, each with its own rights.
	two.login("user", factoryUser)
	one.post("/unblock").wants(200, say(words.English, "done.unblock"))
	two.post("/name", "name", "Two").wants(200, say(words.English, "done.rename", "name", "Two"))
	one.post("/logout")
	two.post("/name", "name", "Still two").wants(200)
}

func TestNobodyIsLoggedInToTheCard(t *testing.T) {
	card := newCard(t)
	w := newWorld(t, nil, card)
	b := w.enter(words.English)
	b.login("user", factoryUser)
	b.post("/name", "name", "x").wants(200)
	// The query of VERIFY says 9000 while the PIN is verified.
	answer, err := card.Transmit(t.Context(), nil, []byte{0x00, 0x20, 0x00, 0x02})
	if err != nil || len(answer) != 2 || answer[0] != 0x63 {
		t.Errorf("the card answers % X, %v", answer, err)
	}
}

// TestPINThatIsNotRightAnyMore: another program has changed it. One try is lost,
// once: the log-in ends.
func TestPINThatIsNotRightAnyMore(t *testing.T) {
	card := newCard(t)
	w := newWorld(t, nil, card)
	b := w.enter(words.English)
	b.login("user", factoryUser)
	waitFor(t, func() bool { return w.desk.Opened() == 0 })
	other, err := firmware.Open(t.Context(), card)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Login(t.Context(), firmware.User, []byte(factoryUser)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(other.ChangePIN(t.Context(), firmware.User, []byte(newUser)), other.Logout(t.Context())); err != nil {
		t.Fatal(err)
	}
	b.post("/name", "name", "x").wants(422, say(words.English, "error.pin.wrong", "role", "user", "n", 9))
	b.post("/name", "name", "x").wants(422, say(words.English, "panel.loggedout"))
	b.get("/login").wants(200, words.For(words.English).Text("pin.tries", "left", 9, "max", 10))
}

// TestChangeOfAPINEndsTheLogInsWithTheOldOne: no try is lost by them.
func TestChangeOfAPINEndsTheLogInsWithTheOldOne(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	one, two, admin := w.enter(words.English), w.enter(words.English), w.enter(words.English)
	one.login("user", factoryUser)
	two.login("user", factoryUser)
	admin.login("admin", factoryAdmin)
	two.post("/pin", "whose", "user", "new", newUser, "again", newUser).wants(200)
	one.post("/name", "name", "x").wants(422, say(words.English, "panel.loggedout"))
	two.post("/name", "name", "x").wants(200)
	admin.post("/unblock").wants(200)
	one.get("/login").wants(200, words.For(words.English).Text("pin.tries", "left", 10, "max", 10))
	admin.post("/format", formatForm()...)
	admin.post("/format/start").wants(200, say(words.English, "done.format", "name", "KAZTOKEN"))
	two.post("/name", "name", "x").wants(422, say(words.English, "panel.loggedout"))
}

func TestIdleLogOut(t *testing.T) {
	var mu sync.Mutex
	now := testTime
	w := newWorld(t, func(c *panel.Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	}, newCard(t))
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	b, other := w.enter(words.English), w.enter(words.English)
	b.login("user", factoryUser)
	pass(9 * time.Minute)
	b.get("/").wants(200, say(words.English, "panel.who", "role", "user"))
	pass(10 * time.Minute)
	other.post("/logout") // something happens, so that the time is looked at
	// What the script asks for by itself keeps nobody logged in.
	r := b.request(http.MethodGet, "/", nil)
	r.Header.Set("Panel-Refresh", "1")
	waitFor(t, func() bool { return !strings.Contains(b.do(r.Clone(t.Context())).body, `id="who"`) })
	b.post("/name", "name", "x").wants(422, say(words.English, "panel.loggedout"))

	if err := settings.Update(w.settings, func(s *settings.Settings) error { s.IdleMinutes = 0; return nil }); err != nil {
		t.Fatal(err)
	}
	b.login("user", factoryUser)
	pass(100 * time.Hour)
	other.post("/logout")
	b.get("/").wants(200, say(words.English, "panel.who", "role", "user"))
}

// TestIdleLogOutAfterSleep: the time in which the machine slept counts, although no
// timer ran meanwhile: whoever wakes it is not taken for the one who logged in.
func TestIdleLogOutAfterSleep(t *testing.T) {
	var mu sync.Mutex
	now := testTime
	w := newWorld(t, func(c *panel.Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	}, newCard(t))
	b := w.enter(words.English)
	b.login("user", factoryUser)
	mu.Lock()
	now = now.Add(11 * time.Minute)
	mu.Unlock()
	b.get("/").wants(200, say(words.English, "panel.idle"), say(words.English, "login"))
	b.post("/name", "name", "x").wants(422, say(words.English, "panel.loggedout"))
}

// waitFor waits for something that comes soon.
func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ready(); {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestClose(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.Kazakh)
	b.login("user", factoryUser)
	b.post("/close").wants(200, say(words.Kazakh, "panel.closed"))
	b.get("/").wants(http.StatusForbidden)
	one, two := w.enter(words.English), w.enter(words.English)
	w.panel.Evict()
	one.get("/").wants(http.StatusForbidden)
	two.get("/").wants(http.StatusForbidden)
}

func TestFewSessions(t *testing.T) {
	var mu sync.Mutex
	now := testTime
	w := newWorld(t, func(c *panel.Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); now = now.Add(time.Second); return now }
	})
	first := w.enter(words.English)
	second := w.enter(words.English)
	for range 15 {
		first.get("/").wants(200)
		w.enter(words.English)
	}
	first.get("/").wants(200)
	second.get("/").wants(http.StatusForbidden)
}

func TestEnteringAgainEndsTheOldSession(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	b.login("user", factoryUser)
	if a := b.get(w.panel.Entry()); strings.Contains(a.body, `id="who"`) {
		t.Error("the new session has the old one's log-in")
	}
}

func TestTokensComeAndGo(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w := newWorld(t, nil)
		b := w.enter(l)
		events := b.events(t)
		b.get("/").wants(200, say(l, "panel.plug"), say(l, "panel.none"))
		b.get("/certificates").wants(200, say(l, "panel.plug"))
		b.get("/login").wants(200, say(l, "panel.none"))
		b.get("/information").wants(200, say(l, "panel.none"))

		w.desk.Plug(readerName(0), newCard(t))
		events.await("tokens")
		b.get("/").wants(200, readerName(0), "32D18A58")
		w.desk.Plug(readerName(1), newCard(t, emu.WithTokenID([8]byte{0, 0, 0, 0, 1, 2, 3, 4}), emu.WithLabel("Second")))
		events.await("tokens")
		a := b.get("/").wants(200, readerName(0), readerName(1))
		second := a.all(`<option value="([^"]+)"`)[1]
		b.post("/token", "token", second, "tab", "admin").wants(200, "01020304", "Second")
		b.post("/login", "token", second, "role", "user", "pin", factoryUser).wants(200)

		// It is pulled out while a dialog is open.
		form := b.hidden()
		w.desk.Unplug(readerName(1))
		events.await("tokens")
		form.Set("name", "x")
		b.send("/name", form).wants(200, say(l, "panel.gone"), "32D18A58")
		// Plugged in again it is another one, to which nobody is logged in.
		w.desk.Plug(readerName(1), newCard(t, emu.WithTokenID([8]byte{0, 0, 0, 0, 1, 2, 3, 4})))
		events.await("tokens")
		third := b.get("/").all(`<option value="([^"]+)"`)[1]
		if third == second {
			t.Error("a token that was plugged in again has its old name")
		}
		if a := b.post("/token", "token", third); strings.Contains(a.body, `id="who"`) {
			t.Error("and its old log-in")
		}
	})
}

// TestAnotherTokenInTheSamePlace: a PIN goes to no other token than the one that took
// it, even if the list did not tell of the change.
func TestAnotherTokenInTheSamePlace(t *testing.T) {
	swap := &swapped{}
	w := newWorld(t, nil)
	w.desk.Wrap = func(_ string, c firmware.Card) firmware.Card { swap.now = c; return swap }
	w.desk.Plug(readerName(0), newCard(t))
	b := w.enter(words.English)
	waitFor(t, func() bool { return strings.Contains(b.get("/").body, "32D18A58") })
	b.login("user", factoryUser)
	other := newCard(t, emu.WithTokenID([8]byte{0, 0, 0, 0, 9, 9, 9, 9}), emu.WithPIN(2, []byte("other-pin"), 10))
	swap.set(other)
	b.post("/name", "name", "x").wants(422)
	b.post("/name", "name", "x").wants(422, say(words.English, "panel.loggedout"))
	answer, err := other.Transmit(t.Context(), nil, []byte{0x00, 0x20, 0x00, 0x02})
	if err != nil || answer[1] != 0xCA {
		t.Errorf("the other token has % X, %v: a try was used", answer, err)
	}
}

// swapped is a card that is another one from some moment on.
type swapped struct {
	mu    sync.Mutex
	now   firmware.Card
	other firmware.Card
}

func (s *swapped) set(c firmware.Card) { s.mu.Lock(); defer s.mu.Unlock(); s.other = c }

func (s *swapped) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	s.mu.Lock()
	c := s.now
	if s.other != nil {
		c = s.other
	}
	s.mu.Unlock()
	return c.Transmit(ctx, dst, apdu)
}

func TestListThatFails(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	b.get("/").wants(200, "32D18A58")
	w.desk.Fail(errors.New("no service"))
	waitFor(t, func() bool { return strings.Contains(b.get("/").body, "no service") })
	b.get("/certificates").wants(200, "no service")
	w.desk.Fail(nil)
	waitFor(t, func() bool { return strings.Contains(b.get("/").body, "32D18A58") })
}

// TestOtherProgramsGetTheToken: the panel holds no token that nobody does anything
// with.
func TestOtherProgramsGetTheToken(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	b.login("user", factoryUser)
	b.get("/certificates")
	if w.desk.Opened() != 1 {
		t.Error("the token is not kept for the next click")
	}
	waitFor(t, func() bool { return w.desk.Opened() == 0 })
	b.post("/name", "name", "x").wants(200)
}

// stream is what a browser hears of the server's events.
type stream struct {
	t     *testing.T
	lines chan string
}

// events begins to listen.
func (b *browser) events(t *testing.T) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := b.request(http.MethodGet, "/events", nil).WithContext(ctx)
	resp, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("events come as %s", got)
	}
	s := &stream{t, make(chan string, 1024)}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(s.lines)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			s.lines <- lines.Text()
		}
	})
	t.Cleanup(func() {
		cancel()
		resp.Body.Close()
		wg.Wait()
	})
	return s
}

// await waits for an event and gives its data.
func (s *stream) await(name string) string {
	s.t.Helper()
	end := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("no event %s before the end", name)
			}
			if line == "event: "+name {
				return strings.TrimPrefix(<-s.lines, "data: ")
			}
		case <-end:
			s.t.Fatalf("no event %s", name)
		}
	}
}

func TestSessionThatEndsTellsItsPages(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	events := b.events(t)
	w.panel.Evict()
	events.await("session")
}
