package cli

import (
	"fmt"
	"strings"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/words"
)

// act is one command of a scene, with what the person types at its prompts; yes
// is typed in the language of the scene.
type act struct {
	args  string // split at spaces; a _ in a word is a space
	typed []string
	exit  int
	quiet bool // what it says is not of this scene
}

func (a act) words() []string {
	args := strings.Fields(a.args)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "_", " ")
	}
	return args
}

// scene is a story on one card, told in every language.
type scene struct {
	name    string
	options []emu.Option
	nobody  bool // at the terminal
	acts    []act
}

const yes = "yes"

// block is what it takes to block a PIN.
func block(role string) []act {
	var acts []act
	for range 10 {
		acts = append(acts, act{args: "pin verify --last-try --pin-file @wrong.pin --as " + role, exit: exitPIN, quiet: true})
	}
	return acts
}

var scenes = []scene{
	{name: "pin", acts: []act{
		{args: "pin status"},
		{args: "pin verify", typed: []string{factoryUser}},
		{args: "pin verify --pin-file @wrong.pin", exit: exitPIN},
		{args: "pin status"},
		{args: "pin verify --as admin --pin-file @admin.pin"},
		{args: "pin change", typed: []string{factoryUser, newUser, newUser}},
		{args: "pin change", typed: []string{newUser, "Oral-1613", "Oral-1614"}, exit: exitUsage},
		{args: "pin change", typed: []string{newUser, "12345", "12345"}, exit: exitNotAllowed},
		{args: "pin verify --pin-file @new.pin"},
		{args: "pin change --whose admin --pin-file @admin.pin", typed: []string{newAdmin, newAdmin}},
		{args: "pin change --as admin", typed: []string{newAdmin, newUser, newUser}},
		{args: "pin unblock", typed: []string{newAdmin}},
		{args: "pin unblock --new-pin", typed: []string{newAdmin, factoryUser, factoryUser}},
		{args: "pin verify", typed: []string{""}, exit: exitUsage},
		{args: "pin verify --as nobody", exit: exitUsage},
		{args: "pin", exit: exitUsage},
	}},
	{name: "role", acts: []act{
		{args: "pin change --as user --whose admin --pin-file @user.pin", typed: []string{newAdmin, newAdmin}, exit: exitNotAllowed},
	}},
	{name: "policy-admin", options: []emu.Option{emu.WithPolicy(byte(firmware.PolicyAdmin))}, acts: []act{
		{args: "pin change --pin-file @user.pin --new-pin-file @new.pin", exit: exitNotAllowed},
		{args: "pin change --as admin --pin-file @admin.pin --new-pin-file @new.pin"},
		{args: "pin unblock --pin-file @admin.pin --new-pin-file @new.pin"},
	}},
	{name: "policy-user", options: []emu.Option{emu.WithPolicy(byte(firmware.PolicyUser))}, acts: []act{
		{args: "pin change --as admin --pin-file @admin.pin --new-pin-file @new.pin", exit: exitNotAllowed},
		{args: "pin unblock --pin-file @admin.pin --new-pin-file @new.pin", exit: exitNotAllowed},
		{args: "pin change --pin-file @user.pin --new-pin-file @new.pin"},
	}},
	{name: "blocked", acts: append(block("user"), []act{
		{args: "pin status"},
		{args: "pin verify --pin-file @user.pin", exit: exitPIN},
		{args: "pin change --pin-file @user.pin --new-pin-file @new.pin", exit: exitPIN},
		{args: "key generate --pin-file @user.pin", exit: exitPIN},
		{args: "pin unblock --pin-file @wrong.pin", exit: exitPIN},
		{args: "pin unblock --pin-file @admin.pin"},
		{args: "pin status"},
	}...)},
	{name: "blocked-admin", acts: append(block("admin"), []act{
		{args: "pin status"},
		{args: "pin unblock --pin-file @admin.pin", exit: exitPIN},
		{args: "pin verify --pin-file @user.pin"},
		{args: "format --yes"}, // nobody can log in any more
		{args: "pin status"},
	}...)},
	{name: "last-try", options: []emu.Option{emu.WithPIN(2, []byte(factoryUser), 3)}, acts: []act{
		{args: "pin verify --pin-file @wrong.pin", exit: exitPIN}, // told how many are left
		{args: "pin verify --pin-file @wrong.pin", exit: exitPIN},
		{args: "pin verify --pin-file @user.pin", typed: []string{"n"}, exit: exitPIN},
		{args: "pin status"},
		{args: "pin verify", typed: []string{yes, factoryUser}},
		{args: "pin verify --pin-file @wrong.pin", exit: exitPIN, quiet: true},
		{args: "pin verify --pin-file @wrong.pin", exit: exitPIN, quiet: true},
		{args: "pin verify --pin-file @wrong.pin --last-try", exit: exitPIN},
	}},
	{name: "last-try-unattended", options: []emu.Option{emu.WithPIN(2, []byte(factoryUser), 1)}, nobody: true, acts: []act{
		{args: "pin verify --pin-file @user.pin", exit: exitPIN},
		{args: "pin verify --pin-file @user.pin --last-try"},
	}},
	{name: "unattended", nobody: true, acts: []act{
		{args: "pin verify", exit: exitUsage},
		{args: "pin change --pin-file @user.pin", exit: exitUsage},
		{args: "cert import @demo.p12 --pin-file @user.pin", exit: exitUsage},
		{args: "format --pin-file @admin.pin", exit: exitUsage},
		{args: "format --pin-file @admin.pin --yes"},
	}},
	{name: "full", options: []emu.Option{emu.WithFreeMemory(4096)}, acts: []act{
		{args: "info"},
		{args: "cert import @demo.p12 --pin-file @user.pin --password-file @password", exit: exitNotAllowed},
		{args: "check"},
		{args: "object write @big --pin-file @user.pin", exit: exitNotAllowed},
		{args: "object write @letter.txt --pin-file @user.pin"},
		{args: "key generate --bits 4096 --pin-file @user.pin", exit: exitNotAllowed},
		{args: "check"},
	}},
	{name: "vendor", options: []emu.Option{emu.WithVendorFormat()}, acts: []act{
		{args: "info"},
		{args: "pin status"},
		{args: "pin verify --pin-file @user.pin"},
		{args: "pin change --pin-file @user.pin --new-pin-file @new.pin"},
		{args: "cert list", exit: exitNotAllowed},
		{args: "cert import @head.cer --pin-file @new.pin", exit: exitNotAllowed},
		{args: "key list", exit: exitNotAllowed},
		{args: "key generate --pin-file @new.pin", exit: exitNotAllowed},
		{args: "object list", exit: exitNotAllowed},
		{args: "rename x --pin-file @new.pin", exit: exitNotAllowed},
		{args: "sign --key 1 @letter.txt --pin-file @new.pin", exit: exitNotAllowed},
		{args: "check", exit: exitNotAllowed},
		{args: "random --bytes 4"},
		{args: "format", typed: []string{"n"}, exit: exitFailed},
		{args: "format", typed: []string{yes, factoryAdmin}},
		{args: "cert list"},
	}},
	{name: "wiped", options: []emu.Option{emu.WithWiped()}, acts: []act{
		{args: "info"},
		{args: "pin status", exit: exitNotAllowed},
		{args: "pin verify --pin-file @user.pin", exit: exitNotAllowed},
		{args: "cert list", exit: exitNotAllowed},
		{args: "rename x --pin-file @user.pin", exit: exitNotAllowed},
		{args: "check", exit: exitNotAllowed},
		{args: "format --yes"},
		{args: "pin verify --pin-file @user.pin"},
	}},
	{name: "half", options: []emu.Option{emu.WithHalfInitialised()}, acts: []act{
		{args: "info"},
		{args: "pin status", exit: exitNotAllowed},
		{args: "pin verify --pin-file @user.pin", exit: exitNotAllowed},
		{args: "key list", exit: exitNotAllowed},
		{args: "check", exit: exitNotAllowed},
		{args: "format --yes"},
	}},
	{name: "name", acts: []act{
		{args: "rename Үлгі_токен --pin-file @user.pin"},
		{args: "rename --as admin Үлгі --pin-file @admin.pin"},
		{args: "rename --pin-file @user.pin -- _", exit: exitUsage},
		{args: "rename _x --pin-file @user.pin", exit: exitUsage},
		{args: "rename " + strings.Repeat("x", 200) + " --pin-file @user.pin", exit: exitUsage},
		{args: "rename a\x1b[2J --pin-file @user.pin", exit: exitUsage},
		{args: "check"},
	}},
	{name: "cert", acts: []act{
		{args: "cert list"},
		{args: "cert default"},
		{args: "cert import @demo.p12", typed: []string{demoPassword, factoryUser}},
		{args: "cert import @demo.p12 --pin-file @user.pin --password-file @password", exit: exitFailed},
		{args: "cert import @demo.p12 --pin-file @user.pin --password-file @wrong.pin", exit: exitFailed},
		{args: "cert import @letter.txt --pin-file @user.pin", exit: exitFailed},
		{args: "cert import @nothing --pin-file @user.pin", exit: exitFailed},
		{args: "cert import @head.cer --pin-file @user.pin"},
		{args: "cert import @head.cer --pin-file @user.pin", exit: exitFailed},
		{args: "cert import @small.pem --label work --pin-file @user.pin"},
		{args: "cert list"},
		{args: "cert show 1"},
		{args: "cert show ПРИМЕРОВ_ПРИМЕР"},
		{args: "cert show ҮЛГІ", exit: exitUsage},
		{args: "cert show nobody", exit: exitFailed},
		{args: "cert default ҮЛГІЕВА"},
		{args: "cert default"},
		{args: "cert export 1"},
		{args: "cert export 1 -o @me.cer --format der"},
		{args: "cert export 1 --format p12", exit: exitUsage},
		{args: "cert delete 1", typed: []string{"n"}, exit: exitFailed},
		{args: "cert delete 1 3", typed: []string{yes, factoryUser}},
		{args: "cert default"},
		{args: "cert list"},
		{args: "cert default --none"},
		{args: "cert default --none 1", exit: exitUsage},
	}},
	{name: "key", acts: []act{
		{args: "key list"},
		{args: "key generate --label work --pin-file @user.pin"},
		{args: "key generate --id 42 --bits 1000 --pin-file @user.pin", exit: exitUsage},
		{args: "key generate --id xy --pin-file @user.pin", exit: exitUsage},
		{args: "key list"},
		{args: "key csr work --subject CN=Үлгі,C=KZ --pin-file @user.pin"},
		{args: "key csr work --subject Үлгі --pin-file @user.pin", exit: exitUsage},
		{args: "sign --key work --format base64 @letter.txt --pin-file @user.pin"},
		{args: "sign --key work --hash md5 @letter.txt --pin-file @user.pin", exit: exitUsage},
		{args: "sign --key home @letter.txt --pin-file @user.pin", exit: exitFailed},
		{args: "sign --key work @letter.txt --pin-file @wrong.pin", exit: exitPIN},
		{args: "decrypt --key work @block --pin-file @user.pin", exit: exitFailed},
		{args: "key delete work", typed: []string{""}, exit: exitFailed},
		{args: "key delete work", typed: []string{yes, factoryUser}},
		{args: "key delete work", exit: exitFailed},
	}},
	{name: "object", acts: []act{
		{args: "object list"},
		{args: "object write @letter.txt --pin-file @user.pin"},
		{args: "object write @letter.txt --pin-file @user.pin", exit: exitFailed},
		{args: "object write @letter.txt --replace", typed: []string{yes, factoryUser}},
		{args: "object write @letter.txt --label secret --private --pin-file @user.pin"},
		{args: "object list"},
		{args: "object read letter.txt"},
		{args: "object read secret", typed: []string{factoryUser}},
		{args: "object read secret -o @copy", typed: []string{factoryUser}},
		{args: "object delete letter.txt secret", typed: []string{yes, factoryUser}},
		{args: "object delete letter.txt", exit: exitFailed},
	}},
	{name: "format", acts: []act{
		{args: "format", typed: []string{"n"}, exit: exitFailed},
		{args: "format --yes --pin-file @wrong.pin", exit: exitPIN},
		{args: "format --yes --pin-file @admin.pin --policy nobody", exit: exitUsage},
		{args: "format --yes --pin-file @admin.pin --user-tries 11", exit: exitUsage},
		{args: "format --yes --pin-file @admin.pin --user-tries 0", exit: exitUsage},
		{args: "format --yes --pin-file @admin.pin --user-min-length 11 --user-pin-file @new.pin", exit: exitNotAllowed},
		{args: "format --pin-file @admin.pin --name Үлгі --policy user --user-tries 5 --user-pin-file @new.pin --admin-pin-file @new.pin",
			typed: []string{yes}},
		{args: "info"},
	}},
	{name: "usage", acts: []act{
		{args: "nonsense", exit: exitUsage},
		{args: "cert show", exit: exitUsage},
		{args: "pin status --nonsense", exit: exitUsage},
		{args: "pin status --token 7", exit: exitNoToken},
		{args: "pin verify --pin-file @nothing", exit: exitFailed},
		{args: "pin verify --pin-file @empty", exit: exitUsage},
		{args: "pin verify --pin-file @huge", exit: exitUsage},
		{args: "pin verify --pin-file @user.pin --pin-fd 0", exit: exitUsage},
		{args: "pin verify --pin-fd 99", exit: exitFailed},
		{args: "pin verify --pin-file @open.pin"},
		{args: "random --bytes 0", exit: exitUsage},
		{args: "random --format morse", exit: exitUsage},
	}},
}

// TestScenes compares what every command says, in all languages.
func TestScenes(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			for _, lang := range words.Languages() {
				fmt.Fprintf(&b, "## %s\n", lang)
				d := newDesk(t, s.options...).files()
				d.lang, d.nobody = lang, s.nobody
				d.file("empty", "\n")
				d.file("huge", strings.Repeat("x", maxSecret+1))
				d.file("big", strings.Repeat("x", 4096))
				d.file("block", strings.Repeat("x", 256))
				openFile(t, d.file("open.pin", factoryUser))
				for _, a := range s.acts {
					d.types()
					for _, line := range a.typed {
						if line == yes {
							line = affirmativeIn(words.For(lang))
						}
						d.typed = append(d.typed, line)
					}
					told := d.transcript(a.words()...)
					if !strings.HasSuffix(told, fmt.Sprintf("\n= %d\n", a.exit)) {
						t.Errorf("%s: want exit code %d:\n%s", lang, a.exit, told)
					}
					if len(d.typed) > 0 {
						t.Errorf("%s: %s: %d lines were not asked for", lang, a.args, len(d.typed))
					}
					if !a.quiet {
						b.WriteString(told)
					}
				}
			}
			golden(t, "tell-"+s.name, b.String())
		})
	}
}
