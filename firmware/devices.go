package firmware

import (
	"bytes"

	"kaztoken/internal/iso7816"
)

// Model is what is known of a kind of token without asking it. Zero means
// unknown.
type Model struct {
	Name         string
	Manufacturer string // of the model, as its USB descriptor says

	// Nominal sizes, bytes: those of the model's documents, not of one token.
	TotalMemory, AvailableMemory int

	MinRSABits, MaxRSABits int
	MinPIN, MaxPIN         int // bytes; MinPIN is the smallest minimum that can be set
	GOST                   bool
}

// devices are the models, told apart by the historical bytes of the ATR.
//
// Assumed: everything here about the KAZTOKEN comes from the user guide's
// information window and from what is published of the Rutoken ECP family, whose
// relative it is; the limits of PINs are those of the vendor's public headers.
var devices = []struct {
	historical string
	model      Model
}{
	{"KAZTOKEN", Model{
		Name: "KAZTOKEN", Manufacturer: "DigiFlow LLP.", TotalMemory: 262144, AvailableMemory: 65536,
		MinRSABits: 1024, MaxRSABits: 4096, MinPIN: 1, MaxPIN: 32, GOST: true,
	}},
	{"Rutoken ECP", Model{
		Name: "Rutoken ECP", Manufacturer: "Aktiv", MinRSABits: 1024, MaxRSABits: 2048, MinPIN: 1, MaxPIN: 32, GOST: true,
	}},
	{"Rutoken DS ", Model{
		Name: "Rutoken ECP", Manufacturer: "Aktiv", MinRSABits: 1024, MaxRSABits: 2048, MinPIN: 1, MaxPIN: 32, GOST: true,
	}},
}

// unknownModel is for a card that nobody named, or that is not in the table.
var unknownModel = Model{MinRSABits: 1024, MaxRSABits: 2048, MinPIN: 1, MaxPIN: 32}

// modelOf finds a model by its ATR; an empty or unknown one gives unknownModel.
func modelOf(atr []byte) Model {
	a, err := iso7816.ParseATR(atr)
	if err != nil {
		return unknownModel
	}
	for _, d := range devices {
		if bytes.Equal(a.Historical(), []byte(d.historical)) {
			return d.model
		}
	}
	return unknownModel
}
