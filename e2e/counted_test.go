//go:build e2e && linux

package e2e

import "flag"

// countedFlag has measurements tell instructions instead of time, see vm.Config.
var countedFlag = flag.Bool("e2e.counted", false, "the machine's clock counts its instructions")
