//go:build e2e && linux

package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// provide lays out the files that the steps begin with: two RSA-2048 keys with a
// certificate each, identity and another, which were made where that is quick, as
// .key, .pem and .p12; a message and its digest.
func (o *opensc) provide(t testing.TB) {
	t.Helper()
	for _, name := range []string{"identity.key", "identity.pem", "another.key", "another.pem"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		o.write(t, name, data)
	}
	o.write(t, "message", []byte("to be signed by a token"))
	o.runAll(t, []step{
		{run: "openssl pkcs12 -export -name identity -inkey identity.key -in identity.pem -passout pass:secret -out identity.p12"},
		{run: "openssl pkcs12 -export -name another -inkey another.key -in another.pem -passout pass:secret -out another.p12"},
		{run: "openssl x509 -in identity.pem -noout -pubkey -out identity.pub"},
		{run: "openssl dgst -sha256 -binary -out digest message"},
	})
}

func (o *opensc) write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// openscStory is all that OpenSC does to one token, where it generates keys of
// those sizes, with ids from 41 on. The user PIN is 12345678 and the
// administrator's 87654321, but within one chapter. A PIN that is an argument is
// seen by everybody on the machine; OpenSC's tools know nothing better.
//
// pkcs15-init writes the whole of a directory file each time, so that most steps
// are 50 to 100 commands.
func openscStory(bits []int) []chapter {
	const (
		user = " --auth-id 02 --pin 12345678"
		so   = " --so-pin 87654321"
		p11  = "pkcs11-tool --login --pin 12345678 "
	)
	format := chapter{"format", []step{
		{run: "pkcs15-init -E"},
		{run: "pkcs15-tool -D", code: 1, prints: []string{"Unsupported card"}},
		{run: "pkcs15-init -C --label 'My KAZTOKEN' --so-puk=" + so},
		{run: "pkcs15-init -P --auth-id 02 --label 'User PIN' --pin 12345678 --puk= --finalize" + so},
		{run: "pkcs15-init -C --label again --so-puk=" + so, code: 1, prints: []string{"File already exists"}},
		{run: "pkcs15-tool -D --list-pins", prints: []string{
			"PIN [Security Officer PIN]", "soPin", "min_len:8, max_len:32", "Reference      : 1",
			"PIN [User PIN]", "ID             : 02", "min_len:4, max_len:32", "Reference      : 2",
			"PKCS#15 Card [My KAZTOKEN]", "Serial number  : 0000000032d18a58", "Manufacturer ID: Aktiv Co.",
		}, never: []string{"RSA"}},
		{run: "opensc-tool --serial", prints: []string{"00 00 00 00 32 D1 8A 58"}},
	}}

	wrong := step{run: "pkcs15-tool --verify-pin --auth-id 02 --pin 00000000", code: 255, prints: []string{"PIN code or key incorrect"}}
	pins := chapter{"pins", []step{
		wrong,
		{run: "opensc-tool -s 00:20:00:02", prints: []string{"SW1=0x63, SW2=0xC4"}},
		{run: "pkcs15-tool --verify-pin" + user},
		{run: "pkcs15-tool --verify-pin --auth-id 01 --pin 87654321"},
		{run: "pkcs15-tool --change-pin --new-pin 1234567890" + user},
		{run: "pkcs15-tool --verify-pin" + user, code: 255, prints: wrong.prints},
		{run: "pkcs15-tool --change-pin --auth-id 02 --pin 1234567890 --new-pin 12345678"},
		{run: "pkcs15-tool --change-pin --auth-id 01 --pin 87654321 --new-pin 11223344"},
		{run: "pkcs15-tool --change-pin --auth-id 01 --pin 11223344 --new-pin 87654321"},
	}}

	keys, use := chapter{name: "keys"}, chapter{name: "sign and decipher"}
	useKey := func(id, public string) {
		use.steps = append(use.steps,
			step{run: "pkcs15-crypt -s --sha-256 --pkcs1 -i digest -o signature --pin 12345678 -k " + id},
			step{run: "openssl dgst -sha256 -verify " + public + " -signature signature message", prints: []string{"Verified OK"}},
			step{run: "openssl pkeyutl -encrypt -in message -out cryptogram -pubin -inkey " + public},
			step{run: "pkcs15-crypt -c --pkcs1 --raw -i cryptogram -o plain --pin 12345678 -k " + id},
			step{run: "cmp plain message"},
		)
	}
	useKey("45", "identity.pub")
	for i, n := range bits {
		id := fmt.Sprint(41 + i)
		public := id + ".pub"
		keys.steps = append(keys.steps,
			step{run: fmt.Sprintf("pkcs15-init -G rsa/%d --label generated --key-usage sign,decrypt --id %s", n, id) + user},
			step{run: "pkcs15-tool --read-public-key " + id + " -o " + public},
			step{run: "openssl pkey -pubin -noout -text -in " + public, prints: []string{fmt.Sprintf("Public-Key: (%d bit)", n)}},
		)
		useKey(id, public)
	}
	keys.steps = append(keys.steps,
		step{run: "pkcs15-init -G rsa/4096 --id 50" + user, code: 1, prints: []string{"Not supported"}}, // by OpenSC
		step{run: "pkcs15-tool -k", prints: []string{"Private RSA Key [generated]", "decrypt, sign",
			"sensitive, alwaysSensitive, neverExtract, local", "Path           : 3f001000100060020001", "ID             : 41"}},
	)

	objects := chapter{"objects", []step{
		{run: "pkcs15-init -S identity.p12 -f PKCS12 --passphrase secret --id 45" + user},
		{run: "openssl x509 -new -subj /CN=made -days 9 -key identity.key -force_pubkey 41.pub -out made.pem"},
		{run: "pkcs15-init -X made.pem --id 41 --label made" + user},
		{run: "pkcs15-tool -c", prints: []string{"[identity]", "ID             : 45", "[made]", "ID             : 41"}},
		{run: "pkcs15-tool --read-certificate 45 -o read.pem"},
		{run: "cmp read.pem identity.pem"},
		{run: "pkcs15-init -W message --label open --application-name kaztoken" + " --pin 12345678"},
		{run: "pkcs15-init -W message --label closed --application-name kaztoken" + user},
		{run: "pkcs15-tool -R open --raw -o open"},
		{run: "cmp open message"},
		{run: "pkcs11-tool --read-object --type data --label closed -o closed", code: 1, prints: []string{"object not found"}},
		{run: "pkcs15-tool -R closed --raw -o closed --verify-pin" + user},
		{run: "cmp closed message"},
		{run: "pkcs15-tool -D", prints: []string{"Private RSA Key [", "Public RSA Key [", "X.509 Certificate [", "Data object 'open'", "Data object 'closed'"}},
	}}

	pkcs11 := chapter{"pkcs11", []step{
		{run: "pkcs11-tool -L", prints: []string{
			"token label        : My KAZTOKEN (User PIN)", "token manufacturer : Aktiv Co.",
			"login required, rng, token initialized, PIN initialized", "serial num         : 0000000032d18a58",
		}},
		{run: p11 + "--test", prints: []string{"all 4 signature functions seem to work", "SHA256-RSA-PKCS: OK", "No errors"}},
		{run: p11 + "--sign -m SHA256-RSA-PKCS-PSS --id 45 -i message -o signature"},
		{run: "openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify identity.pub -signature signature message", prints: []string{"Verified OK"}},
		{run: p11 + "--keypairgen --key-type rsa:1024 --id 61 --label pair", prints: []string{"Private Key Object; RSA", "label:      pair"}},
		{run: "openssl x509 -in identity.pem -outform der -out identity.der"},
		{run: p11 + "--write-object identity.der --type cert --id 61 --label written", prints: []string{"Created certificate"}},
		{run: "pkcs11-tool -O --type cert", prints: []string{"label:      written", "ID:         61"}},
		{run: "pkcs11-tool --read-object --type cert --id 61 -o read.der"},
		{run: "cmp read.der identity.der"},
		{run: p11 + "--delete-object --type cert --id 61"},
		{run: p11 + "--delete-object --type privkey --id 61"},
		{run: p11 + "--delete-object --type pubkey --id 61"},
		{run: p11 + "-O", prints: []string{"Private Key Object", "Certificate Object"}, never: []string{"pair", "written", "ID:         61"}},
	}}

	remove := chapter{"delete", []step{
		{run: "pkcs15-init --delete-objects cert,privkey --id 45" + user, prints: []string{"Deleted 2 objects"}},
		{run: "pkcs15-init --delete-objects data --application-name kaztoken --label open" + user, prints: []string{"Deleted 1 objects"}},
		{run: "pkcs15-tool -D", prints: []string{"Private RSA Key [", "X.509 Certificate [made]", "Data object 'closed'"},
			never: []string{"[identity]", "ID             : 45", "'open'"}},
		// The number of the key file that is free now goes to the next key.
		{run: "pkcs15-init -G rsa/1024 --id 46 --label reused" + user},
		{run: "pkcs15-tool -k", prints: []string{"[reused]", fmt.Sprintf("Key ref        : %d ", len(bits)+1)}},
		{run: "pkcs15-init --delete-objects privkey,pubkey --id 46" + user, prints: []string{"Deleted 2 objects"}},
	}}

	blocked := step{run: "pkcs15-tool --verify-pin" + user, code: 255, prints: []string{"Authentication method blocked"}}
	lastTry := step{run: wrong.run, code: 255, prints: blocked.prints}
	block := chapter{"block and unblock", append(slices.Repeat([]step{wrong}, openscTries-1),
		lastTry,
		blocked,
		// OpenSC has no PUK for this card, and does not let the administrator be one.
		step{run: "pkcs15-tool --unblock-pin --auth-id 02 --puk 87654321 --new-pin 11112222", code: 2, prints: []string{"Security status not satisfied"}},
		step{run: "pkcs11-tool --login --login-type so --so-pin 00000000 --init-pin --pin 11112222", code: 1, prints: []string{"CKR_PIN_INCORRECT"}},
		blocked,
		step{run: "pkcs11-tool --login --login-type so --init-pin --pin 11112222" + so, prints: []string{"User PIN successfully initialized"}},
		step{run: "pkcs15-crypt -s -k 41 --sha-256 --pkcs1 -i digest -o signature --pin 11112222"},
		step{run: "openssl dgst -sha256 -verify 41.pub -signature signature message", prints: []string{"Verified OK"}},
	)}

	tree := chapter{"tree", []step{
		{run: "opensc-tool -f", prints: []string{
			"3f00 type: DF", "sec: 47:02:02:01:00:00:00:FF", "3f002f00 type: wEF", "size: 128", "3f001000 type: DF",
			"3f001000100060010001 type: unknown", "prop: 33:00:00:AA:00:00", "3f001000100060020001 type: unknown", "prop: 23:00:00:AA:00:00",
			"3f005000 type: DF", "3f0050005031 type: wEF",
		}},
		{run: "pkcs15-init -E"},
		{run: "pkcs15-tool -D", code: 1, prints: []string{"Unsupported card"}},
	}}
	return []chapter{format, pins, keys, objects, use, pkcs11, remove, block, tree}
}

// cutBefore is the chapter before which the token loses its power: there are
// keys by then, and they are used next.
const cutBefore = "sign and decipher"

// openscTries is how many a user PIN has that OpenSC made.
const openscTries = 5
