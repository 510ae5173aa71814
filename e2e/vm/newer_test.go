//go:build linux

package vm

import "testing"

func TestMirrorIn(t *testing.T) {
	const others = "Debian\tDebian-Security\thttp://security.example/\nOther\tDebian\thttp://other.example/\n"
	for _, c := range []struct{ targets, want string }{
		{others + "Debian\tDebian\thttp://mirror.example/debian/\nDebian\tDebian\thttp://second.example/\n", "http://mirror.example/debian/"},
		{others, ""},
		{"", ""},
	} {
		got, err := mirrorIn(c.targets)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v; want %q", c.targets, got, err, c.want)
		}
	}
}
