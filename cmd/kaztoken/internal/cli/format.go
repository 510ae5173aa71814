package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/pinpolicy"
	"kaztoken/internal/words"
)

// formatFlags are those of format.
type formatFlags struct {
	login                         loginFlags
	confirm                       confirmation
	userPIN, adminPIN             secretFlags
	name, policy                  string
	userMinLength, adminMinLength int
	userTries, adminTries         int
}

func (a *app) formatCommand() *cobra.Command {
	var f formatFlags
	c := &cobra.Command{
		Use:   "format",
		Short: "Erase the token and set it up anew",
		Long: `Erase the token and set it up anew. All certificates, keys and objects are lost.
Whatever is not given gets its standard value, the PINs too: 12345678 for the
user, 87654321 for the administrator.

The administrator logs in, unless the administrator PIN is blocked or the token
has none. The command names the token and asks before it begins. Do not unplug
the token until it is done; if it happened, format again.

--policy says who may change the user PIN:
  user   the user alone; the administrator unblocks it, and cannot set it
  admin  the administrator alone
  both   either (the standard)

--json prints an object with the keys formatted, name, id, policy`,
		Example: `  kaztoken format
  kaztoken format --name "Accounting" --policy user --user-tries 5
  kaztoken format --yes --pin-file admin.pin --user-pin-file new-user.pin --admin-pin-file new-admin.pin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			policy, err := policyNamed(f.policy)
			if err != nil {
				return err
			}
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error { return a.format(ctx, t, &f, policy) })
		},
	}
	f.login.add(c, "present administrator")
	f.confirm.add(c)
	fl := c.Flags()
	f.userPIN.add(c, "user-pin", "the new user PIN")
	f.adminPIN.add(c, "admin-pin", "the new administrator PIN")
	fl.StringVar(&f.name, "name", "KAZTOKEN", "`NAME` of the token")
	fl.StringVar(&f.policy, "policy", "both", "who may change the user PIN: user, admin or both")
	fl.IntVar(&f.userMinLength, "user-min-length", 6, "minimum length of the user PIN, 1 to 31 bytes")
	fl.IntVar(&f.adminMinLength, "admin-min-length", 6, "minimum length of the administrator PIN, 1 to 31 bytes")
	fl.IntVar(&f.userTries, "user-tries", 10, "tries of the user PIN, 1 to 10")
	fl.IntVar(&f.adminTries, "admin-tries", 10, "tries of the administrator PIN, 3 to 10")
	must(c.RegisterFlagCompletionFunc("policy", cobra.FixedCompletions([]string{"user", "admin", "both"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func policyNamed(s string) (firmware.Policy, error) {
	for _, p := range []firmware.Policy{firmware.PolicyUser, firmware.PolicyAdmin, firmware.PolicyBoth} {
		if describe.Policy(p) == s {
			return p, nil
		}
	}
	return 0, &usageError{fmt.Errorf("--policy %q: want user, admin or both", s)}
}

func (a *app) format(ctx context.Context, t *token, f *formatFlags, policy firmware.Policy) error {
	for _, v := range []struct {
		flag  string
		value int
	}{
		{"user-min-length", f.userMinLength}, {"admin-min-length", f.adminMinLength},
		{"user-tries", f.userTries}, {"admin-tries", f.adminTries},
	} {
		if v.value < 1 { // 0 would be taken for the standard value
			return &usageError{fmt.Errorf("--%s %d: too small", v.flag, v.value)}
		}
	}
	defaults := !f.userPIN.given() || !f.adminPIN.given()
	if rule := a.settings.NewPINs(); defaults && (rule.Weak == pinpolicy.Forbid || rule.MinLength > len(firmware.DefaultPIN(firmware.User))) {
		if err := a.judge(firmware.DefaultPIN(firmware.User)); err != nil {
			return err
		}
	}
	if t.State() == firmware.StateVendor {
		a.warn("ask.foreign")
	}
	if err := a.confirm(ctx, &f.confirm, t, nil, "format.warn"); err != nil {
		return err
	}
	if err := a.loginToFormat(ctx, t, &f.login); err != nil {
		return err
	}
	o := firmware.FormatOptions{
		Name: f.name, Policy: policy, UserMinLength: f.userMinLength, AdminMinLength: f.adminMinLength,
		UserTries: f.userTries, AdminTries: f.adminTries,
	}
	for _, p := range []struct {
		flags *secretFlags
		pin   *[]byte
	}{{&f.userPIN, &o.UserPIN}, {&f.adminPIN, &o.AdminPIN}} {
		s, err := a.readSecretFrom(p.flags)
		if err != nil {
			return err
		}
		defer s.Wipe()
		if s != nil {
			if err := a.judge(s.Bytes()); err != nil {
				return err
			}
		}
		*p.pin = s.Bytes()
	}
	if a.ErrTerminal {
		a.say("format.busy")
	}
	progress, done := a.progress("format.title")
	err := t.Format(ctx, o, progress)
	done()
	if err != nil {
		return err
	}
	a.say("done.format", "name", o.Name)
	if defaults {
		a.warn("warn.defaults")
	}
	// What was chosen among the certificates is gone with them.
	if id, err := a.defaultID(ctx, t); err != nil {
		return err
	} else if id != nil {
		if err := a.setDefaultID(ctx, t, nil); err != nil {
			return err
		}
	}
	i, err := t.Info(ctx)
	if err != nil {
		return err
	}
	return a.report(struct {
		Formatted bool   `json:"formatted"`
		Name      string `json:"name"`
		ID        string `json:"id"`
		Policy    string `json:"policy"`
	}{true, o.Name, describe.Field(words.For(words.English), i.ID, describe.TokenID), describe.Policy(policy)})
}

// loginToFormat logs the administrator in, which the card itself does not ask
// for: it keeps a passer-by from formatting. Where nobody can log in any more,
// formatting is the way out.
func (a *app) loginToFormat(ctx context.Context, t *token, l *loginFlags) error {
	if s := t.State(); s == firmware.StateWiped || s == firmware.StateHalf {
		return nil
	}
	s, err := t.PINStatus(ctx, firmware.Admin)
	var refused *firmware.StatusError
	if errors.As(err, &refused) || err == nil && s.Blocked {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = a.login(ctx, t, firmware.Admin, l)
	return err
}

func (a *app) renameCommand() *cobra.Command {
	var (
		l  loginFlags
		as string
	)
	c := &cobra.Command{
		Use:   "rename NAME",
		Short: "Give the token a name",
		Long: `Give the token a name. The user logs in, or with --as admin the administrator.

--json prints an object with the key name`,
		Example: `  kaztoken rename "My token"
  kaztoken rename Accounting --pin-file user.pin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			role, err := roleNamed(as)
			if err != nil {
				return err
			}
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				if _, err := a.login(ctx, t, role, &l); err != nil {
					return err
				}
				if err := t.SetName(ctx, args[0]); err != nil {
					return err
				}
				a.say("done.rename", "name", args[0])
				return a.report(struct {
					Name string `json:"name"`
				}{args[0]})
			})
		},
	}
	l.add(c, "chosen")
	addRole(c, &as, "as", "user", "who logs in")
	return c
}
