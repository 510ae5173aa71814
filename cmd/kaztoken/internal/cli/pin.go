package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
)

func (a *app) pinCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pin",
		Short: "Show, check, change and unblock PINs",
		Long: `Show, check, change and unblock the PINs of a token: the user's and the
administrator's. Each has its own counter: after so many wrong tries in a row,
10 as a rule, it is blocked. The administrator unblocks the user PIN. Nobody
unblocks the administrator PIN.

A PIN is typed at a prompt, or read from the first line of a file (--pin-file)
or of an open descriptor (--pin-fd). It is never an argument. A wrong PIN ends
the command; nothing is tried again.`,
		Example: `  kaztoken pin status
  kaztoken pin change`,
		Args: cobra.NoArgs,
		RunE: needsSubcommand,
	}
	c.AddCommand(a.pinStatusCommand(), a.pinVerifyCommand(), a.pinChangeCommand(), a.pinUnblockCommand())
	return c
}

// needsSubcommand is what a command that only holds others does.
func needsSubcommand(*cobra.Command, []string) error {
	return &usageError{errors.New("a further word says what to do")}
}

// pinJSON is the state of one PIN. Numbers that the token does not tell are -1.
type pinJSON struct {
	Left      int  `json:"left"`
	Max       int  `json:"max"`
	MinLength int  `json:"min_length"`
	MaxLength int  `json:"max_length"`
	Blocked   bool `json:"blocked"`
}

func pinOf(s firmware.PINStatus) pinJSON {
	return pinJSON{Left: s.Left, Max: s.Max, MinLength: s.MinLength, MaxLength: s.MaxLength, Blocked: s.Blocked}
}

func (a *app) pinStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the tries left of both PINs",
		Long: `Show the tries left of both PINs and their limits. It costs no try and needs no
log-in.

--json prints an object with the keys user and administrator, each with
  left, max (tries), min_length, max_length (bytes), blocked
Numbers that the token does not tell are -1.`,
		Example: `  kaztoken pin status
  kaztoken pin status --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withToken(cmd.Context(), a.pinStatus)
		},
	}
}

func (a *app) pinStatus(ctx context.Context, t *token) error {
	user, err := t.PINStatus(ctx, firmware.User)
	if err != nil {
		return unformatted(t, err)
	}
	admin, err := t.PINStatus(ctx, firmware.Admin)
	if err != nil {
		return unformatted(t, err)
	}
	if a.json {
		return a.printJSON(struct {
			User  pinJSON `json:"user"`
			Admin pinJSON `json:"administrator"`
		}{pinOf(user), pinOf(admin)}, "  ")
	}
	var s sheet
	for _, p := range []firmware.PINStatus{user, admin} {
		s.line(a.words.Text("pin.title", "role", describe.Role(p.Role)), describe.PIN(a.words, p))
	}
	return s.print(a.Out)
}

// unformatted says of a refusal by a token without PINs that it has none.
func unformatted(t *token, err error) error {
	var refused *firmware.StatusError
	if s := t.State(); errors.As(err, &refused) && (s == firmware.StateWiped || s == firmware.StateHalf) {
		return &firmware.StateError{Op: firmware.OpLogin, State: s}
	}
	return err
}

func (a *app) pinVerifyCommand() *cobra.Command {
	var (
		l  loginFlags
		as string
	)
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check a PIN",
		Long: `Check a PIN, and warn if it is the default one. A wrong PIN costs a try and ends
with exit code 4.

--json prints an object with the keys role, verified, default_pin`,
		Example: `  kaztoken pin verify
  kaztoken pin verify --as admin --pin-file admin.pin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			role, err := roleNamed(as)
			if err != nil {
				return err
			}
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				r, err := a.login(ctx, t, role, &l)
				if err != nil {
					return err
				}
				a.say("done.verify", "role", describe.Role(role))
				return a.report(struct {
					Role     string `json:"role"`
					Verified bool   `json:"verified"`
					Default  bool   `json:"default_pin"`
				}{role.String(), true, r.DefaultPIN})
			})
		},
	}
	l.add(c, "chosen")
	addRole(c, &as, "as", "user", "whose PIN")
	return c
}

// report prints the JSON of what a command did, if JSON is wanted.
func (a *app) report(v any) error {
	if !a.json {
		return nil
	}
	return a.printJSON(v, "  ")
}

func (a *app) pinChangeCommand() *cobra.Command {
	var (
		l         loginFlags
		fresh     secretFlags
		as, whose string
	)
	c := &cobra.Command{
		Use:   "change",
		Short: "Change a PIN",
		Long: `Change the PIN of the user or, with --whose admin, the administrator's. Whoever's
PIN it is logs in to change it; the administrator changes the user PIN with
--as admin, where the token's policy allows it.

The new PIN is typed twice, or read from --new-pin-file or --new-pin-fd.

--json prints an object with the keys whose, by, changed`,
		Example: `  kaztoken pin change
  kaztoken pin change --whose admin
  kaztoken pin change --as admin --whose user
  kaztoken pin change --pin-file old.pin --new-pin-file new.pin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			target, err := roleNamed(whose)
			if err != nil {
				return err
			}
			by := target
			if as != "" {
				if by, err = roleNamed(as); err != nil {
					return err
				}
			}
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				if _, err := a.login(ctx, t, by, &l); err != nil {
					return err
				}
				pin, err := a.newPIN(ctx, &fresh, target)
				if err != nil {
					return err
				}
				defer pin.Wipe()
				if err := t.ChangePIN(ctx, target, pin.Bytes()); err != nil {
					return err
				}
				a.say("done.change", "role", describe.Role(target))
				return a.report(struct {
					Whose   string `json:"whose"`
					By      string `json:"by"`
					Changed bool   `json:"changed"`
				}{target.String(), by.String(), true})
			})
		},
	}
	l.add(c, "present")
	fresh.add(c, "new-pin", "the new PIN")
	addRole(c, &whose, "whose", "user", "whose PIN is changed")
	addRole(c, &as, "as", "", "who logs in, if it is another")
	return c
}

func (a *app) pinUnblockCommand() *cobra.Command {
	var (
		l     loginFlags
		fresh secretFlags
		reset bool
	)
	c := &cobra.Command{
		Use:   "unblock",
		Short: "Unblock the user PIN",
		Long: `Restore the tries of the user PIN; the administrator logs in. With --new-pin,
--new-pin-file or --new-pin-fd the user gets a new PIN as well, where the token's
policy lets the administrator change it.

--json prints an object with the keys unblocked, changed`,
		Example: `  kaztoken pin unblock
  kaztoken pin unblock --new-pin
  kaztoken pin unblock --pin-file admin.pin --new-pin-file user.pin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				if _, err := a.login(ctx, t, firmware.Admin, &l); err != nil {
					return err
				}
				changed := reset || fresh.given()
				var pin []byte
				if changed {
					s, err := a.newPIN(ctx, &fresh, firmware.User)
					if err != nil {
						return err
					}
					defer s.Wipe()
					pin = s.Bytes()
				}
				if err := t.Unblock(ctx, pin); err != nil {
					var policy *firmware.PolicyError
					var length *firmware.PINLengthError
					if errors.As(err, &policy) || errors.As(err, &length) {
						a.warn("warn.reset")
					}
					return err
				}
				if changed {
					a.say("done.unblock.new")
				} else {
					a.say("done.unblock")
				}
				return a.report(struct {
					Unblocked bool `json:"unblocked"`
					Changed   bool `json:"changed"`
				}{true, changed})
			})
		},
	}
	l.add(c, "administrator")
	fresh.add(c, "new-pin", "the new user PIN")
	c.Flags().BoolVar(&reset, "new-pin", false, "ask for a new user PIN as well")
	return c
}
