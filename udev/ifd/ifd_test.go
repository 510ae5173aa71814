package ifd

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/udev"
)

var update = flag.Bool("update", false, "rewrite the generated files")

func TestFiles(t *testing.T) {
	for name, want := range map[string][]byte{
		PListFile: PList(udev.Devices(), Library),
		RulesFile: Rules(udev.Devices()),
	} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the table gives, run make golden (-want +got):\n%s", name, diff)
		}
	}
}

// plist reads a property list of strings and arrays of strings by its XML alone.
func plist(t *testing.T, text []byte) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	d := xml.NewDecoder(strings.NewReader(string(text)))
	key := ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "key" && start.Name.Local != "string" {
			continue
		}
		var value string
		if err := d.DecodeElement(&value, &start); err != nil {
			t.Fatal(err)
		}
		if start.Name.Local == "key" {
			if key = value; all[key] != nil {
				t.Errorf("key %s again", key)
			}
		} else {
			all[key] = append(all[key], value)
		}
	}
}

// TestPList wants what pcscd needs: three arrays of the same length, and no name
// that would make the handler one for every reader.
func TestPList(t *testing.T) {
	devices := append(udev.Devices(), udev.Device{Vendor: 0xABC, Product: 1, Name: `R&D "<x>"`, Maker: "M"})
	got := plist(t, PList(devices, MacLibrary))
	var vendors, products, names []string
	for _, d := range devices {
		vendors = append(vendors, fmt.Sprintf("0x%04X", d.Vendor))
		products = append(products, fmt.Sprintf("0x%04X", d.Product))
		names = append(names, d.Maker+" "+d.Name)
	}
	for key, want := range map[string][]string{
		"ifdVendorID": vendors, "ifdProductID": products, "ifdFriendlyName": names,
		"CFBundleExecutable": {"libifdkaztoken.dylib"}, "CFBundlePackageType": {"BNDL"},
		"CFBundleName": {"KAZTOKEN"}, "ifdCapabilities": {"0x00000000"},
	} {
		if diff := cmp.Diff(want, got[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	i := slices.Index(got["ifdProductID"], "0x0035")
	if i < 0 || got["ifdFriendlyName"][i] != "DigiFlow LLP. KAZTOKEN" {
		t.Errorf("entry %d of %q", i, got["ifdFriendlyName"])
	}
}

// TestNames: pcscd takes ASCII, and cuts names at 121 bytes.
func TestNames(t *testing.T) {
	for _, d := range udev.Devices() {
		name := FriendlyName(d)
		if d.Maker == "" || len(name) > 100 || strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			t.Errorf("%+v: name %q", d, name)
		}
	}
}
