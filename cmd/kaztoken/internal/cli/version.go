package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"kaztoken/internal/host"
)

// versionJSON is the output of version --json.
type versionJSON struct {
	Version    string   `json:"version"`
	Go         string   `json:"go"`
	Platform   string   `json:"platform"`
	USBDrivers []string `json:"usb_drivers"` // the default first
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what this build can do",
		Long: `Print the version and what this build can do.

--json prints an object with the keys
  version, go, platform, usb_drivers (the default one first)`,
		Example: `  kaztoken version
  kaztoken version --json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versionJSON{
				Version: a.Version, Go: runtime.Version(), Platform: platform(),
				USBDrivers: append([]string{}, host.DriverNames()...),
			}
			if info, ok := debug.ReadBuildInfo(); v.Version == "" && ok {
				v.Version = info.Main.Version
			}
			if a.json {
				return a.printJSON(v, "  ")
			}
			drivers := "no USB driver"
			if len(v.USBDrivers) > 0 {
				drivers = "USB drivers " + strings.Join(v.USBDrivers, ", ")
			}
			_, err := fmt.Fprintf(a.Out, "kaztoken %s (%s, %s, %s)\n", v.Version, v.Go, v.Platform, drivers)
			return err
		},
	}
}

// platform is what the program was built for.
func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
