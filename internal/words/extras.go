//go:build !minimal

package words

// extraTables are the words of what -tags minimal leaves out.
var extraTables = [][]entry{panel, pages, demonstration}

// helpTables is all of the help; the order does not matter. The smallest program
// has its help in English.
var helpTables = [][]helpEntry{helpGeneral, helpCompletion, helpPINs, helpCertificates, helpKeys, helpObjects, helpDevices, helpService, helpPanel, helpRegistration, helpTrace, helpDoctor}
