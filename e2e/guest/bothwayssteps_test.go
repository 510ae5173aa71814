//go:build e2e && linux

package guest

// our begins each command of kaztoken's. The token has the product id of a
// sister, for libccid's sake.
const our = "kaztoken --backend usb --devices rutoken --lang en "

const (
	openscUser   = " --auth-id 02 --pin 12345678"
	kaztokenUser = " --pin-file user.pin"
)

// openscWrites and kaztokenWrites leave tokens that look the same.
var (
	openscWrites = []step{
		{run: "pkcs15-init -E"},
		{run: "pkcs15-init -C --label TOKEN --so-pin 87654321 --so-puk="},
		{run: "pkcs15-init -P --auth-id 02 --label 'User PIN' --pin 12345678 --puk= --so-pin 87654321 --finalize"},
		{run: "pkcs15-init -S identity.key --label identity --key-usage sign,decrypt" + openscUser},
		{run: "pkcs15-init -X identity.pem --label identity" + openscUser},
		{run: "pkcs15-init -G rsa/1024 --id 42 --label generated --key-usage sign,decrypt" + openscUser},
		{run: "pkcs15-init -W message --label open --application-name kaztoken --pin 12345678"},
		{run: "pkcs15-init -W message --label closed --application-name kaztoken" + openscUser},
		{run: "pkcs15-tool --read-public-key 42 -o 42.pub"},
	}
	kaztokenWrites = []step{
		// OpenSC has other ideas of how long a PIN has to be, and how many tries it gets.
		{run: our + "format --yes --name TOKEN --admin-min-length 8 --user-min-length 4 --user-tries 5 --pin-file admin.pin",
			prints: []string{"has been formatted: TOKEN", "default"}},
		{run: our + "cert import identity.p12 --password-file password --label identity" + kaztokenUser, prints: []string{"key pair identity and 1 certificate"}},
		{run: our + "key generate --bits 1024 --id 42 --label generated" + kaztokenUser, prints: []string{"generated, ID 42"}},
		{run: our + "object write message --label open --application kaztoken" + kaztokenUser},
		{run: our + "object write message --label closed --private --application kaztoken" + kaztokenUser},
		{run: our + "check", prints: []string{"in order"}},
	}
)

var kaztokenReads = []step{
	{run: our + "info", prints: []string{"TOKEN", "32D18A58"}},
	{run: our + "cert list", prints: []string{"Personal certificates (1)", "identity", "valid", "RSA 2048",
		"Key pairs without a certificate (1)", "generated", "RSA 1024", "made on the token", "42"}},
	{run: our + "key list", prints: []string{"Key pairs (2)", "identity", "imported", "generated"}},
	{run: our + "cert export identity -o read.pem"},
	{run: "cmp read.pem identity.pem"},
	{run: our + "object list", prints: []string{"Data objects (2)", "open", "public", "closed", "with the PIN"}},
	{run: our + "object read open -o open"},
	{run: "cmp open message"},
	{run: our + "object read closed -o closed" + kaztokenUser},
	{run: "cmp closed message"},
	{run: our + "check", prints: []string{"in order"}},
}

// The signatures are not all of one scheme, nor the cryptograms.
var kaztokenUses = []step{
	{run: our + "sign --key identity -o signature message" + kaztokenUser},
	{run: "openssl dgst -sha256 -verify identity.pub -signature signature message", prints: []string{"Verified OK"}},
	{run: our + "sign --key 42 --pss -o signature message" + kaztokenUser},
	{run: "openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify 42.pub -signature signature message", prints: []string{"Verified OK"}},
	{run: "openssl pkeyutl -encrypt -pubin -inkey identity.pub -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -in message -out cryptogram"},
	{run: our + "decrypt --key identity --oaep sha256 -o plain cryptogram" + kaztokenUser},
	{run: "cmp plain message"},
	{run: "openssl pkeyutl -encrypt -pubin -inkey 42.pub -in message -out cryptogram"},
	{run: our + "decrypt --key 42 -o plain cryptogram" + kaztokenUser},
	{run: "cmp plain message"},
	{run: our + "pin change --new-pin-file new.pin" + kaztokenUser},
	{run: our + "pin status", prints: []string{"5 of 5 tries left"}},
	{run: our + "rename renamed --as admin --pin-file admin.pin"},
}

var kaztokenDeletes = []step{
	{run: our + "object delete open closed --yes --pin-file new.pin", prints: []string{"2 objects deleted"}},
	{run: our + "cert delete identity --yes --pin-file new.pin", prints: []string{"2 objects deleted"}},
	{run: our + "key delete 42 --yes --pin-file new.pin", prints: []string{"1 object deleted"}},
	{run: our + "check", prints: []string{"in order"}},
}

func openscUses(identity string) []step {
	return []step{
		{run: "pkcs15-crypt -s --sha-256 --pkcs1 -i digest -o signature --pin 12345678 -k " + identity},
		{run: "openssl dgst -sha256 -verify identity.pub -signature signature message", prints: []string{"Verified OK"}},
		{run: "pkcs15-tool --read-public-key 42 -o 42.pub"},
		{run: "pkcs11-tool --login --pin 12345678 --sign -m SHA256-RSA-PKCS --id 42 -i message -o signature"},
		{run: "openssl dgst -sha256 -verify 42.pub -signature signature message", prints: []string{"Verified OK"}},
		{run: "openssl pkeyutl -encrypt -pubin -inkey 42.pub -in message -out cryptogram"},
		{run: "pkcs15-crypt -c --pkcs1 --raw -i cryptogram -o plain --pin 12345678 -k 42"},
		{run: "cmp plain message"},
		{run: "pkcs15-tool --read-certificate " + identity + " -o read.pem"},
		{run: "cmp read.pem identity.pem"},
		{run: "pkcs15-tool -R closed --raw -o closed --verify-pin" + openscUser},
		{run: "cmp closed message"},
		{run: "pkcs15-tool --change-pin --new-pin 1234567890" + openscUser},
		{run: "pkcs11-tool --login --login-type so --so-pin 87654321 --init-pin --pin 12345678", prints: []string{"User PIN successfully initialized"}},
		{run: "pkcs15-tool --change-pin --auth-id 01 --pin 87654321 --new-pin 11223344"},
	}
}

func openscDeletes(identity string) []step {
	return []step{
		{run: "pkcs15-init --delete-objects cert,privkey,pubkey --id " + identity + openscUser, prints: []string{"Deleted 3 objects"}},
		{run: "pkcs15-init --delete-objects privkey,pubkey --id 42" + openscUser, prints: []string{"Deleted 2 objects"}},
		{run: "pkcs15-init --delete-objects data --application-name kaztoken --label open" + openscUser, prints: []string{"Deleted 1 objects"}},
		{run: "pkcs15-init --delete-objects data --application-name kaztoken --label closed" + openscUser, prints: []string{"Deleted 1 objects"}},
	}
}

var kaztokenFindsNothing = []step{
	{run: our + "cert list", prints: []string{"holds none"}},
	{run: our + "key list", prints: []string{"holds none"}},
	{run: our + "object list", prints: []string{"holds none"}},
	{run: our + "check", prints: []string{"in order"}},
	{run: our + "pin status", prints: []string{"5 of 5 tries left", "10 of 10 tries left"}},
}
