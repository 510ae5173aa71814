package emu

import (
	"fmt"
	"strings"
	"testing"
)

func TestVerify(t *testing.T) {
	playAll(t, []sessionTest{
		{"query", nil, []string{
			"00 20 00 01", "63 CA",
			"00 20 00 02", "63 CA",
			"00 20 00 00", "6A 88",
			"00 20 00 03", "6A 88",
			"00 20 00 02 00", "63 CA", // T=0 cannot tell case 1 from this
		}},
		{"a miss, then the counter", nil, []string{
			"00 20 00 02 08 30 30 30 30 30 30 30 30", "63 00",
			"00 20 00 02", "63 C9",
			"00 20 00 02 07 31 32 33 34 35 36 37", "63 00", // the beginning of the PIN
			"00 20 00 02 09 31 32 33 34 35 36 37 38 00", "63 00",
			"00 20 00 02", "63 C7",
			verifyUser, done,
			logout, done,
			"00 20 00 02", "63 CA",
		}},
		{"a miss answered with the counter", []Option{WithTriesInAnswer(), WithPIN(2, []byte("12345678"), 2)}, []string{
			"00 20 00 02 01 30", "63 C1",
			"00 20 00 02 01 30", "63 C0",
			"00 20 00 02 01 30", "69 83",
		}},
		{"6F86 for the same PIN", nil, []string{
			verifyUser, done,
			verifyUser, "6F 86",
			"00 20 00 02 01 30", "6F 86", // no try
			verifyAdmin, done,
			verifyAdmin, "6F 86",
			logout, done,
			"00 20 00 01", "63 CA",
			"00 20 00 02", "63 CA",
		}},
		{"6F86 for any PIN", []Option{WithOneLogin()}, []string{
			verifyUser, done,
			verifyAdmin, "6F 86",
			"00 20 00 01 01 30", "6F 86",
			"00 20 00 01", "63 CA",
			logout, done,
			verifyAdmin, done,
		}},
		{"more than 32 bytes are no PIN and no try", nil, []string{
			"00 20 00 02 21" + strings.Repeat(" 31", 33), "67 00",
			"00 20 00 02", "63 CA",
		}},
		{"logout", nil, []string{
			"80 40 00 01", "6A 86",
			"80 40 00 00 01 00", "67 00",
		}},
	})
}

func TestPINBlocks(t *testing.T) {
	c := New(WithPIN(1, []byte("87654321"), 3), WithPIN(2, []byte("12345678"), 2))
	play(t, c,
		"00 20 00 02 01 30", "63 00",
		"00 20 00 02 01 30", "63 00",
		"00 20 00 02 01 30", "69 83",
		"00 20 00 02", "69 83",
		verifyUser, "69 83",
		"reset", "",
		verifyUser, "69 83",
		"00 A4 08 00 06 10 00 10 00 00 02 00",
		fcp("00 08", "10 00", "00 02", "01 06 01 20 00 00", "43 01 03 00 00 00 00 FF")+" 90 00",
		"00 2C 03 02", "69 82",
		verifyAdmin, done,
		"00 2C 03 02", done,
		"00 20 00 02", "63 C2",
		verifyUser, done, // the PIN is what it was
		logout, done,
		"00 20 00 01 01 30", "63 00",
		"00 20 00 01 01 30", "63 00",
		"00 20 00 01 01 30", "63 00",
		verifyAdmin, "69 83",
		verifyUser, done,
		"00 2C 03 01", "69 82", // nobody unblocks the administrator
		"80 8A 00 00", done, // and formatting helps
		"00 20 00 01", "6A 88",
	)
}

func TestResetRetryCounter(t *testing.T) {
	playAll(t, []sessionTest{
		{"needs the administrator", nil, []string{
			"00 20 00 02 01 30", "63 00",
			"00 2C 03 02", "69 82",
			verifyUser, done,
			"00 2C 03 02", "69 82",
			verifyAdmin, done,
			"00 2C 03 02", done,
			"00 2C 03 01", "69 82",
			"00 20 00 02", done, // logins stay
		}},
		{"header", nil, []string{
			"00 2C 00 02", "6A 86",
			"00 2C 03 03", "6A 88",
			"00 2C 03 00", "6A 88",
			"00 2C 03 02 01 00", "67 00",
		}},
	})
}

const (
	setUser  = "00 24 01 02 10 80 02 00 0A A5 0A 6E 65 77 20 75 73 65 72 20 31" // "new user 1"
	newUser  = "00 20 00 02 0A 6E 65 77 20 75 73 65 72 20 31"
	setAdmin = "00 24 01 01 0E 80 02 00 08 A5 08 31 31 31 31 31 31 31 31"
)

func TestChangePIN(t *testing.T) {
	playAll(t, []sessionTest{
		{"by the user", nil, []string{
			setUser, "69 82",
			verifyUser, done,
			setUser, done,
			"00 20 00 02", done, // the login stays
			logout, done,
			verifyUser, "63 00",
			newUser, done,
		}},
		{"by the administrator, with its counter", nil, []string{
			"00 20 00 02 01 30", "63 00",
			verifyAdmin, done,
			setUser, done,
			"00 20 00 02", "63 CA",
			newUser, done,
		}},
		{"policy administrator only", []Option{WithPolicy(1)}, []string{
			verifyUser, done,
			setUser, "69 82",
			logout, done,
			verifyAdmin, done,
			setUser, done,
		}},
		{"policy user only", []Option{WithPolicy(2)}, []string{
			verifyAdmin, done,
			setUser, "69 82",
			"00 2C 03 02", done,
			logout, done,
			verifyUser, done,
			setUser, done,
		}},
		{"of the administrator", nil, []string{
			verifyUser, done,
			setAdmin, "69 82",
			verifyAdmin, done,
			setAdmin, done,
			logout, done,
			"00 20 00 01 08 31 31 31 31 31 31 31 31", done,
		}},
		{"in blocks, and in one command of several", nil, []string{
			verifyUser, done,
			"10 24 01 02 07 80 02 00 06 A5 01 61", done,
			"10 24 01 02 04 A5 02 62 63", done,
			"00 24 01 02 08 A5 01 64 A5 02 65 66 00", "6A 80",
			"10 24 01 02 07 80 02 00 06 A5 01 61", done,
			"10 24 01 02 04 A5 02 62 63", done,
			"00 24 01 02 07 A5 01 64 A5 02 65 66", done,
			logout, done,
			"00 20 00 02 06 61 62 63 64 65 66", done,
		}},
		{"minimum and maximum length", []Option{WithMinPINLength(2, 8)}, []string{
			verifyUser, done,
			"00 24 01 02 0D 80 02 00 07 A5 07 31 32 33 34 35 36 37", "6A 80",
			"00 24 01 02 0E 80 02 00 08 A5 08 61 61 61 61 61 61 61 61", done,
			"00 24 01 02 26 80 02 00 20 A5 20" + strings.Repeat(" 31", 32), done,
			"00 24 01 02 27 80 02 00 21 A5 21" + strings.Repeat(" 31", 33), "6A 80",
			logout, done,
			"00 20 00 02 20" + strings.Repeat(" 31", 32), done,
		}},
		{"malformed, the PIN stays", nil, []string{
			verifyUser, done,
			"00 24 01 02", "6A 80",
			"00 24 01 02 08 31 32 33 34 35 36 37 38", "6A 80",
			"00 24 01 02 04 80 02 00 08", "6A 80",
			"00 24 01 02 05 80 02 00 08 A5", "6A 80",
			"00 24 01 02 0E 81 02 00 08 A5 08 61 61 61 61 61 61 61 61", "6A 80",
			"00 24 01 02 0D 80 01 08 A5 08 61 61 61 61 61 61 61 61", "6A 80",
			"00 24 01 02 0E 80 02 00 08 A6 08 61 61 61 61 61 61 61 61", "6A 80",
			"00 24 01 02 0D 80 02 00 08 A5 07 61 61 61 61 61 61 61", "6A 80", // too few
			"00 24 01 02 0F 80 02 00 08 A5 09 61 61 61 61 61 61 61 61 61", "6A 80", // too many
			"00 24 01 02 0E 80 02 00 08 A5 09 61 61 61 61 61 61 61 61", "6A 80",
			"00 24 01 02 10 80 02 00 08 A5 08 61 61 61 61 61 61 61 61 A5 00", "6A 80",
			"00 24 01 02 04 80 02 FF FF", "6A 80",
			logout, done,
			verifyUser, done,
		}},
		{"a chain that another command breaks", nil, []string{
			verifyUser, done,
			"10 24 01 02 0A 80 02 00 08 A5 04 61 61 61 61", done,
			"00 20 00 02", done,
			"00 24 01 02 06 A5 04 61 61 61 61", "6A 80",
			"10 24 01 02 0A 80 02 00 08 A5 04 61 61 61 61", done,
			"00 24 01 01 06 A5 04 61 61 61 61", "69 82", // another PIN
			"00 24 01 02 06 A5 04 61 61 61 61", "6A 80",
			"10 24 01 02 0A 80 02 00 08 A5 04 61 61 61 61", done,
			"00", "67 00",
			"00 24 01 02 06 A5 04 61 61 61 61", "6A 80",
			"10 24 01 02 0A 80 02 00 08 A5 04 61 61 61 61", done,
			"reset", "",
			"00 24 01 02 06 A5 04 61 61 61 61", "69 82",
			verifyUser, done,
		}},
		{"header", nil, []string{
			"00 24 00 02 0E 80 02 00 08 A5 08 61 61 61 61 61 61 61 61", "6A 86",
			"00 24 01 03 0E 80 02 00 08 A5 08 61 61 61 61 61 61 61 61", "6A 88",
			"10 20 00 02 08 31 32 33 34 35 36 37 38", "68 84",
			"10 A4 00 00 02 3F 00", "68 84",
		}},
		{"a PIN that was never set", []Option{WithHalfInitialised()}, []string{
			createRSF("00 08", "00 02", "01 06 01 AA 00 00", "43 01 03 00 00 00 00 FF"), done,
			"00 20 00 02", "6A 88",
			"00 20 00 02 01 30", "6A 88",
			"00 2C 03 02", "6A 88",
			"00 24 01 02 0E 80 02 00 08 A5 08 31 32 33 34 35 36 37 38", done,
			"00 20 00 02", "63 CA",
		}},
	})
}

// A wrong PIN of any length below, at and above that of the right one costs a
// try; the right one restores them.
func TestVerifyLengths(t *testing.T) {
	c := New()
	for n := 1; n <= 32; n++ {
		pin := strings.Repeat(" 31", n)
		play(t, c,
			fmt.Sprintf("00 20 00 02 %02X%s", n, pin), "63 00",
			"00 20 00 02", "63 C9",
			verifyUser, done,
			logout, done,
		)
	}
}
