package firmware_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
)

func from[T any](v T, s firmware.Source) firmware.Field[T] {
	return firmware.Field[T]{Value: v, Source: s}
}

// guide is the information window of the user guide.
func guide() firmware.Info {
	pin := func(r firmware.Role) firmware.Field[firmware.PINStatus] {
		return from(firmware.PINStatus{Role: r, Left: 10, Max: 10, MinLength: 6, MaxLength: 32}, firmware.SourceToken)
	}
	return firmware.Info{
		State: firmware.StatePKCS15, Name: from("KAZTOKEN", firmware.SourceToken), Model: from("KAZTOKEN", firmware.SourceNominal),
		ID: from(uint64(0x32D18A58), firmware.SourceToken), Version: from("1.4", firmware.SourceInferred),
		TotalMemory: from(262144, firmware.SourceInferred), FreeMemory: from(53408, firmware.SourceInferred), AvailableMemory: from(65536, firmware.SourceNominal),
		Firmware: from("20.04.21.00", firmware.SourceInferred), Manufacturer: from("Aktiv Co.", firmware.SourceToken),
		UserPINPolicy: from(firmware.PolicyBoth, firmware.SourceToken), UTF8PINs: from(true, firmware.SourceNominal),
		RSABits: from(firmware.Range{Min: 1024, Max: 4096}, firmware.SourceNominal),
		User:    pin(firmware.User), Admin: pin(firmware.Admin),
	}
}

// TestInfo compares with the guide, and takes away what a token may not tell:
// that is unknown then, or of the model, and says so.
func TestInfo(t *testing.T) {
	object := func(p2 byte, value ...byte) emu.Option { return emu.WithDataObject(p2, value) }
	for _, test := range []struct {
		name    string
		card    []emu.Option
		options []firmware.Option
		differs func(*firmware.Info)
	}{
		{"factory", nil, nil, func(*firmware.Info) {}},
		{"no objects", []emu.Option{object(0x81), object(0x89), object(0x8A)}, nil, func(i *firmware.Info) {
			i.ID, i.Version, i.Firmware, i.FreeMemory = firmware.Field[uint64]{}, firmware.Field[string]{}, firmware.Field[string]{}, firmware.Field[int]{}
			i.TotalMemory.Source = firmware.SourceNominal
		}},
		{"objects of other lengths", []emu.Option{object(0x81, 1, 2, 3), object(0x89, 1, 2, 3, 4, 5, 6, 7), object(0x8A, 1, 2)}, nil, func(i *firmware.Info) {
			i.ID, i.Version, i.Firmware, i.FreeMemory = firmware.Field[uint64]{}, firmware.Field[string]{}, firmware.Field[string]{}, firmware.Field[int]{}
			i.TotalMemory.Source = firmware.SourceNominal
		}},
		{"a Rutoken S", []emu.Option{object(0x81, 0x12, 0x34, 0x56, 0x78), object(0x89, 0x00, 0x20, 0x04, 0x02, 0x14, 0x00, 0x02, 0x00), object(0x8A, 0, 0, 0x78, 0x20)}, nil,
			func(i *firmware.Info) { // published: "version 32.00.20.00", type 32k, 30752 free
				i.ID.Value, i.Version.Value, i.Firmware.Value, i.TotalMemory.Value, i.FreeMemory.Value = 0x12345678, "2.0", "32.00.20.00", 32768, 30752
			}},
		{"free memory that cannot be", []emu.Option{object(0x8A, 0xFF, 0xFF, 0xFF, 0xFF)}, nil, func(i *firmware.Info) { i.FreeMemory = firmware.Field[int]{} }},
		{"no ATR", nil, []firmware.Option{firmware.WithATR(nil)}, func(i *firmware.Info) {
			i.Model, i.RSABits, i.UTF8PINs, i.AvailableMemory = firmware.Field[string]{}, firmware.Field[firmware.Range]{}, firmware.Field[bool]{}, firmware.Field[int]{}
		}},
		{"a Rutoken ECP", nil, []firmware.Option{firmware.WithATR([]byte("\x3B\x8B\x01Rutoken ECP\xA0"))}, func(i *firmware.Info) {
			i.Model.Value, i.RSABits.Value.Max, i.AvailableMemory = "Rutoken ECP", 2048, firmware.Field[int]{}
		}},
		{"hidden PIN files", []emu.Option{emu.WithHiddenPINs()}, nil, func(i *firmware.Info) {
			i.UserPINPolicy.Source = firmware.SourceInferred
			for _, f := range []*firmware.Field[firmware.PINStatus]{&i.User, &i.Admin} {
				f.Value.Max, f.Value.MinLength = -1, -1
			}
		}},
		{"policy and limits", []emu.Option{emu.WithPolicy(1), emu.WithPIN(2, []byte("123456789"), 4), emu.WithMinPINLength(2, 9), emu.WithLabel("Қ")}, nil, func(i *firmware.Info) {
			i.Name.Value, i.UserPINPolicy.Value = "Қ", firmware.PolicyAdmin
			i.User.Value.Left, i.User.Value.Max, i.User.Value.MinLength = 4, 4, 9
		}},
		{"the vendor's", []emu.Option{emu.WithVendorFormat(), emu.WithFreeMemory(53408)}, nil, func(i *firmware.Info) {
			i.State, i.Name, i.Manufacturer = firmware.StateVendor, firmware.Field[string]{}, firmware.Field[string]{}
		}},
		{"wiped", []emu.Option{emu.WithWiped(), emu.WithFreeMemory(53408)}, nil, func(i *firmware.Info) {
			i.State, i.Name, i.Manufacturer, i.UserPINPolicy = firmware.StateWiped, firmware.Field[string]{}, firmware.Field[string]{}, firmware.Field[firmware.Policy]{}
			i.User, i.Admin = firmware.Field[firmware.PINStatus]{}, firmware.Field[firmware.PINStatus]{}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := guide()
			test.differs(&want)
			got, err := open(t, newCard(test.card...), test.options...).Info(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestFiles lists the whole tree of a formatted token: each directory before what
// is in it.
func TestFiles(t *testing.T) {
	want := []string{
		"3F00/2F00 EF 128", "3F00/1000 DF 0", "3F00/1000/1000 DF 0",
		"3F00/1000/1000/6001 DF 0", "3F00/1000/1000/6002 DF 0", "3F00/1000/1000/6003 DF 0", "3F00/1000/1000/6004 DF 0", "3F00/1000/1000/6005 DF 0",
		"3F00/1000/1000/0001 RSF 8", "3F00/1000/1000/0002 RSF 8",
		"3F00/1000/1001 DF 0", "3F00/1000/1001/8001 DF 0", "3F00/1000/1001/8002 DF 0", "3F00/1000/1002 DF 0", "3F00/1000/1003 DF 0", "3F00/1000/1004 DF 0",
		"3F00/5000 DF 5000", "3F00/5000/5031 EF 128", "3F00/5000/6005 EF 256", "3F00/5000/5032 EF 128", "3F00/5000/4946 EF 128",
	}
	token := open(t, newCard())
	if err := token.Format(t.Context(), firmware.FormatOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	files, err := token.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%v %v %d", f.Path, f.Kind, f.Size))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestFormatOptions formats with every option and reads back what came of it.
func TestFormatOptions(t *testing.T) {
	ctx := t.Context()
	for _, card := range [][]emu.Option{nil, {emu.WithOneLogin()}, {emu.WithHiddenPINs()}, {emu.WithTriesInAnswer(), emu.WithVendorFormat()}} {
		c := newCard(card...)
		token := open(t, c)
		if token.State() == firmware.StatePKCS15 {
			login(t, token, firmware.User)
		}
		err := token.Format(ctx, firmware.FormatOptions{
			Name: "Токен Әлия", UserPIN: newUserPIN, AdminPIN: newAdminPIN, UserMinLength: 7, AdminMinLength: 9, UserTries: 3, AdminTries: 5, Policy: firmware.PolicyAdmin,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r, in := token.LoggedIn(); in {
			t.Errorf("%v is logged in", r)
		}
		for _, token := range []*firmware.Token{token, open(t, c)} {
			got := observe(t, token, "formatted")
			want := world{"state ready": true, "name Токен Әлия": true, "user PIN is new-user": true, "admin PIN is new-admin": true}
			if diff := want.diff(got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			info, err := token.Info(ctx)
			if err != nil || info.UserPINPolicy.Value != firmware.PolicyAdmin || info.User.Value.Left != 3 || info.Admin.Value.Left != 5 {
				t.Errorf("info %+v, %v", info, err)
			}
			if u, a := info.User.Value, info.Admin.Value; u.Max != -1 && (u.Max != 3 || u.MinLength != 7 || a.Max != 5 || a.MinLength != 9) {
				t.Errorf("PINs %+v, %+v", u, a)
			}
			checkClean(t, token)
		}
		audit(t, c, "formatted")
	}
}

// TestRandom asks for random bytes in pieces.
func TestRandom(t *testing.T) {
	w := &wire{card: newCard(emu.WithRandom(bytes.NewReader(slices.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, 200))))}
	token := open(t, w)
	for n, commands := range map[int]int{0: 0, 1: 1, 248: 1, 249: 2, 600: 3} {
		w.forget()
		p := make([]byte, n)
		if err := token.Random(t.Context(), p); err != nil || len(w.sent) != commands || bytes.IndexByte(p, 0) >= 0 {
			t.Errorf("%d bytes: %d commands, want %d; %v", n, len(w.sent), commands, err)
		}
	}
}
