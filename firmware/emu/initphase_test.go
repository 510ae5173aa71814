package emu

import "testing"

func TestInitialisation(t *testing.T) {
	playAll(t, []sessionTest{
		{"INIT erases without a PIN", nil, []string{
			verifyUser, done,
			"80 8A 00 00", done,
			"00 A4 00 00 02 3F 00 00", "6A 82",
			"00 20 00 01", "6A 88",
			"00 20 00 02", "6A 88",
			"00 CA 01 8A 00", "00 00 D6 A0 90 00",
			"80 8A 00 00", done, // again
			"reset", "",
			"00 A4 08 00 02 2F 00 00", "6A 82",
		}},
		{"nothing is enforced until INIT END", []Option{WithWiped()}, []string{
			createDF("3F 00", "47 FF FF FF 00 00 00 FF"), done,
			createEF("00 02", "00 05", "43 FF FF 00 00 00 00 FF"), done,
			"00 D6 00 00 02 01 02", done,
			"00 B0 00 00 02", "01 02 90 00",
			"reset", "", // and the phase survives
			"00 A4 00 0C 02 00 05", done,
			"00 B0 00 00 02", "01 02 90 00",
			"80 84 4E 19", done,
			"00 B0 00 00 02", "69 82",
			"00 D6 00 00 02 01 02", "69 82",
			"00 E4 00 00 02 00 05", "69 82",
			createEF("00 02", "00 06", freeRules), "69 82",
			"80 84 4E 19", "69 85",
		}},
		{"the administrator's PIN works within", []Option{WithHalfInitialised()}, []string{
			"00 20 00 01", "63 CA",
			"00 20 00 01 01 30", "63 00",
			verifyAdmin, done,
			verifyAdmin, "6F 86",
			"00 20 00 02", "6A 88",
			"00 A4 08 00 04 50 00 60 05 00", "6A 82",
			"00 A4 00 0C 02 2F 00", done,
			"00 B0 00 00 04", "00 00 00 00 90 00",
		}},
		{"header", nil, []string{
			"80 8A 00 01", "6A 86",
			"80 8A 01 00", "6A 86",
			"80 8A 00 00 01 00", "67 00",
			"80 84 00 00", "6A 86",
			"80 84 4E 18", "6A 86",
			"80 84 4E 19 01 00", "67 00",
			"80 84 4E 19", "69 85",
			"80 7B 00 00", "6D 00", // that of the Rutoken S
			"00 20 00 02", "63 CA",
		}},
		{"INIT END of a wiped card", []Option{WithWiped()}, []string{"80 84 4E 19", "69 85"}},
		{"half initialised", []Option{WithHalfInitialised()}, []string{
			"00 A4 00 00 02 3F 00 00", mfFCI + " 90 00",
			"80 84 4E 19", done,
			"00 A4 00 0C 02 2F 00", done,
			"00 D6 00 00 01 61", "69 82",
		}},
	})
}

func TestGetData(t *testing.T) {
	playAll(t, []sessionTest{
		{"of the guide", nil, []string{
			"00 CA 01 81 00", "00 00 00 00 32 D1 8A 58 90 00",
			"00 CA 01 81 08", "00 00 00 00 32 D1 8A 58 90 00",
			"00 CA 01 89 00", "04 14 20 02 15 00 03 00 90 00",
			"00 CA 01 8A 00", "00 00 D0 A0 90 00",
			"00 CA 01 80 00", "6A 88",
			"00 CA 00 81 00", "6A 88",
			"00 CA 01 81", "61 08",
			"00 C0 00 00 08", "00 00 00 00 32 D1 8A 58 90 00",
		}},
		{"the policy follows the user PIN", []Option{WithPolicy(1)}, []string{
			"00 CA 01 89 00", "04 14 20 02 15 00 01 00 90 00",
			"80 8A 00 00", done,
			"00 CA 01 89 00", "04 14 20 02 15 00 00 00 90 00",
		}},
		{"options", []Option{
			WithDataObject(0x8B, []byte{1, 2}), WithDataObject(0x89, nil), WithDataObject(0x8B, []byte{3}),
		}, []string{
			"00 CA 01 8B 00", "03 90 00",
			"00 CA 01 89 00", "6A 88",
		}},
		{"vendor format", []Option{WithVendorFormat()}, []string{
			"00 A4 00 00 02 3F 00 00", mfFCI + " 90 00",
			"00 A4 08 00 02 2F 00 00", "6A 82",
			"00 A4 08 00 02 50 00 00", "6A 82",
			"00 A4 08 0C 04 10 00 10 00", done,
			"00 CA 01 81 00", "00 00 00 00 32 D1 8A 58 90 00",
			"00 20 00 01", "63 CA",
			verifyUser, done,
			setUser, done,
			logout, done,
			newUser, done,
			verifyAdmin, done,
			"00 2C 03 02", done,
			"00 A4 08 0C 06 10 00 10 01 10 00", done,
			"00 B0 00 00 0D", "54 4E 03 00 08 4B 41 5A 54 4F 4B 45 4E 90 00",
			"80 8A 00 00", done,
			"00 A4 00 00 02 3F 00 00", "6A 82",
		}},
	})
}
