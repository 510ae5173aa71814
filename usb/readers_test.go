package usb

// readers are class descriptors of readers in the field, rebuilt from the
// values published with the CCID driver of Ludovic Rousseau, and what CCID
// rev 1.10 §5.1 makes of them.
var readers = []struct {
	name      string
	id        ID
	number    byte
	class     byte
	protocol  byte
	endpoints int
	raw       string
	kind      Kind
	level     Level
	want      ClassDescriptor
	repairs   []string
}{
	{
		name: "Aktiv Rutoken ECP", id: ID{0x0A89, 0x0030}, number: 0, class: 0x0B, protocol: 0, endpoints: 2,
		raw: `
			36 21 00 01 00 01 02 00 00 00 FC 0D 00 00 FC 0D 00 00
			00 80 25 00 00 80 25 00 00 00 FE 00 00 00 00 00 00 00
			00 00 00 00 40 08 02 00 0F 01 00 00 FF FF 00 00 00 01`,
		kind: CCID, level: ShortAPDU,
		want: ClassDescriptor{
			Version: 0x0100, MaxSlotIndex: 0, Voltages: 0x01, Protocols: 2,
			DefaultClock: 3580, MaximumClock: 3580, NumClocks: 0,
			DataRate: 9600, MaxDataRate: 9600, NumDataRates: 0,
			MaxIFSD: 254, Features: 0x00020840, MaxMessageLength: 271,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
	},
	{
		name: "Gemplus GemPC Twin", id: ID{0x08E6, 0x3437}, number: 0, class: 0x0B, protocol: 0, endpoints: 3,
		raw: `
			36 21 00 01 00 07 03 00 00 00 A0 0F 00 00 A0 0F 00 00
			00 00 2A 00 00 16 40 05 00 00 FE 00 00 00 00 00 00 00
			00 00 00 00 30 02 01 00 0F 01 00 00 00 00 00 00 00 01`,
		kind: CCID, level: TPDU,
		want: ClassDescriptor{
			Version: 0x0100, MaxSlotIndex: 0, Voltages: 0x07, Protocols: 3,
			DefaultClock: 4000, MaximumClock: 4000, NumClocks: 0,
			DataRate: 10752, MaxDataRate: 344086, NumDataRates: 0,
			MaxIFSD: 254, Features: 0x00010230, MaxMessageLength: 271,
			ClassGetResponse: 0x00, ClassEnvelope: 0x00, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
	},
	{
		name: "HSIC CCID-Reader", id: ID{0x1D99, 0x0016}, number: 0, class: 0x0B, protocol: 0, endpoints: 3,
		raw: `
			36 21 10 01 00 03 03 00 00 00 A0 0F 00 00 A0 0F 00 00
			01 00 2A 00 00 90 D0 03 00 06 FE 00 00 00 00 00 00 00
			00 00 00 00 00 00 01 00 0F 01 00 00 00 00 00 00 00 01`,
		kind: CCID, level: TPDU,
		want: ClassDescriptor{
			Version: 0x0110, MaxSlotIndex: 0, Voltages: 0x03, Protocols: 3,
			DefaultClock: 4000, MaximumClock: 4000, NumClocks: 1,
			DataRate: 10752, MaxDataRate: 250000, NumDataRates: 6,
			MaxIFSD: 254, Features: 0x00010000, MaxMessageLength: 271,
			ClassGetResponse: 0x00, ClassEnvelope: 0x00, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
	},
	{
		name: "SCM SPR 532", id: ID{0x04E6, 0xE003}, number: 0, class: 0xFF, protocol: 0, endpoints: 3,
		raw: `
			36 21 00 01 00 01 03 00 00 00 A0 0F 00 00 40 1F 00 00
			00 01 2A 00 00 29 40 05 00 00 FE 00 00 00 00 00 00 00
			00 00 00 00 BA 00 01 00 0E 01 00 00 FF FF 00 00 03 01`,
		kind: CCID, level: TPDU,
		want: ClassDescriptor{
			Version: 0x0100, MaxSlotIndex: 0, Voltages: 0x01, Protocols: 3,
			DefaultClock: 4000, MaximumClock: 8000, NumClocks: 0,
			DataRate: 10753, MaxDataRate: 344105, NumDataRates: 0,
			MaxIFSD: 254, Features: 0x000100BA, MaxMessageLength: 270,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 3, MaxBusySlots: 1,
		},
	},
	{
		name: "O2Micro Oz776", id: ID{0x0B97, 0x7762}, number: 0, class: 0x0B, protocol: 0, endpoints: 3,
		raw: `
			36 21 00 01 00 03 03 00 00 00 A0 0F 00 00 A0 0F 00 00
			00 80 25 00 00 00 B0 04 00 00 FE 00 00 00 00 00 00 00
			00 00 00 00 30 00 00 00 0F 01 00 00 00 00 00 00 00 01`,
		kind: CCID, level: Character,
		want: ClassDescriptor{
			Version: 0x0100, MaxSlotIndex: 0, Voltages: 0x03, Protocols: 3,
			DefaultClock: 4000, MaximumClock: 4000, NumClocks: 0,
			DataRate: 9600, MaxDataRate: 307200, NumDataRates: 0,
			MaxIFSD: 254, Features: 0x00000030, MaxMessageLength: 271,
			ClassGetResponse: 0x00, ClassEnvelope: 0x00, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
	},
	{
		name: "Winbond CCID", id: ID{0x0416, 0x3815}, number: 0, class: 0x0B, protocol: 0, endpoints: 3,
		raw: `
			36 21 00 01 00 01 03 00 00 00 B8 0B 00 00 B8 0B 00 00
			01 81 1F 00 00 02 7E 00 00 03 7B 00 00 00 00 00 00 00
			00 00 00 00 B2 04 00 00 8A 00 00 00 FF FF 00 00 00 01`,
		kind: CCID, level: Character,
		want: ClassDescriptor{
			Version: 0x0100, MaxSlotIndex: 0, Voltages: 0x01, Protocols: 3,
			DefaultClock: 3000, MaximumClock: 3000, NumClocks: 1,
			DataRate: 8065, MaxDataRate: 32258, NumDataRates: 3,
			MaxIFSD: 123, Features: 0x000004B2, MaxMessageLength: 138,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
	},
	{
		name: "Yubico YubiKey", id: ID{0x1050, 0x0407}, number: 2, class: 0x0B, protocol: 0, endpoints: 3,
		raw: `
			36 21 00 01 00 07 02 00 00 00 A0 0F 00 00 A0 0F 00 00
			00 00 B0 04 00 00 B0 04 00 00 F6 0B 00 00 00 00 00 00
			00 00 00 00 FE 00 04 00 00 0C 00 00 FF FF 00 00 00 01`,
		kind: CCID, level: ExtendedAPDU,
		want: ClassDescriptor{
			Version: 0x0100, MaxSlotIndex: 0, Voltages: 0x07, Protocols: 2,
			DefaultClock: 4000, MaximumClock: 4000, NumClocks: 0,
			DataRate: 307200, MaxDataRate: 307200, NumDataRates: 0,
			MaxIFSD: 3062, Features: 0x0004007E, MaxMessageLength: 3072,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
		repairs: []string{"dwFeatures 000400FE has both kinds of automatic negotiation: bit 0x80 is ignored"},
	},
	{
		name: "FSIJ Gnuk token", id: ID{0x234B, 0x0000}, number: 0, class: 0x0B, protocol: 0, endpoints: 2,
		raw: `
			36 21 00 01 00 01 02 00 00 00 FC 0D 00 00 FC 0D 00 00
			01 80 25 00 00 80 25 00 00 01 FE 00 00 00 00 00 00 00
			00 00 00 00 42 00 04 00 40 00 00 00 FF FF 00 00 00 01`,
		kind: CCID, level: ExtendedAPDU,
		want: ClassDescriptor{
			Version: 0x0100, MaxSlotIndex: 0, Voltages: 0x01, Protocols: 2,
			DefaultClock: 3580, MaximumClock: 3580, NumClocks: 1,
			DataRate: 9600, MaxDataRate: 9600, NumDataRates: 1,
			MaxIFSD: 254, Features: 0x00040042, MaxMessageLength: 64,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
	},
	{
		name: "sysmocom sysmoOCTSIM", id: ID{0x1D50, 0x6141}, number: 0, class: 0x0B, protocol: 0, endpoints: 3,
		raw: `
			36 21 10 01 07 07 01 00 00 00 C4 09 00 00 20 4E 00 00
			04 40 1A 00 00 00 10 0E 00 00 00 00 00 00 00 00 00 00
			00 00 00 00 B0 00 01 00 10 01 00 00 FF FF 00 00 00 08`,
		kind: CCID, level: TPDU,
		want: ClassDescriptor{
			Version: 0x0110, MaxSlotIndex: 7, Voltages: 0x07, Protocols: 1,
			DefaultClock: 2500, MaximumClock: 20000, NumClocks: 4,
			DataRate: 6720, MaxDataRate: 921600, NumDataRates: 0,
			MaxIFSD: 0, Features: 0x000100B0, MaxMessageLength: 272,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 8,
		},
	},
	{
		name: "SchlumbergerSema e-gate", id: ID{0x0973, 0x0003}, number: 0, class: 0xFF, protocol: 1, endpoints: 0,
		raw: `
			36 21 10 01 00 01 01 00 00 00 FC 0D 00 00 FC 0D 00 00
			00 80 25 00 00 80 25 00 00 00 00 00 00 00 00 00 00 00
			00 00 00 00 40 08 00 00 00 01 00 00 FF FF 00 00 00 01`,
		kind: ICCDA, level: Character,
		want: ClassDescriptor{
			Version: 0x0110, MaxSlotIndex: 0, Voltages: 0x01, Protocols: 1,
			DefaultClock: 3580, MaximumClock: 3580, NumClocks: 0,
			DataRate: 9600, MaxDataRate: 9600, NumDataRates: 0,
			MaxIFSD: 0, Features: 0x00000840, MaxMessageLength: 256,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
	},
	{
		name: "Aktiv Rutoken Magistra", id: ID{0x0A89, 0x0060}, number: 0, class: 0x0B, protocol: 2, endpoints: 0,
		raw: `
			36 21 00 01 00 01 02 00 00 00 FC 0D 00 00 FC 0D 00 00
			00 80 25 00 00 80 25 00 00 00 FE 00 00 00 00 00 00 00
			00 00 00 00 40 08 02 00 05 01 00 00 FF FF 00 00 00 01`,
		kind: ICCDB, level: ShortAPDU,
		want: ClassDescriptor{
			Version: 0x0100, MaxSlotIndex: 0, Voltages: 0x01, Protocols: 2,
			DefaultClock: 3580, MaximumClock: 3580, NumClocks: 0,
			DataRate: 9600, MaxDataRate: 9600, NumDataRates: 0,
			MaxIFSD: 254, Features: 0x00020840, MaxMessageLength: 261,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
	},
	{
		name: "Gemalto GemPC Pinpad v2", id: ID{0x08E6, 0x3478}, number: 0, class: 0x0B, protocol: 0, endpoints: 3,
		raw: `
			36 21 10 01 00 07 03 00 00 00 A0 0F 00 00 A0 0F 00 00
			00 00 2A 00 00 20 A1 07 00 00 FE 00 00 00 00 00 00 00
			00 00 00 00 30 02 01 00 0F 01 00 00 00 00 10 02 03 01`,
		kind: CCID, level: TPDU,
		want: ClassDescriptor{
			Version: 0x0110, MaxSlotIndex: 0, Voltages: 0x07, Protocols: 3,
			DefaultClock: 4000, MaximumClock: 4000, NumClocks: 0,
			DataRate: 10752, MaxDataRate: 500000, NumDataRates: 0,
			MaxIFSD: 254, Features: 0x00010230, MaxMessageLength: 271,
			ClassGetResponse: 0x00, ClassEnvelope: 0x00, LCDLayout: 0x0210, PINSupport: 3, MaxBusySlots: 1,
		},
	},
	{
		name: "AF Care One", id: ID{0x1C34, 0xAFC0}, number: 0, class: 0x0B, protocol: 0, endpoints: 3,
		raw: `
			36 21 10 01 01 07 03 00 00 00 A0 0F 00 00 A0 0F 00 00
			00 00 2A 00 00 90 0D 03 00 00 FE 00 00 00 00 00 00 00
			00 00 00 00 7E 04 04 00 12 00 01 00 FF FF 00 00 00 00`,
		kind: CCID, level: ExtendedAPDU,
		want: ClassDescriptor{
			Version: 0x0110, MaxSlotIndex: 1, Voltages: 0x07, Protocols: 3,
			DefaultClock: 4000, MaximumClock: 4000, NumClocks: 0,
			DataRate: 10752, MaxDataRate: 200080, NumDataRates: 0,
			MaxIFSD: 254, Features: 0x0004047E, MaxMessageLength: 65554,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 0, MaxBusySlots: 1,
		},
		repairs: []string{"bMaxCCIDBusySlots 0: taken as 1"},
	},
	{
		name: "REINER SCT cyberJack RFID", id: ID{0x0C4B, 0x0500}, number: 0, class: 0xFF, protocol: 0, endpoints: 3,
		raw: `
			36 21 00 10 00 07 03 00 00 00 A0 0F 00 00 40 1F 00 00
			00 58 27 00 00 90 D0 03 00 00 FE 00 00 00 07 00 00 00
			00 00 00 00 30 00 01 00 0A 14 00 00 FF FF 00 00 03 01`,
		kind: CCID, level: TPDU,
		want: ClassDescriptor{
			Version: 0x1000, MaxSlotIndex: 0, Voltages: 0x07, Protocols: 3,
			DefaultClock: 4000, MaximumClock: 8000, NumClocks: 0,
			DataRate: 10072, MaxDataRate: 250000, NumDataRates: 0,
			MaxIFSD: 254, SynchProtocols: 7, Features: 0x00010030, MaxMessageLength: 5130,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, LCDLayout: 0x0000, PINSupport: 3, MaxBusySlots: 1,
		},
	},
}
