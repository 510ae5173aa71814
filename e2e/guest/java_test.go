//go:build e2e && linux

package guest

import (
	"fmt"
	"testing"
)

// java is Debian's own OpenJDK, whatever else has that name on the host. The
// machine is too slow for its second compiler to pay.
var java = []string{
	"/usr/lib/jvm/java-17-openjdk-amd64/bin/java", "-XX:TieredStopAtLevel=1", "-Xmx64m",
	"-Dsun.security.smartcardio.library=/usr/lib/x86_64-linux-gnu/libpcsclite.so.1", "-cp", "java", "SmartCardClient",
}

// TestServiceJava has a Java program use the token through javax.smartcardio.
// Another one is refused while the first has the card for itself; later it resets
// the card below its hands.
func TestServiceJava(t *testing.T) {
	bothStacks(t, func(t *testing.T, k *token, r *transcript) {
		d := startDialogue(t, java[0], java[1:]...)
		var other *dialogue
		steps := map[string]func(){
			"plug": func() { k.plug(t) },
			"unplug": func() {
				d.awaitWait(t)
				k.unplug(t)
				k.vanish(t)
			},
			"connect another program": func() {
				// By itself libpcsclite would ask again and again until it is served.
				other = startDialogue(t, "sh", "-c", "PCSCLITE_NO_BLOCKING=1 exec scriptor -u 2>&1")
				other.until(t, "T=1")
			},
			"have it refused": func() {
				fmt.Fprintln(other.in, "80EC410103")
				other.until(t, "Sharing violation")
				r.add("scriptor, refused", mask(other.said))
			},
			"have it served": func() { r.tool(t, scriptorInput, "scriptor") },
		}
		for _, step := range []string{
			"plug", "connect another program", "have it refused", "have it served", "unplug", "plug", "unplug",
		} {
			d.until(t, "\ndo "+step+"\n")
			steps[step]()
			fmt.Fprintln(d.in, "done")
		}
		d.finish(t)
		r.add("java", mask(d.said))
	})
}
