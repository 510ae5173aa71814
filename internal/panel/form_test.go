package panel

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFormIsWiped(t *testing.T) {
	body := []byte("pin=12%33456&other=secret+text")
	f, err := parseForm(body)
	if err != nil {
		t.Fatal(err)
	}
	pin := f.secret("pin")
	defer pin.Wipe()
	if got := f.line("other"); got != "secret text" || string(pin.Bytes()) != "123456" {
		t.Errorf("read %q and %q", got, pin.Bytes())
	}
	f.wipe()
	if bytes.ContainsAny(body, "123456abcdefghijklmnopqrstuvwxyz") {
		t.Errorf("%q is left", body)
	}
	if string(pin.Bytes()) != "123456" {
		t.Error("the copy is the form's")
	}
}

func TestLongSecretIsStillTooLong(t *testing.T) {
	f, err := parseForm([]byte("pin=" + strings.Repeat("1", 5000)))
	if err != nil {
		t.Fatal(err)
	}
	s := f.secret("pin")
	defer s.Wipe()
	if s.Len() != maxSecret {
		t.Errorf("%d bytes", s.Len())
	}
}

// FuzzForm: what is read is what net/url reads, and nothing else is kept.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"", "a=b", "a=b&a=c", "a=%41+%2b", "a=%4", "a=%zz", "a", "=b", "a=b&&c=d", "a=\xff", "a=%ff", "ключ=%D0%BA", "a=b;c=d", "a=b=c", "%=x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text := string(body)
		got, err := parseForm(body)
		want, urlErr := url.ParseQuery(text)
		if err == nil {
			if urlErr != nil && !strings.Contains(text, ";") {
				t.Fatalf("%q is read, and net/url says %v", text, urlErr)
			}
			n := 0
			for _, v := range got.fields {
				n++
				if !utf8.Valid(v.value) {
					t.Errorf("%q gives %q", text, v.value)
				}
				if urlErr == nil && !contains(want[v.name], string(v.value)) {
					t.Errorf("%q gives %s=%q, net/url %q", text, v.name, v.value, want[v.name])
				}
			}
			if all := 0; urlErr == nil {
				for _, v := range want {
					all += len(v)
				}
				if all != n {
					t.Errorf("%q has %d fields, net/url %d", text, n, all)
				}
			}
		}
		got.wipe()
		for i, b := range body {
			if b != 0 {
				t.Fatalf("byte %d of %q is left", i, text)
			}
		}
	})
}

func contains(all []string, s string) bool {
	for _, v := range all {
		if v == s {
			return true
		}
	}
	return false
}

// FuzzUpload: any body is read or refused, within bounds.
func FuzzUpload(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.p12\"\r\n\r\n2\r\n--b--\r\n"))
	f.Add([]byte("--b\r\n\r\n--b--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := http.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		form, err := readForm(r)
		if err == nil {
			size := len(form.file)
			for _, v := range form.fields {
				size += len(v.value)
			}
			if size > len(body) || len(form.fields) > maxFields {
				t.Errorf("%d bytes in %d fields out of %d bytes", size, len(form.fields), len(body))
			}
		}
		form.wipe()
	})
}

func TestPreferred(t *testing.T) {
	for header, want := range map[string]string{
		"": "en", "kk": "kk", "ru-RU,ru;q=0.9,en;q=0.8": "ru", "en;q=0.1,kk;q=0.2": "kk", "ru;q=0": "en", "ru;q=1.5": "ru", "ru;q=2": "en", "ru;q=0.1234": "en",
		strings.Repeat("xx,", 100) + "ru": "en", "*": "en",
	} {
		if got := preferred(header); string(got) != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestFileName(t *testing.T) {
	for label, want := range map[string]string{
		"ИВАНОВ ИВАН": "ИВАНОВ ИВАН", "../../etc/passwd": "_.._etc_passwd", "": "certificate", "...": "certificate", "a\x00b\nc": "a_b_c",
		`x"y<z>|?*:`: "x_y_z_____", strings.Repeat("ұ", 100): strings.Repeat("ұ", 64),
	} {
		if got := fileName(label); got != want {
			t.Errorf("%q: %q, want %q", label, got, want)
		}
	}
}
