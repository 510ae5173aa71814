//go:build minimal

package words

// The smallest program has neither the panel's words nor the demonstration's, and
// its help is as it is written beside the commands, in English.
var (
	extraTables [][]entry
	helpTables  [][]helpEntry
)
