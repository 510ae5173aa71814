package emu

import (
	"fmt"
	"strings"
	"testing"
)

// createDF, createEF and createRSF are CREATE FILE in hexadecimal; rules are the
// bytes of tag 86 that are not the zeros at its end.
func createDF(id, rules string) string { return create("00 00", "38 00", id, "", rules) }

func createEF(size, id, rules string) string { return create(size, "01 00", id, "", rules) }

func createRSF(size, id, props, rules string) string { return create(size, "10 00", id, props, rules) }

func create(size, descriptor, id, props, rules string) string {
	template := fcp(size, descriptor, id, props, rules)
	return fmt.Sprintf("00 E0 00 00 %02X %s", count(template), template)
}

// fcp is the template of tags 80, 82, 83, 85 unless props is empty, and 86.
func fcp(size, descriptor, id, props, rules string) string {
	body := "80 02 " + size + " 82 02 " + descriptor + " 83 02 " + id
	if props != "" {
		body += " 85 06 " + props
	}
	body += " 86 0F " + rules + strings.Repeat(" 00", 15-count(rules))
	return fmt.Sprintf("6F %02X %s", count(body), body)
}

func count(hex string) int { return len(strings.Fields(hex)) }

const (
	freeRules = "43 00 00 00 00 00 00 00" // anybody may all, except create RSFs
	appRules  = "43 00 00 00 00 00 00 02"
	sysRules  = "43 02 02 00 00 00 00 FF"
	mfRules   = "47 02 02 01 00 00 00 FF"

	privateProps = "23 00 00 AA 00 00"
	publicProps  = "33 00 00 AA 00 00"
	privateRules = "46 00 02 02 00 00 00 02"
	publicRules  = "46 00 02 00 00 00 00 02"
)

func TestSelect(t *testing.T) {
	app := fcp("13 88", "38 00", "50 00", "", appRules)
	dir := fcp("00 80", "01 00", "2F 00", "", "43 00 01 00 00 00 00 01")
	sys := fcp("00 00", "38 00", "10 00", "", sysRules)
	aodf := fcp("01 00", "01 00", "60 05", "", "43 00 01 00 00 00 00 01")
	playAll(t, []sessionTest{
		{"by id and by path", nil, []string{
			"00 A4 00 00 02 3F 00 00", mfFCI + " 90 00",
			"00 A4 00 00 02 2F 00 00", dir + " 90 00",
			"00 A4 00 00 02 50 00 00", app + " 90 00", // the DF of an EF is current
			"00 A4 00 00 02 2F 00 00", "6A 82",
			"00 A4 00 00 02 60 05 00", aodf + " 90 00",
			"00 A4 08 00 02 2F 00 00", dir + " 90 00",
			"00 A4 08 00 04 50 00 60 05 00", aodf + " 90 00",
			"00 A4 08 00 04 50 00 60 06 00", "6A 82",
			"00 A4 00 00 02 50 31 00", fcp("00 80", "01 00", "50 31", "", "43 00 00 00 00 00 00 01") + " 90 00",
			"00 A4 08 00 04 3F 00 50 00 00", "6A 82", // paths come without 3F00
			"00 A4 08 00 04 2F 00 50 00 00", "6A 82", // an EF has nothing below it
		}},
		{"first, next, parent", nil, []string{
			"00 A4 00 00 00", dir + " 90 00",
			"00 A4 00 02 02 2F 00 00", sys + " 90 00", // now the Sys-DF is current
			"00 A4 00 02 02 10 00 00", fcp("00 00", "38 00", "10 01", "", sysRules) + " 90 00",
			"00 A4 03 00 00", sys + " 90 00",
			"00 A4 03 00 00", mfFCI + " 90 00",
			"00 A4 00 02 02 10 00 00", app + " 90 00",
			"00 A4 03 00 00", mfFCI + " 90 00",
			"00 A4 00 02 02 50 00 00", "6A 82",
			"00 A4 03 00 00", "6A 82",
			"00 A4 00 02 02 12 34 00", "6A 82", // next after what is not there
		}},
		{"an empty directory has no first file", nil, []string{
			"00 A4 08 00 06 10 00 10 00 60 01 00", fcp("00 00", "38 00", "60 01", "", sysRules) + " 90 00",
			"00 A4 00 00 00", "6A 82",
			"00 A4 03 00 00", sys + " 90 00",
		}},
		{"a refusal leaves the selection alone", nil, []string{
			"00 A4 00 0C 02 2F 00", done,
			"00 A4 08 00 02 77 77 00", "6A 82",
			"00 B0 00 00 02", "61 1E 90 00",
		}},
		{"without an answer", nil, []string{
			"00 A4 00 0C 02 50 00", done,
			"00 A4 08 0C 04 50 00 60 05", done,
			"00 A4 03 0C", done,
			"00 A4 00 0C", done, // the first file
			"00 B0 00 00 02", "61 1E 90 00",
		}},
		{"wrong parameters", nil, []string{
			"00 A4 04 00 02 A0 00 00", "6A 86",
			"00 A4 09 00 02 60 05 00", "6A 86",
			"00 A4 01 00 02 10 00 00", "6A 86",
			"00 A4 02 00 02 2F 00 00", "6A 86",
			"00 A4 00 01 02 3F 00 00", "6A 86",
			"00 A4 08 02 02 2F 00 00", "6A 86",
			"00 A4 00 00 03 3F 00 50 00", "67 00",
			"00 A4 00 02 00", "67 00",
			"00 A4 03 00 02 3F 00 00", "67 00",
			"00 A4 08 00 03 50 00 60 00", "67 00",
			"00 A4 08 00 00", "67 00",
		}},
		{"a wiped card has nothing", []Option{WithWiped()}, []string{
			"00 A4 00 00 02 3F 00 00", "6A 82",
			"00 A4 08 00 04 50 15 49 46 00", "6A 82",
			"00 A4 00 00 00", "6A 82",
			"00 A4 03 00 00", "6A 82",
			"00 A4 04 00 02 A0 00 00", "6A 82",
			"00 A4 00 0C 02 3F 00", "6A 82",
			"00 B0 00 00 00", "69 86",
			"00 D6 00 00 01 00", "69 86",
			"00 E4 00 00 02 2F 00", "6A 82",
			"00 20 00 02", "6A 88",
			"00 CA 01 81 00", "00 00 00 00 32 D1 8A 58 90 00",
		}},
	})
}

func TestPINFilesCanBeSelected(t *testing.T) {
	home := "00 A4 08 00 06 10 00 10 00 00 01 00"
	admin := fcp("00 08", "10 00", "00 01", "01 06 01 AA 00 00", "43 FF 01 00 00 00 00 FF")
	playAll(t, []sessionTest{
		{"shown", nil, []string{
			home, admin + " 90 00",
			"00 A4 00 02 02 60 05 00", admin + " 90 00",
			"00 A4 00 02 02 00 01 00", fcp("00 08", "10 00", "00 02", "01 06 01 AA 00 00", "43 01 03 00 00 00 00 FF") + " 90 00",
			"00 B0 00 00 00", "69 81", // selected, and no command reads it
			"00 D6 00 00 01 00", "69 81",
			"00 20 00 02 01 30", "63 00",
			"00 A4 00 00 02 00 02 00", fcp("00 08", "10 00", "00 02", "01 06 01 A9 00 00", "43 01 03 00 00 00 00 FF") + " 90 00",
		}},
		{"hidden", []Option{WithHiddenPINs()}, []string{
			home, "6A 82",
			"00 A4 08 00 04 10 00 10 00 00", fcp("00 00", "38 00", "10 00", "", sysRules) + " 90 00",
			"00 A4 00 00 02 00 01 00", "6A 82",
			"00 A4 00 02 02 60 05 00", "6A 82",
			"00 E4 00 00 02 00 01", "6A 82",
			"00 20 00 01", "63 CA",
		}},
	})
}

func TestBinary(t *testing.T) {
	playAll(t, []sessionTest{
		{"kinds of files", nil, []string{
			"00 B0 00 00 01", "69 86", // the MF is selected
			"00 A4 00 0C 02 50 00", done,
			"00 B0 00 00 01", "69 86",
			"00 D6 00 00 01 00", "69 86",
		}},
		{"rules", nil, []string{
			"00 A4 00 0C 02 2F 00", done,
			"00 B0 00 00 02", "61 1E 90 00",
			"00 D6 00 00 01 61", "69 82",
			verifyUser, done,
			"00 D6 00 00 01 61", "69 82",
			logout, done,
			verifyAdmin, done,
			"00 D6 00 10 02 AA BB", done,
			"00 B0 00 0F 04", "35 AA BB 4B 90 00",
		}},
		{"no other length fields than short ones", nil, []string{
			"00 A4 00 0C 02 2F 00", done,
			"00 B0 00 00 00 00 02", "67 00",
			"00 A4 08 00 00 00 02 2F 00 00 00", "67 00",
			"00 D6 00 00 00 00 01 00", "67 00",
		}},
	})
}

func TestCreateFile(t *testing.T) {
	playAll(t, []sessionTest{
		{"an EF is current and its DF stays so", nil, []string{
			"00 A4 00 0C 02 50 00", done,
			createEF("00 04", "03 00", freeRules), done,
			"00 D6 00 00 04 01 02 03 04", done,
			"00 A4 00 0C 02 60 05", done,
			"00 A4 00 00 02 03 00 00", fcp("00 04", "01 00", "03 00", "", freeRules) + " 90 00",
			"00 B0 00 00 00", "01 02 03 04 90 00",
		}},
		{"a DF is current", nil, []string{
			verifyUser, done,
			createDF("40 00", freeRules), done,
			createEF("00 01", "00 05", freeRules), done,
			"00 A4 08 00 04 40 00 00 05 00", fcp("00 01", "01 00", "00 05", "", freeRules) + " 90 00",
			"00 A4 03 00 00", mfFCI + " 90 00",
		}},
		{"needs the rule of the directory", nil, []string{
			createDF("40 00", freeRules), "69 82",
			createEF("00 01", "40 01", freeRules), "69 82",
			verifyAdmin, done,
			createDF("40 00", freeRules), "69 82",
			verifyUser, done,
			createDF("40 00", freeRules), done,
		}},
		{"what is there", nil, []string{
			verifyUser, done,
			createEF("00 80", "2F 00", freeRules), "6A 89",
			createDF("50 00", freeRules), "6A 89",
			createDF("3F 00", mfRules), "6A 89",
			createRSF("00 08", "00 01", "01 06 01 AA 00 00", "43 FF 01 00 00 00 00 FF"), "6A 89",
			"00 A4 00 0C 02 50 00", done,
			createEF("00 01", "2F 00", freeRules), done, // another directory
		}},
		{"key files go to their homes, with equal ids", nil, []string{
			verifyUser, done,
			"00 A4 00 0C 02 50 00", done,
			createRSF("02 88", "00 01", privateProps, privateRules), done,
			createRSF("01 80", "00 01", publicProps, publicRules), done,
			createRSF("02 88", "00 01", privateProps, privateRules), "6A 89",
			createRSF("01 80", "00 01", publicProps, publicRules), "6A 89",
			// the app directory stayed current
			"00 A4 00 00 02 60 05 00", fcp("01 00", "01 00", "60 05", "", "43 00 01 00 00 00 00 01") + " 90 00",
			"00 A4 08 00 08 10 00 10 00 60 02 00 01 00", fcp("02 88", "10 00", "00 01", privateProps, privateRules) + " 90 00",
			"00 A4 08 00 08 10 00 10 00 60 01 00 01 00", fcp("01 80", "10 00", "00 01", publicProps, publicRules) + " 90 00",
		}},
		{"key files need the rule of their home", nil, []string{
			"00 A4 00 0C 02 50 00", done,
			createRSF("02 88", "00 01", privateProps, privateRules), "69 82",
			createRSF("01 80", "00 01", publicProps, publicRules), "69 82",
		}},
		{"a wiped card takes an MF first", []Option{WithWiped()}, []string{
			createDF("10 00", sysRules), "6A 82",
			createRSF("00 08", "00 01", "01 06 01 AA 00 00", "43 FF 01 00 00 00 00 FF"), "6A 82",
			createEF("00 80", "3F 00", freeRules), "6A 80",
			createDF("3F 00", mfRules), done,
			createRSF("00 08", "00 01", "01 06 01 AA 00 00", "43 FF 01 00 00 00 00 FF"), "6A 82", // no home
			createEF("00 04", "10 00", freeRules), done,
			createRSF("00 08", "00 01", "01 06 01 AA 00 00", "43 FF 01 00 00 00 00 FF"), "6A 82", // an EF is no home
		}},
		{"header", nil, []string{
			"00 E0 01 00 02 6F 00", "6A 86",
			"00 E0 00 01 02 6F 00", "6A 86",
			"00 E0 00 00", "67 00",
		}},
	})
}

// Each template has one mistake.
func TestCreateFileRefusesTemplates(t *testing.T) {
	good := fcp("00 01", "01 00", "40 00", "", freeRules)
	for _, tt := range []struct{ name, template string }{
		{"empty", "6F 00"},
		{"not a template", "61" + good[2:]},
		{"other template", "62" + good[2:]},
		{"length too short", strings.Replace(good, "6F 1D", "6F 1C", 1)},
		{"length too long", strings.Replace(good, "6F 1D", "6F 1E", 1)},
		{"long form of the length", strings.Replace(good, "6F 1D", "6F 81 1D", 1)},
		{"bytes behind", good + " 00"},
		{"no size", "6F 19 82 02 01 00 83 02 40 00 86 0F 43 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{"no descriptor", "6F 19 80 02 00 01 83 02 40 00 86 0F 43 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{"no id", "6F 19 80 02 00 01 82 02 01 00 86 0F 43 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{"no rules", "6F 0C 80 02 00 01 82 02 01 00 83 02 40 00"},
		{"a tag twice", "6F 21 80 02 00 01 80 02 00 01 82 02 01 00 83 02 40 00 86 0F 43 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{"an unknown tag", "6F 20 8A 01 05 80 02 00 01 82 02 01 00 83 02 40 00 86 0F 43 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{"size of three bytes", "6F 1E 80 03 00 00 01 82 02 01 00 83 02 40 00 86 0F 43 00 00 00 00 00 00 00 00 00 00 00 00 00 00"},
		{"rules of 40 bytes", "6F 36 80 02 00 01 82 02 01 00 83 02 40 00 86 28 43" + strings.Repeat(" 00", 39)},
		{"unknown descriptor", fcp("00 01", "02 00", "40 00", "", freeRules)},
		{"second descriptor byte", fcp("00 01", "01 01", "40 00", "", freeRules)},
		{"id 0000", fcp("00 01", "01 00", "00 00", "", freeRules)},
		{"id 3FFF", fcp("00 01", "01 00", "3F FF", "", freeRules)},
		{"id FFFF", fcp("00 01", "01 00", "FF FF", "", freeRules)},
		{"an EF as MF", fcp("00 01", "01 00", "3F 00", "", freeRules)},
		{"properties of an EF", fcp("00 01", "01 00", "40 00", "01 06 01 AA 00 00", freeRules)},
		{"access mode bit 3", fcp("00 01", "01 00", "40 00", "", "4B 00 00 00 00 00 00 00")},
		{"access mode bit 7", fcp("00 01", "01 00", "40 00", "", "C3 00 00 00 00 00 00 00")},
		{"condition 04", fcp("00 01", "01 00", "40 00", "", "43 04 00 00 00 00 00 00")},
		{"condition 83", fcp("00 01", "01 00", "40 00", "", "43 00 83 00 00 00 00 00")},
		{"a byte behind the conditions", fcp("00 01", "01 00", "40 00", "", "43 00 00 00 00 00 00 00 01")},
		{"an RSF without properties", fcp("01 80", "10 00", "00 09", "", publicRules)},
		{"an RSF as MF", fcp("01 80", "10 00", "3F 00", publicProps, publicRules)},
		{"RSF of unknown type", fcp("01 80", "10 00", "00 09", "43 00 00 AA 00 00", publicRules)},
		{"local PIN", fcp("00 08", "10 00", "00 09", "11 06 01 AA 00 00", publicRules)},
		{"tries FF", fcp("01 80", "10 00", "00 09", "33 00 00 FF 00 00", publicRules)},
		{"tries 0A", fcp("01 80", "10 00", "00 09", "33 00 00 0A 00 00", publicRules)},
		{"more tries left than there are", fcp("01 80", "10 00", "00 09", "33 00 00 56 00 00", publicRules)},
		{"fifth property", fcp("01 80", "10 00", "00 09", "33 00 00 AA 01 00", publicRules)},
		{"sixth property", fcp("01 80", "10 00", "00 09", "33 00 00 AA 00 01", publicRules)},
		{"flags of a key", fcp("01 80", "10 00", "00 09", "33 00 01 AA 00 00", publicRules)},
		{"Miller-Rabin rounds, public", fcp("01 80", "10 00", "00 09", "33 01 00 AA 00 00", publicRules)},
		{"Miller-Rabin rounds, private", fcp("02 88", "10 00", "00 09", "23 01 00 AA 00 00", privateRules)},
		{"RSA-512", fcp("00 A8", "10 00", "00 09", privateProps, privateRules)},
		{"RSA-8192", fcp("0A 08", "10 00", "00 09", privateProps, privateRules)},
		{"RSA-2048 and a byte", fcp("02 89", "10 00", "00 09", privateProps, privateRules)},
		{"RSA-2056", fcp("02 8B", "10 00", "00 09", "23 00 00 AA 00 00", privateRules)},
		{"public RSA of another size", fcp("01 81", "10 00", "00 09", publicProps, publicRules)},
		{"GOST set 10", fcp("00 20", "10 00", "00 09", "03 10 00 AA 00 00", privateRules)},
		{"GOST set 50", fcp("00 40", "10 00", "00 09", "13 50 00 AA 00 00", publicRules)},
		{"GOST private of 33 bytes", fcp("00 21", "10 00", "00 09", "03 20 00 AA 00 00", privateRules)},
		{"GOST public of 63 bytes", fcp("00 3F", "10 00", "00 09", "13 20 00 AA 00 00", publicRules)},
		{"PIN reference 3", fcp("00 08", "10 00", "00 03", "01 06 01 AA 00 00", "43 FF 01 00 00 00 00 FF")},
		{"PIN without minimum", fcp("00 08", "10 00", "00 02", "01 00 01 AA 00 00", "43 FF 01 00 00 00 00 FF")},
		{"PIN of at least 32", fcp("00 20", "10 00", "00 02", "01 20 01 AA 00 00", "43 FF 01 00 00 00 00 FF")},
		{"PIN of 33 bytes", fcp("00 21", "10 00", "00 02", "01 06 01 AA 00 00", "43 FF 01 00 00 00 00 FF")},
		{"PIN of none", fcp("00 00", "10 00", "00 02", "01 06 01 AA 00 00", "43 FF 01 00 00 00 00 FF")},
		{"PIN with 11 tries", fcp("00 08", "10 00", "00 02", "01 06 01 BB 00 00", "43 FF 01 00 00 00 00 FF")},
		{"PIN flags", fcp("00 08", "10 00", "00 02", "01 06 02 AA 00 00", "43 FF 01 00 00 00 00 FF")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(WithHalfInitialised()) // nothing but the template can be wrong
			before := c.mf.used()
			play(t, c, fmt.Sprintf("00 E0 00 00 %02X %s", count(tt.template), tt.template), "6A 80")
			if after := c.mf.used(); after != before {
				t.Errorf("used memory went from %d to %d", before, after)
			}
		})
	}
}

// The order of the tags is free, and so are the sizes that OpenSC makes.
func TestCreateFileTakesTemplates(t *testing.T) {
	for _, tt := range []struct{ name, template string }{
		{"other order", "6F 1D 86 0F 43 00 00 00 00 00 00 00 00 00 00 00 00 00 00 83 02 40 00 82 02 01 00 80 02 00 01"},
		{"empty EF", fcp("00 00", "01 00", "40 00", "", freeRules)},
		{"RSA-1024", fcp("01 48", "10 00", "00 09", privateProps, privateRules)},
		{"RSA-1024 public", fcp("00 C0", "10 00", "00 09", publicProps, publicRules)},
		{"RSA-2048", fcp("02 88", "10 00", "00 09", privateProps, privateRules)},
		{"RSA-2048 public", fcp("01 80", "10 00", "00 09", publicProps, publicRules)},
		{"RSA-4096", fcp("05 08", "10 00", "00 09", privateProps, privateRules)},
		{"RSA-4096 public", fcp("03 00", "10 00", "00 09", publicProps, publicRules)},
		{"GOST A", fcp("00 20", "10 00", "00 09", "03 20 00 AA 00 00", privateRules)},
		{"GOST B", fcp("00 20", "10 00", "00 09", "03 30 00 AA 00 00", privateRules)},
		{"GOST C", fcp("00 40", "10 00", "00 09", "13 40 00 AA 00 00", publicRules)},
		{"user PIN with one try", fcp("00 01", "10 00", "00 02", "01 01 01 11 00 00", "43 01 03 00 00 00 00 FF")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			play(t, New(WithHalfInitialised()),
				fmt.Sprintf("00 E0 00 00 %02X %s", count(tt.template), tt.template), done)
		})
	}
}

func TestDeleteFile(t *testing.T) {
	playAll(t, []sessionTest{
		{"frees the id and the memory", nil, []string{
			"00 A4 00 0C 02 50 00", done,
			createEF("01 00", "03 00", appRules), done,
			"00 CA 01 8A 00", "00 00 CF 80 90 00", // 256 and 32 less
			"00 E4 00 00 02 03 00", "69 82",
			verifyUser, done,
			"00 E4 00 00 02 03 00", done,
			"00 CA 01 8A 00", "00 00 D0 A0 90 00",
			"00 E4 00 00 02 03 00", "6A 82",
			"00 A4 00 00 02 03 00 00", "6A 82",
			"00 B0 00 00 01", "69 86",
			createEF("01 00", "03 00", appRules), done,
		}},
		{"only in the current directory", nil, []string{
			verifyAdmin, done,
			"00 E4 00 00 02 60 05", "6A 82",
			"00 A4 08 0C 04 50 00 50 31", done,
			"00 E4 00 00 02 60 05", done, // 5031 lies beside it
			"00 E4 00 00 02 3F 00", "6A 82",
		}},
		{"rules never and absent", nil, []string{
			verifyUser, done,
			verifyAdmin, done,
			"00 E4 00 00 02 10 00", "69 82",
			"00 A4 08 0C 06 10 00 10 00 00 01", done,
			"00 E4 00 00 02 00 01", "69 82",
			"00 A4 00 0C 02 3F 00", done,
			createEF("00 01", "40 00", "03 00 00 00 00 00 00 00"), done,
			"00 E4 00 00 02 40 00", "69 82",
		}},
		{"a directory only when it is empty", nil, []string{
			verifyUser, done,
			createDF("40 00", freeRules), done,
			createEF("00 01", "00 05", freeRules), done,
			"00 A4 00 0C 02 3F 00", done,
			"00 E4 00 00 02 40 00", "69 85",
			"00 A4 08 0C 04 40 00 00 05", done,
			"00 E4 00 00 02 00 05", done,
			"00 A4 03 0C", done,
			"00 E4 00 00 02 40 00", done,
			"00 A4 00 00 02 40 00 00", "6A 82",
		}},
		{"a key; its id is free again", nil, []string{
			verifyUser, done,
			createRSF("02 88", "00 01", privateProps, privateRules), done,
			"00 A4 08 0C 08 10 00 10 00 60 02 00 01", done,
			"00 E4 00 00 02 00 01", done,
			createRSF("02 88", "00 01", privateProps, privateRules), done,
		}},
		{"a PIN between INIT and INIT END, with its login", []Option{WithHalfInitialised()}, []string{
			verifyAdmin, done,
			"00 A4 08 0C 06 10 00 10 00 00 01", done,
			"00 E4 00 00 02 00 01", done,
			"00 20 00 01", "6A 88",
			createRSF("00 08", "00 01", "01 06 01 AA 00 00", "43 FF 01 00 00 00 00 FF"), done,
			"00 24 01 01 0E 80 02 00 08 A5 08 38 37 36 35 34 33 32 31", done,
			"00 20 00 01", "63 CA",
		}},
		{"header", nil, []string{
			"00 E4 01 00 02 2F 00", "6A 86",
			"00 E4 00 02 02 2F 00", "6A 86",
			"00 E4 00 00", "67 00",
			"00 E4 00 00 04 50 00 60 05", "67 00",
		}},
	})
}

func TestMemory(t *testing.T) {
	playAll(t, []sessionTest{
		{"exactly full", []Option{WithFreeMemory(288)}, []string{
			"00 A4 00 0C 02 50 00", done,
			"00 CA 01 8A 00", "00 00 01 20 90 00",
			createEF("01 01", "03 00", appRules), "6A 84",
			createEF("01 00", "03 00", appRules), done,
			"00 CA 01 8A 00", "00 00 00 00 90 00",
			createEF("00 00", "03 01", appRules), "6A 84",
			createDF("40 00", appRules), "6A 84",
			verifyUser, done,
			createRSF("02 88", "00 01", privateProps, privateRules), "6A 84",
			"00 E4 00 00 02 03 00", done,
			createEF("01 00", "03 00", appRules), done,
		}},
		{"keys count by their size", nil, []string{
			verifyUser, done,
			createRSF("02 88", "00 01", privateProps, privateRules), done,
			"00 CA 01 8A 00", "00 00 CD F8 90 00", // 680 less
		}},
		{"4 KiB hold a 4096-bit key pair and not two", []Option{WithFreeMemory(4096)}, []string{
			verifyUser, done,
			createRSF("05 08", "00 01", privateProps, privateRules), done,
			createRSF("03 00", "00 01", publicProps, publicRules), done,
			createRSF("05 08", "00 02", privateProps, privateRules), done,
			createRSF("03 00", "00 02", publicProps, publicRules), "6A 84",
		}},
		{"a wiped card with no room for an MF", []Option{WithWiped(), WithFreeMemory(31)}, []string{
			createDF("3F 00", mfRules), "6A 84",
		}},
		{"a longer PIN needs none", []Option{WithFreeMemory(0)}, []string{
			verifyUser, done,
			"00 24 01 02 24 80 02 00 20 A5 20" + strings.Repeat(" 31", 32), "67 00",
			"00 24 01 02 26 80 02 00 20 A5 20" + strings.Repeat(" 31", 32), done,
			"00 CA 01 8A 00", "00 00 00 00 90 00",
		}},
	})
}

func TestDirectoryHolds255(t *testing.T) {
	c := New()
	play(t, c, "00 A4 00 0C 02 50 00", done)
	for i := len(c.dir.children); i < 255; i++ {
		play(t, c, createEF("00 01", fmt.Sprintf("70 %02X", i), appRules), done)
	}
	play(t, c,
		createEF("00 01", "71 00", appRules), "6A 84",
		createDF("71 00", appRules), "6A 84",
		verifyUser, done,
		"00 A4 00 0C 02 70 FE", done,
		"00 E4 00 00 02 70 FE", done,
		createEF("00 01", "71 00", appRules), done,
	)
}

func TestDeepDirectories(t *testing.T) {
	c := New(WithFreeMemory(200 * fileOverhead))
	play(t, c, "00 A4 00 0C 02 50 00", done)
	for range 200 {
		play(t, c, createDF("50 00", appRules), done)
	}
	play(t, c, createDF("50 00", appRules), "6A 84")
	for range 201 {
		transmit(t, c, unhex(t, "00 A4 03 00 00"))
	}
	play(t, c, "00 A4 00 00 00", fcp("00 80", "01 00", "2F 00", "", "43 00 01 00 00 00 00 01")+" 90 00")
}
