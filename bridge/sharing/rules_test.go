package sharing

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRules is (state, request) → (state, code). Each row brings about a state
// by sentences that all succeed, says one sentence more, and compares its result
// and the state that it leaves. The numbers are sections of the specification of
// the service.
func TestRules(t *testing.T) {
	const (
		fresh  = "34 undefined 0 idle"
		inUse  = "34 T1 1"
		shared = "A connect shared both"
		two    = shared + "; B connect shared both"
		locked = two + "; A begin"
	)
	for _, c := range []struct {
		name, before, says, want, state string
	}{
		// 7: a handle that is not the client's closes the connection.
		{"7 no handle: reconnect", "A comes", "A reconnect shared both leave", "closed", fresh},
		{"7 no handle: disconnect", "A comes", "A disconnect leave", "closed", fresh},
		{"7 no handle: begin", "A comes", "A begin", "closed", fresh},
		{"7 no handle: end", "A comes", "A end leave", "closed", fresh},
		{"7 no handle: transmit", "A comes", "A transmit T1", "closed", fresh},
		{"7 no handle: control", "A comes", "A control", "closed", fresh},
		{"7 no handle: status", "A comes", "A status", "closed", fresh},
		{"7 no handle: attribute", "A comes", "A attribute", "closed", fresh},
		{"7 after release", shared + "; A release", "A status", "closed", "34 T1 0 idle"},

		// 7: the reader is gone.
		{"7 gone: reconnect", shared + "; reader unplugged", "A reconnect shared both leave", "INVALID_VALUE", "gone"},
		{"7 gone: begin", shared + "; reader unplugged", "A begin", "INVALID_VALUE", "gone"},
		{"7 gone: end", shared + "; reader unplugged", "A end leave", "INVALID_VALUE", "gone"},
		{"7 gone: transmit", shared + "; reader unplugged", "A transmit T1", "INVALID_VALUE", "gone"},
		{"7 gone: control", shared + "; reader unplugged", "A control", "INVALID_VALUE", "gone"},
		{"7 gone: status", shared + "; reader unplugged", "A status", "INVALID_VALUE", "gone"},
		{"7 gone: attribute", shared + "; reader unplugged", "A attribute", "INVALID_VALUE", "gone"},
		{"7 gone: disconnect", shared + "; reader unplugged", "A disconnect reset", "ok", "gone"},
		{"8.10 the name comes back", shared + "; reader unplugged; reader plugged", "A status", "INVALID_VALUE", fresh},

		// 7: orders of checks. S before R before E before the card.
		{"7 transmit: room first", locked, "B transmit T1 1", "INSUFFICIENT_BUFFER", "34 T1 2 lock A*1"},
		{"7 transmit: S before E", two + "; A reconnect shared both reset; A begin", "B transmit T1", "SHARING_VIOLATION", "34 T1 2 lock A*1 B:reset"},
		{"7 transmit: S before R", locked + "; reader fails", "B transmit T1", "SHARING_VIOLATION", "01 undefined 2 lock A*1 A:reset B:reset off"},
		{"7 transmit: R before E", two + "; reader fails", "B transmit T1", "READER_UNAVAILABLE", "01 undefined 2 A:reset B:reset off"},
		{"7 transmit: E before absent", shared + "; card out", "A transmit T1", "REMOVED_CARD", "02 undefined 1 A:removed off"},
		{"7 transmit: absent before protocol", "card out; A connect direct none", "A transmit T1", "NO_SMARTCARD", "02 undefined 1 off"},
		{"7 transmit: protocol", shared, "A transmit T0", "PROTO_MISMATCH", inUse},
		{"7 status: S before E", two + "; A reconnect shared both reset; A begin", "B status", "SHARING_VIOLATION", "34 T1 2 lock A*1 B:reset"},
		{"7 status: E before R", shared + "; reader fails", "A status", "RESET_CARD", "01 undefined 1 A:reset off"},
		{"7 status: R", "A connect direct none; reader fails; B comes", "A status", "RESET_CARD", "01 undefined 1 A:reset off"},
		{"7 control: S", locked, "B control", "SHARING_VIOLATION", "34 T1 2 lock A*1"},
		{"7 control: R", shared + "; reader fails", "A control", "READER_UNAVAILABLE", "01 undefined 1 A:reset off"},
		{"7 control: E does not matter", two + "; A reconnect shared both reset", "B control", "ok", "34 T1 2 B:reset"},
		{"7 attribute: S before E", two + "; A reconnect shared both reset; A begin", "B attribute", "SHARING_VIOLATION", "34 T1 2 lock A*1 B:reset"},
		{"7 attribute: R before E", shared + "; reader fails", "A attribute", "READER_UNAVAILABLE", "01 undefined 1 A:reset off"},
		{"7 attribute: E", two + "; A reconnect shared both reset", "B attribute", "RESET_CARD", "34 T1 2 B:reset"},
		{"7 begin: R before E", shared + "; reader fails", "A begin", "READER_UNAVAILABLE", "01 undefined 1 A:reset off"},
		{"7 begin: E before the lock", two + "; A reconnect shared both reset; A begin", "B begin", "RESET_CARD", "34 T1 2 lock A*1 B:reset"},
		{"7 end: arguments first", two + "; A reconnect shared both reset", "B end 4", "INVALID_VALUE", "34 T1 2 B:reset"},
		{"7 end: E before the lock", two + "; A reconnect shared both reset; A begin", "B end leave", "RESET_CARD", "34 T1 2 lock A*1 B:reset"},
		{"7 end: reset while another holds the lock", locked, "B end reset", "SHARING_VIOLATION", "34 T1 2 lock A*1"},
		{"7 reconnect: arguments before R", shared + "; reader fails", "A reconnect shared both 3", "INVALID_VALUE", "01 undefined 1 A:reset off"},
		{"7 reconnect: R before S", locked + "; reader fails", "B reconnect shared both leave", "READER_UNAVAILABLE", "01 undefined 2 lock A*1 A:reset B:reset off"},
		{"7 reconnect: S", locked, "B reconnect shared both leave", "SHARING_VIOLATION", "34 T1 2 lock A*1"},
		{"7 reconnect: E does not matter", two + "; A reconnect shared both reset", "B reconnect shared both leave", "ok", "34 T1 2"},

		// 8.2 CONNECT.
		{"8.2.1 protocol before share mode", "", "A connect 9 none", "PROTO_MISMATCH", fresh},
		{"8.2.1 no protocol that we know", "", "A connect shared T15", "PROTO_MISMATCH", fresh},
		{"8.2.1 share mode 0", "", "A connect 0 both", "INVALID_VALUE", fresh},
		{"8.2.1 share mode 4", "", "A connect 4 both", "INVALID_VALUE", fresh},
		{"8.2.1 direct needs no protocol", "", "A connect direct none", "ok", "34 undefined 1 idle"},
		{"8.2.2 unknown reader", "", "A connect shared both X", "UNKNOWN_READER", fresh},
		{"8.2.2 reader failing", "reader fails", "A connect shared both", "READER_UNAVAILABLE", "01 undefined 0 off"},
		{"8.2.3 exclusive by another", "A connect exclusive both", "B connect shared both", "SHARING_VIOLATION", "34 T1 -1 lock A*1"},
		{"8.2.3 direct is no exception", "A connect exclusive both", "B connect direct none", "SHARING_VIOLATION", "34 T1 -1 lock A*1"},
		{"8.2.4 locked", shared + "; A begin", "B connect shared both", "waits", "34 T1 1 lock A*1"},
		{"8.2.4 direct waits too", shared + "; A begin", "B connect direct none", "waits", "34 T1 1 lock A*1"},
		{"8.2.5 no card", "card out", "A connect shared both", "NO_SMARTCARD", "02 undefined 0 off"},
		{"8.2.5 direct without card", "card out", "A connect direct none", "ok", "02 undefined 1 off"},
		{"8.2.5 power-up after idle", "time passes", "A connect shared both", "ok", inUse},
		{"8.2.5 power-up after unpower", shared + "; A disconnect unpower", "A connect shared both", "ok", inUse},
		{"8.2.5 power-up fails", "time passes; card fails power mute", "A connect shared both", "UNPOWERED_CARD", "0c undefined 0 off"},
		{"8.2.5 no card after all", "time passes; card gone", "A connect shared both", "NO_SMARTCARD", "02 undefined 0 off"},
		{"8.2.5 reader gone after all", "time passes; card fails power gone", "A connect shared both", "READER_UNAVAILABLE", "34 undefined 0 off"},
		{"8.2.5 a mute card is tried again", "card out; card fails power mute; card in; card heals", "A connect shared both", "ok", inUse},
		{"8.2.6 raw", "", "A connect shared raw", "ok", "34 raw 1"},
		{"8.2.6 raw beats others", "", "A connect shared 7", "ok", "34 raw 1"},
		{"8.2.6 raw leaves the protocol of others", shared, "B connect shared raw", "ok", "34 T1 2"},
		{"8.2.6 while somebody is raw", "A connect shared raw", "B connect shared both", "PROTO_MISMATCH", "34 raw 1"},
		{"8.2.6 after somebody was raw", "A connect shared raw; A disconnect leave", "B connect shared both", "ok", inUse},
		{"8.2.6 raw and direct", "", "A connect direct raw", "ok", "34 undefined 1 idle"},
		{"8.2.6 T=1 before T=0", "", "A connect shared both", "ok", inUse},
		{"8.2.6 T=0 if asked", "", "A connect shared T0", "ok", "34 T0 1"},
		{"8.2.6 any old", "", "A connect shared any", "ok", inUse},
		{"8.2.6 not offered", "card out; card is T0; card in", "A connect shared T1", "PROTO_MISMATCH", fresh},
		{"8.2.6 only T=0 offered", "card out; card is T0; card in", "A connect shared both", "ok", "34 T0 1"},
		{"8.2.6 only T=1 offered", "card out; card is KAZTOKEN; card in", "A connect shared T0", "PROTO_MISMATCH", fresh},
		{"8.2.6 PPS fails", "card fails protocol mute", "A connect shared both", "UNRESPONSIVE_CARD", "34 undefined 0 off"},
		{"8.2.6 reader refuses T=1", "card refuses T1", "A connect shared both", "ok", "34 T0 1"},
		{"8.2.6 reader refuses T=1, asked alone", "card refuses T1", "A connect shared T1", "PROTO_MISMATCH", "34 undefined 0 off"},
		{"8.2.6 reader refuses T=1, alone offered", "card out; card is KAZTOKEN; card in; card refuses T1", "A connect shared both", "PROTO_MISMATCH", "34 undefined 0 off"},
		{"8.2.6 reader refuses T=0", "card refuses T0", "A connect shared T0", "PROTO_MISMATCH", "34 undefined 0 off"},
		{"8.2.6 chosen already, among the asked", "A connect shared T0", "B connect shared both", "ok", "34 T0 2"},
		{"8.2.6 chosen already, not among the asked", "A connect shared T0", "B connect shared T1", "PROTO_MISMATCH", "34 T0 1"},
		{"8.2.6 chosen already, any old", "A connect shared T0", "B connect shared any", "ok", "34 T0 2"},
		{"8.2.6 direct takes what is in force", shared, "B connect direct none", "ok", "34 T1 2"},
		{"8.2.7 exclusive", "", "A connect exclusive both", "ok", "34 T1 -1 lock A*1"},
		{"8.2.7 exclusive while shared", shared, "B connect exclusive both", "SHARING_VIOLATION", inUse},
		{"8.2.7 exclusive while direct", "A connect direct none", "B connect exclusive both", "SHARING_VIOLATION", "34 T1 1 idle"},
		{"8.2.7 shared while direct", "A connect direct none", "B connect shared both", "ok", "34 T1 2"},

		// 8.3 RECONNECT.
		{"8.3 initialization 3", shared, "A reconnect shared both eject", "INVALID_VALUE", inUse},
		{"8.3 share mode 0", shared, "A reconnect 0 both leave", "INVALID_VALUE", inUse},
		{"8.3 share mode before protocols", shared, "A reconnect 4 none leave", "INVALID_VALUE", inUse},
		{"8.3 no protocol", shared, "A reconnect shared none leave", "PROTO_MISMATCH", inUse},
		{"8.3 reset marks all but the own", two, "A reconnect shared both reset", "ok", "34 T1 2 B:reset"},
		{"8.3 unpower marks all but the own", two, "A reconnect shared both unpower", "ok", "34 T1 2 B:reset"},
		{"8.3 reset, another protocol", shared, "A reconnect shared T0 reset", "ok", "34 T0 1"},
		{"8.3 leave, another protocol", shared, "A reconnect shared T0 leave", "PROTO_MISMATCH", inUse},
		{"8.3 reset, raw", shared, "A reconnect shared raw reset", "ok", "34 raw 1"},
		{"8.3 reset, direct", shared, "A reconnect direct none reset", "ok", "34 undefined 1 idle"},
		{"8.3 reset: no card any more", shared + "; card gone", "A reconnect shared both reset", "NO_SMARTCARD", "02 undefined 1 A:removed off"},
		{"8.3 reset: empty", shared + "; card out", "A reconnect shared both reset", "NO_SMARTCARD", "02 undefined 1 A:removed off"},
		{"8.3 reset: mute", two + "; card fails reset mute", "A reconnect shared both reset", "UNRESPONSIVE_CARD", "0c undefined 2 A:reset B:reset off"},
		{"8.3 unpower: mute", shared + "; card fails power mute", "A reconnect shared both unpower", "UNRESPONSIVE_CARD", "0c undefined 1 A:reset off"},
		{"8.3 reset of a mute card", shared + "; card fails reset mute; A reconnect shared both reset; card heals", "A reconnect shared both reset", "ok", inUse},
		{"8.3 leave: empty", shared + "; card out", "A reconnect shared both leave", "NO_SMARTCARD", "02 undefined 1 A:removed off"},
		{"8.3 leave: empty, direct", "card out; A connect direct none", "A reconnect direct none leave", "NO_SMARTCARD", "02 undefined 1 off"},
		{"8.3 leave: mute", "card out; card fails power mute; card in; A connect direct none", "A reconnect direct none leave", "UNRESPONSIVE_CARD", "0c undefined 1 off"},
		{"8.3 leave after unpower by another", two + "; B disconnect unpower", "A reconnect shared both leave", "ok", inUse},
		{"8.3 leave, direct to shared after idle", "A connect direct none; time passes", "A reconnect shared both leave", "ok", inUse},
		{"8.3 to exclusive", shared, "A reconnect exclusive both leave", "ok", "34 T1 -1 lock A*1"},
		{"8.3 to exclusive while shared", two, "A reconnect exclusive both leave", "SHARING_VIOLATION", "34 T1 2"},
		{"8.3 exclusive again", "A connect exclusive both", "A reconnect exclusive both leave", "ok", "34 T1 -1 lock A*1"},
		{"8.3 exclusive again after a removal", "A connect exclusive both; card out; card in", "A reconnect exclusive both leave", "ok", "34 T1 -1 lock A*1"},
		{"8.3 from exclusive", "A connect exclusive both", "A reconnect shared both leave", "ok", inUse},
		{"8.3 from exclusive in a transaction", "A connect exclusive both; A begin", "A reconnect shared both leave", "ok", "34 T1 1 lock A*1"},
		{"8.3 to exclusive in a transaction", shared + "; A begin", "A reconnect exclusive both leave", "ok", "34 T1 -1 lock A*2"},
		{"8.3 from exclusive to direct", "A connect exclusive both", "A reconnect direct none leave", "ok", "34 T1 1 idle"},
		{"8.3 a transaction stays", locked, "A reconnect shared both reset", "ok", "34 T1 2 lock A*1 B:reset"},
		{"8.3 acknowledges a reset", two + "; B end leave; B reconnect shared both reset", "A reconnect shared both leave", "ok", "34 T1 2"},
		{"8.3 acknowledges a removal", shared + "; card out; card in", "A reconnect shared both leave", "ok", inUse},

		// 8.4 DISCONNECT.
		{"8.4 disposition 4", shared, "A disconnect 4", "INVALID_VALUE", inUse},
		{"8.4 leave", shared, "A disconnect leave", "ok", "34 T1 0 idle"},
		{"8.4 leave while another holds the lock", locked, "B disconnect leave", "ok", "34 T1 1 lock A*1"},
		{"8.4 reset while another holds the lock", locked, "B disconnect reset", "waits", "34 T1 2 lock A*1"},
		{"8.4 unpower while another holds the lock", locked, "B disconnect unpower", "waits", "34 T1 2 lock A*1"},
		{"8.4 eject while another holds the lock", locked, "B disconnect eject", "waits", "34 T1 2 lock A*1"},
		{"8.4 own lock, nested", locked + "; A begin; A begin", "A disconnect leave", "ok", inUse},
		{"8.4 own lock, reset", locked + "; A begin", "A disconnect reset", "ok", "34 undefined 1 B:reset"},
		{"8.4 reset", two, "A disconnect reset", "ok", "34 undefined 1 B:reset"},
		{"8.4 reset: mute", two + "; card fails reset mute", "A disconnect reset", "ok", "0c undefined 1 B:reset off"},
		{"8.4 reset: no card", shared + "; card out", "A disconnect reset", "ok", "02 undefined 0 off"},
		{"8.4 reset: reader failing", shared + "; reader fails", "A disconnect reset", "ok", "01 undefined 0 off"},
		{"8.4 unpower", two, "A disconnect unpower", "ok", "04 undefined 1 B:reset off"},
		{"8.4 unpower after unpower", two + "; A disconnect unpower", "B disconnect unpower", "ok", "04 undefined 0 off"},
		{"8.4 unpower: no card", shared + "; card out", "A disconnect unpower", "ok", "02 undefined 0 off"},
		{"8.4 reset after unpower", two + "; A disconnect unpower", "B disconnect reset", "ok", "34 undefined 0 idle"},
		{"8.4 eject", two, "A disconnect eject", "ok", inUse},
		{"8.4 exclusive", "A connect exclusive both", "A disconnect leave", "ok", "34 T1 0 idle"},

		// 8.5 STATUS.
		{"8.5 good", shared, "A status", "ok", inUse},
		{"8.5 locked", locked, "B status", "SHARING_VIOLATION", "34 T1 2 lock A*1"},
		{"8.5 reset", two + "; A reconnect shared both reset", "B status", "RESET_CARD", "34 T1 2 B:reset"},

		// 8.6 transactions.
		{"8.6 begin", shared, "A begin", "ok", "34 T1 1 lock A*1"},
		{"8.6 begin again", shared + "; A begin", "A begin", "ok", "34 T1 1 lock A*2"},
		{"8.6 begin while locked", locked, "B begin", "waits", "34 T1 2 lock A*1"},
		{"8.6 end", shared + "; A begin", "A end leave", "ok", inUse},
		{"8.6 end of two", shared + "; A begin; A begin", "A end leave", "ok", "34 T1 1 lock A*1"},
		{"8.6 end of another's", locked, "B end leave", "SHARING_VIOLATION", "34 T1 2 lock A*1"},
		{"8.6 end of nothing", shared, "A end leave", "NOT_TRANSACTED", inUse},
		{"8.6 end of nothing does not reset", two, "A end reset", "NOT_TRANSACTED", "34 T1 2"},
		{"8.6 end, exclusive without begin", "A connect exclusive both", "A end leave", "NOT_TRANSACTED", "34 T1 -1 lock A*1"},
		{"8.6 begin, exclusive", "A connect exclusive both", "A begin", "ok", "34 T1 -1 lock A*2"},
		{"8.6 end, exclusive", "A connect exclusive both; A begin", "A end leave", "ok", "34 T1 -1 lock A*1"},
		{"8.6 end with reset marks the own too", locked, "A end reset", "ok", "34 undefined 2 A:reset B:reset"},
		{"8.6 end with unpower", locked, "A end unpower", "ok", "34 undefined 2 A:reset B:reset"},
		{"8.6 end with reset: mute", locked + "; card fails reset mute", "A end reset", "ok", "0c undefined 2 A:reset B:reset off"},
		{"8.6 end with eject", locked, "A end eject", "ok", "34 T1 2"},
		{"8.6 end after a reset of one's own", locked + "; A begin; A end reset", "A end leave", "RESET_CARD", "34 undefined 2 lock A*1 A:reset B:reset"},
		{"8.6 locked: transmit", locked, "B transmit T1", "SHARING_VIOLATION", "34 T1 2 lock A*1"},
		{"8.6 locked: control", locked, "B control", "SHARING_VIOLATION", "34 T1 2 lock A*1"},
		{"8.6 locked: attribute", locked, "B attribute", "SHARING_VIOLATION", "34 T1 2 lock A*1"},
		{"8.6 locked: reconnect", locked, "B reconnect shared both reset", "SHARING_VIOLATION", "34 T1 2 lock A*1"},
		{"8.6 the holder may", locked, "A transmit T1", "ok", "34 T1 2 lock A*1"},
		{"8.6 begin by direct", "A connect direct none", "A begin", "ok", "34 undefined 1 lock A*1 idle"},

		// 8.7 TRANSMIT.
		{"8.7 good", shared, "A transmit T1", "ok", inUse},
		{"8.7 raw", shared, "A transmit raw", "ok", inUse},
		{"8.7 any old", shared, "A transmit any", "ok", inUse},
		{"8.7 before a protocol is chosen", "A connect direct none", "A transmit T1", "PROTO_MISMATCH", "34 undefined 1 idle"},
		{"8.7 room for a status word", shared, "A transmit T1 2", "ok", inUse},
		{"8.7 room for less", shared, "A transmit T1 1", "INSUFFICIENT_BUFFER", inUse},
		{"8.7 card vanished", two + "; card gone", "A transmit T1", "NO_SMARTCARD", "02 undefined 2 A:removed B:removed off"},
		{"8.7 reader gone", shared + "; card fails transmit gone", "A transmit T1", "READER_UNAVAILABLE", inUse},
		{"8.7 anything else", shared + "; card fails transmit mute", "A transmit T1", "NOT_TRANSACTED", inUse},
		{"8.7 not supported is anything else", shared + "; card fails transmit unsupported", "A transmit T1", "NOT_TRANSACTED", inUse},
		{"8.7 the card lost its state", two + "; card fails transmit lost", "A transmit T1", "RESET_CARD", "34 T1 2 A:reset B:reset off"},
		{"8.7 and comes back", two + "; card fails transmit lost; B comes; card heals; B disconnect leave", "A reconnect shared both leave", "ok", inUse},
		{"8.7 without power", "A connect direct raw; time passes", "A transmit raw", "NOT_TRANSACTED", "34 undefined 1 off"},

		// 9 CONTROL.
		{"9 good", shared, "A control", "ok", inUse},
		{"9 direct without card", "card out; A connect direct none; card in; card out", "A control", "NO_SMARTCARD", "02 undefined 1 A:removed off"},
		{"9 unsupported", shared + "; card fails control unsupported", "A control", "UNSUPPORTED_FEATURE", inUse},
		{"9 no room", shared + "; card fails control short", "A control", "INSUFFICIENT_BUFFER", inUse},
		{"9 reader gone", shared + "; card fails control gone", "A control", "READER_UNAVAILABLE", inUse},
		{"9 anything else", shared + "; card fails control mute", "A control", "NOT_TRANSACTED", inUse},

		// 8.8 power.
		{"8.8 off after a while", "", "time passes", "ok", "34 undefined 0 off"},
		{"8.8 not while in use", shared, "time passes", "ok", inUse},
		{"8.8 once more after the last", shared + "; A disconnect leave", "time passes", "ok", "34 T1 0 off"},
		{"8.8 direct does not count", "A connect direct none", "time passes", "ok", "34 undefined 1 off"},
		{"8.8 protocol is open after it", "A connect shared T0; A disconnect leave; time passes", "A connect shared T1", "ok", inUse},

		// 8.9 death and release.
		{"8.9 dies unlocked", two, "B dies", "ok", inUse},
		{"8.9 dies while another holds the lock", locked, "B dies", "ok", "34 T1 1 lock A*1"},
		{"8.9 dies with the lock", locked, "A dies", "ok", "34 undefined 1 B:reset"},
		{"8.9 dies with the lock, nested", locked + "; A begin", "A dies", "ok", "34 undefined 1 B:reset"},
		{"8.9 dies exclusive", "A connect exclusive both", "A dies", "ok", "34 undefined 0 idle"},
		{"8.9 releases with the lock", locked, "A release", "ok", "34 undefined 1 B:reset"},
		{"8.9 dies with the lock after a reset", locked + "; A begin; A end reset", "A dies", "ok", "34 undefined 1 B:reset"},

		// 8.10 removal.
		{"8.10 marks all and unlocks", locked, "card out", "ok", "02 undefined 2 A:removed B:removed off"},
		{"8.10 begin", shared + "; card out", "A begin", "REMOVED_CARD", "02 undefined 1 A:removed off"},
		{"8.10 status", shared + "; card out", "A status", "REMOVED_CARD", "02 undefined 1 A:removed off"},
		{"8.10 end", locked + "; card out", "A end leave", "REMOVED_CARD", "02 undefined 2 A:removed B:removed off"},
		{"8.10 disconnect", shared + "; card out", "A disconnect unpower", "ok", "02 undefined 0 off"},
		{"8.10 back before reconnect", shared + "; card out; card in", "A transmit T1", "REMOVED_CARD", "34 undefined 1 A:removed"},
		{"8.10 swapped within a glance", shared + "; card swapped", "A transmit T1", "REMOVED_CARD", "34 undefined 1 A:removed"},
		{"8.10 a reset does not hide a removal", two + "; card out; card in; B reconnect shared both reset", "A status", "REMOVED_CARD", "34 T1 2 A:removed"},
		{"8.10 a mute card", "card out; card fails power mute", "card in", "ok", "0c undefined 0 off"},
		{"8.10 reader error", shared, "reader fails", "ok", "01 undefined 1 A:reset off"},
		{"8.10 reader error, over", shared + "; reader fails", "reader heals", "ok", "34 undefined 1 A:reset"},
		{"8.10 reader error, over and empty", shared + "; reader fails; card gone", "reader heals", "ok", "02 undefined 1 A:removed off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Limits{})
			for s := range splitSeq(c.before) {
				w.say(s) // what a row needs in order to fail may fail itself
				w.check()
			}
			if got := w.say(c.says); got != c.want {
				t.Errorf("%s: %s, want %s", c.says, got, c.want)
			}
			w.check()
			if diff := cmp.Diff(c.state, w.state()); diff != "" {
				t.Errorf("state afterwards, -want +got:\n%s", diff)
			}
		})
	}
}
