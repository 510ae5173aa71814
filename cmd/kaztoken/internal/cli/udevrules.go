package cli

import (
	"github.com/spf13/cobra"

	"kaztoken/udev"
)

func (a *app) rulesCommand() *cobra.Command {
	o := udev.DefaultRules()
	c := &cobra.Command{
		Use:   "udev-rules",
		Short: "Print the udev rules that give users access",
		Long: `Print the udev rules file. Installed, it gives access to tokens and readers to
whoever sits at the machine (uaccess) and to the members of a group.`,
		Example: `  kaztoken udev-rules | sudo tee /etc/udev/rules.d/` + udev.RulesFile + `
  kaztoken udev-rules --group plugdev --pcsclite-ignore`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			rules, err := udev.Rules(o)
			if err != nil {
				return &usageError{err}
			}
			_, err = a.Out.Write(rules)
			return err
		},
	}
	c.Flags().StringVar(&o.Group, "group", o.Group, "`GROUP` that has access, empty for none")
	c.Flags().BoolVar(&o.PCSCLiteIgnore, "pcsclite-ignore", false, "keep pcscd away from the tokens")
	return c
}
