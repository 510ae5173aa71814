//go:build e2e && linux

package panel

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"kaztoken/internal/words"
)

// focus waits until an element has the focus, and can be seen to have it.
func (b *tab) focus(selector string) {
	b.Helper()
	b.until(`document.activeElement.matches(` + quote(selector) + `)`)
	if ring := value[bool](b, `(() => { const s = getComputedStyle(document.activeElement);
		return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== "none"; })()`); !ring {
		b.Errorf("%s has the focus and does not show it", selector)
	}
}

// walk presses the tab key until an element has the focus, which it must get before
// a person would give up.
func (b *tab) walk(selector string) {
	b.Helper()
	for range 40 {
		b.press(kb.Tab)
		if value[bool](b, `document.activeElement.matches(`+quote(selector)+`)`) {
			b.focus(selector)
			return
		}
	}
	b.fail("the tab key does not lead to %s", selector)
}

// letter is a key of another keyboard layout than the American one.
func letter(s string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
			p := input.DispatchKeyEventParams{Type: kind, Key: s}
			if kind == input.DispatchKeyEventTypeKeyDown {
				p.Text = s
			}
			if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestKeyboard does without the mouse: the skip link, the tabs, a log-in, a change of
// the name, and out again.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	b := newTab(t, virtual(t), words.Kazakh, "keyboard").enter()
	b.press(kb.Tab)
	b.focus("a.skip")
	b.look("skip")
	b.press(kb.Enter)
	b.until(`document.activeElement.id === "main"`)

	for _, tab := range []string{"certs", "settings", "about", "admin"} {
		b.do(navigate(b.server.address() + "/"))
		b.see("#tab-admin")
		b.walk("#tab-" + tab)
		b.press(kb.Enter)
		b.see("#tab-" + tab + "[aria-current=page]")
	}

	b.walk("#login")
	b.press(kb.Enter)
	b.see("#login-form")
	b.until(`document.activeElement.id === "pin"`)
	// A person sees what alphabet the keyboard has.
	b.do(letter("ы"))
	b.says("#keyboard-text", b.say("keyboard.cyrillic"))
	b.press(kb.Backspace, "1")
	b.says("#keyboard-text", b.say("keyboard.digits"))
	b.press(kb.Backspace)
	// Escape leaves, and the focus is where it was.
	b.press(kb.Escape)
	b.gone("#login-form")
	b.focus("#login")
	b.press(kb.Enter)
	b.until(`document.activeElement.id === "pin"`)
	b.press("11112222", kb.Enter)
	b.see("#problem")
	b.until(`document.activeElement.id === "pin" || document.activeElement.id === "problem"`)
	if value[bool](b, `document.activeElement.id === "problem"`) {
		b.walk("#pin")
	}
	b.press(factoryUser, kb.Enter)
	b.see("#default-warning")
	b.look("default-pin")
	if !value[bool](b, `document.activeElement.matches("#keep")`) {
		b.walk("#keep")
	}
	b.press(kb.Enter)
	b.see("#logout")

	b.walk("#name")
	b.press(kb.Enter)
	b.until(`document.activeElement.id === "new-name"`)
	b.do(selectAll)
	b.press("Пернетақта", kb.Enter)
	b.says("#token-name", "Пернетақта")
	b.walk("#logout")
	b.press(kb.Enter)
	b.see("#login")
	b.gone("#logout")
}

// TestFocusStaysInDialogs: the tab key does not lead out of a dialog to the page
// behind it.
func TestFocusStaysInDialogs(t *testing.T) {
	t.Parallel()
	b := newTab(t, virtual(t), words.Russian, "focus").enter()
	b.click("#login")
	b.until(`document.activeElement.id === "pin"`)
	for range 12 {
		b.press(kb.Tab)
		if at := value[string](b, `document.activeElement === document.body ? "" : document.activeElement.closest("dialog") ? "" : document.activeElement.outerHTML`); at != "" {
			t.Errorf("the focus is at %s", at)
		}
	}
}
