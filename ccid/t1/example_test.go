package t1_test

import (
	"fmt"

	"kaztoken/ccid/t1"
)

// One APDU with a card that asks for more time first.
func ExampleHost() {
	card := [][]byte{
		{0x00, 0xC3, 0x01, 0x05, 0xC7},                // S(WTX request 5)
		{0x00, 0x00, 0x04, 0xCA, 0xFE, 0x90, 0, 0xA0}, // the answer
	}
	h := t1.NewHost(t1.Params{IFSC: 254})
	s := h.Begin(nil, []byte{0x00, 0x84, 0x00, 0x00, 0x02})
	for s.Kind == t1.Send {
		fmt.Printf("send % X, wait for %d BWT\n", s.Block, max(s.WTX, 1))
		s = h.Receive(card[0])
		card = card[1:]
	}
	fmt.Printf("%v % X %v\n", s.Kind, s.Resp, s.Err)
	// Output:
	// send 00 00 05 00 84 00 00 02 83, wait for 1 BWT
	// send 00 E3 01 05 E7, wait for 5 BWT
	// Done CA FE 90 00 <nil>
}
