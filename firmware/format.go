package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
)

// FormatOptions say how a token is to be formatted. What is left zero gets the
// standard value of the user guide.
type FormatOptions struct {
	Name string // "KAZTOKEN" if empty

	UserPIN, AdminPIN             []byte // DefaultPIN if nil; the caller wipes them
	UserMinLength, AdminMinLength int    // bytes, 1 to 31
	UserTries, AdminTries         int    // 1 to 10, and 3 to 10
	Policy                        Policy // who may change the user PIN
}

// The standard values of the user guide, and the limits of the vendor's headers.
const (
	standardName      = "KAZTOKEN"
	standardMinLength = 6
	standardTries     = 10
	maxMinLength      = 31
	maxTries          = 10
	minUserTries      = 1
	minAdminTries     = 3
)

func (o FormatOptions) withDefaults() FormatOptions {
	set := func(v *int, standard int) {
		if *v == 0 {
			*v = standard
		}
	}
	set(&o.UserMinLength, standardMinLength)
	set(&o.AdminMinLength, standardMinLength)
	set(&o.UserTries, standardTries)
	set(&o.AdminTries, standardTries)
	if o.Name == "" {
		o.Name = standardName
	}
	if o.Policy == PolicyUnknown {
		o.Policy = PolicyBoth
	}
	if o.UserPIN == nil {
		o.UserPIN = DefaultPIN(User)
	}
	if o.AdminPIN == nil {
		o.AdminPIN = DefaultPIN(Admin)
	}
	return o
}

func (o FormatOptions) check(m Model) error {
	for _, b := range []struct {
		option         string
		value, low, up int
	}{
		{"minimum length of the user PIN", o.UserMinLength, max(m.MinPIN, 1), min(maxMinLength, m.MaxPIN)},
		{"minimum length of the administrator PIN", o.AdminMinLength, max(m.MinPIN, 1), min(maxMinLength, m.MaxPIN)},
		{"tries of the user", o.UserTries, minUserTries, maxTries},
		{"tries of the administrator", o.AdminTries, minAdminTries, maxTries},
		{"policy", int(o.Policy), int(PolicyAdmin), int(PolicyBoth)},
	} {
		if b.value < b.low || b.value > b.up {
			return &OptionError{Option: b.option, Value: b.value, Min: b.low, Max: b.up}
		}
	}
	if n := len(o.UserPIN); n < o.UserMinLength || n > m.MaxPIN {
		return &PINLengthError{Role: User, Got: n, Min: o.UserMinLength, Max: m.MaxPIN}
	}
	if n := len(o.AdminPIN); n < o.AdminMinLength || n > m.MaxPIN {
		return &PINLengthError{Role: Admin, Got: n, Min: o.AdminMinLength, Max: m.MaxPIN}
	}
	return checkName(o.Name)
}

// Sizes of the files of the layout, bytes.
const (
	smallFile = 128
	sizeAODF  = 256
	// sizeApp is what OpenSC's profile declares for the application's DF.
	sizeApp = 5000
)

// Rules of the layout that [Token.Format] writes, those of OpenSC's profile.
var (
	mfRules     = rules{0x47, user, user, admin, 0, 0, 0, never}
	systemRules = rules{0x43, user, user, 0, 0, 0, 0, never}
	appRules    = rules{0x43, always, always, 0, 0, 0, 0, user}
	adminRules  = rules{0x43, always, admin, 0, 0, 0, 0, admin} // the administrator writes
	odfRules    = rules{0x43, always, always, 0, 0, 0, 0, admin}
	infoRules   = rules{0x43, always, always, 0, 0, 0, 0, user}
)

// systemDFs is the tree of the system's own directories, parents before
// children, brothers in a row.
var systemDFs = []pkcs15.Path{
	pkcs15.NewPath(0x3F00, 0x1000),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1000),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1000, 0x6001),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1000, 0x6002),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1000, 0x6003),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1000, 0x6004),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1000, 0x6005),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1001),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1001, 0x8001),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1001, 0x8002),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1002),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1003),
	pkcs15.NewPath(0x3F00, 0x1000, 0x1004),
}

// Format erases the token, whatever is on it, and lays it out anew. It needs no
// log-in: the card asks for none. Whoever calls it asks the user first.
//
// The ODF gets its content in the last writing command, after the access rules
// are in force, so that an interruption at any command leaves a token that is
// recognised as half formatted, and can be formatted again.
func (t *Token) Format(ctx context.Context, o FormatOptions, progress Progress) error {
	o = o.withDefaults()
	err := t.operation(ctx, func(ctx context.Context) error {
		if err := o.check(t.model); err != nil {
			return err
		}
		f, err := t.newFormatting(ctx, o)
		if err != nil {
			return err
		}
		if err := t.logout(ctx); err != nil {
			return err
		}
		t.cache, t.state = cache{}, StateHalf
		if err := f.run(ctx, progress); err != nil {
			// Whatever is left, it is not what it was, and nobody is logged in.
			ctx = context.WithoutCancel(ctx)
			if t.resetAccessRights(ctx) != nil || t.recognise(ctx) != nil {
				t.state = StateHalf
			}
			return err
		}
		t.cache, t.state, t.app = cache{}, StatePKCS15, pkcs15.AppPath()
		return nil
	})
	if err != nil {
		return fmt.Errorf("format: %w", err)
	}
	return nil
}

// formatting is one run of Format: a list of steps.
type formatting struct {
	t     *Token
	o     FormatOptions
	steps []func(context.Context) error

	// Whether a file that was just made is the current one: on the cards that are
	// known it is, but no document says so. Each is found out by a command that
	// can do no harm; see formatting.run.
	currentEF, currentDF bool
}

func (t *Token) newFormatting(ctx context.Context, o FormatOptions) (*formatting, error) {
	f := &formatting{t: t, o: o}
	app := pkcs15.AppPath()
	serial, err := t.tokenID(ctx)
	if err != nil {
		return nil, err
	}
	now := t.clock().UTC().Format(generalizedTime)
	infoOf := func(name string) []byte { return pkcs15.NewTokenInfo(name, serial, now).AppendTo(nil) }
	dirOf := func(name string) []byte { return pkcs15.NewApplication(name).AppendTo(nil) }
	size := func(name string) int { return max(len(infoOf(name)), len(dirOf(name))) }
	if err := checkRoom(o.Name, smallFile, size); err != nil {
		return nil, err
	}
	info, dir := infoOf(o.Name), dirOf(o.Name)
	userEntry := pkcs15.UserPIN(o.UserMinLength)
	if o.Policy == PolicyAdmin {
		userEntry.Flags |= pkcs15.PINChangeDisabled
	}
	aodf := userEntry.AppendTo(pkcs15.AdminPIN(o.AdminMinLength).AppendTo(nil))
	odf := pkcs15.NewODFEntry(pkcs15.AODF).AppendTo(nil)

	f.command(claVendor, insInit, 0, 0)
	f.step(func(ctx context.Context) error {
		_, err := t.ch.do(ctx, iso7816.Command{
			CLA: claISO, INS: insCreateFile, Data: fcp{kind: KindDF, id: mf.ID(), rules: mfRules}.appendTo(nil),
		})
		// OpenSC makes EF(DIR) without selecting the MF before.
		t.current = selection{path: mf, fcp: fcp{kind: KindDF, id: mf.ID()}}
		return err
	})
	f.firstEF(dir)
	f.firstDFs()
	for _, p := range systemDFs[2:] {
		f.file(parent(p), fcp{kind: KindDF, id: p.ID(), rules: systemRules}, nil)
	}
	f.file(mf, fcp{kind: KindDF, id: pkcs15.FileApp, size: sizeApp, rules: appRules}, nil)
	// The ODF comes before the PINs: a token that has PINs but no ODF would look
	// like one of the vendor's. The PINs come last, because a card that files them
	// elsewhere may leave that place current.
	f.file(app, fcp{kind: KindEF, id: pkcs15.FileODF, size: smallFile, rules: odfRules}, nil)
	f.file(app, fcp{kind: KindEF, id: pkcs15.AODF.Path().ID(), size: sizeAODF, rules: adminRules}, aodf)
	f.file(app, fcp{kind: KindEF, id: pkcs15.FileTokenInfo, size: smallFile, rules: infoRules}, info)
	// The mark of pkcs15-init: the name of the profile, which it looks for.
	f.file(app, fcp{kind: KindEF, id: pkcs15.FileMarker, size: smallFile, rules: adminRules}, []byte(pkcs15.Marker))
	f.pin(Admin)
	f.pin(User)
	f.command(claVendor, insInitEnd, 0x4E, 0x19)
	// The rules hold now. Both PINs are tried, so that nobody finds out later.
	f.verify(User)
	f.verify(Admin)
	f.step(func(ctx context.Context) error { return t.writeNew(ctx, app.Append(pkcs15.FileODF), odf) })
	f.command(claVendor, insResetAccess, 0, 0)
	return f, nil
}

func (f *formatting) step(do func(context.Context) error) { f.steps = append(f.steps, do) }

func (f *formatting) command(cla, ins, p1, p2 byte) {
	f.step(func(ctx context.Context) error {
		f.t.moved()
		_, err := f.t.ch.do(ctx, iso7816.Command{CLA: cla, INS: ins, P1: p1, P2: p2})
		return err
	})
}

// create makes a file and notes that it is current, where that is known.
func (f *formatting) create(ctx context.Context, df pkcs15.Path, p fcp) error {
	if err := f.t.create(ctx, df, p); err != nil {
		return err
	}
	if p.kind == KindEF && f.currentEF || p.kind == KindDF && f.currentDF {
		f.t.current = selection{path: df.Append(p.id), fcp: p}
	}
	return nil
}

// file makes a file and fills it.
func (f *formatting) file(df pkcs15.Path, p fcp, content []byte) {
	f.step(func(ctx context.Context) error {
		if err := f.create(ctx, df, p); err != nil || content == nil {
			return err
		}
		if len(content) < p.size { // 00 ends the entries
			content = append(bytes.Clone(content), 0)
		}
		return f.t.writeNew(ctx, df.Append(p.id), content)
	})
}

// firstEF makes EF(DIR), which is the only EF on the card now: a write without
// SELECT hits it or nothing, and tells whether what was made is current.
func (f *formatting) firstEF(content []byte) {
	f.step(func(ctx context.Context) error {
		p := fcp{kind: KindEF, id: pkcs15.FileDIR, size: smallFile, rules: adminRules}
		if err := f.create(ctx, mf, p); err != nil {
			return err
		}
		content = append(bytes.Clone(content), make([]byte, smallFile-len(content))...)
		err := f.t.update(ctx, 0, content)
		if err == nil {
			f.currentEF = true
			f.t.current = selection{path: mf.Append(pkcs15.FileDIR), fcp: p}
			return nil
		}
		if !refusal(err) {
			return err
		}
		return f.t.writeNew(ctx, mf.Append(pkcs15.FileDIR), content)
	})
}

// firstDFs makes 3F00/1000 and 3F00/1000/1000, the latter without SELECT: if the
// former is not current, the card has that name in the MF already and refuses.
func (f *formatting) firstDFs() {
	outer, inner := systemDFs[0], systemDFs[1]
	f.step(func(ctx context.Context) error {
		p := fcp{kind: KindDF, id: outer.ID(), rules: systemRules}
		if err := f.create(ctx, mf, p); err != nil {
			return err
		}
		f.currentDF = true
		f.t.current = selection{path: outer, fcp: p}
		err := f.create(ctx, outer, p)
		if isExists(err) {
			f.currentDF = false
			f.t.moved()
			err = f.create(ctx, outer, p)
		}
		if err != nil {
			return fmt.Errorf("%v: %w", inner, err)
		}
		return nil
	})
}

// pin makes the RSF of a PIN, which the card files by its type, and sets it.
func (f *formatting) pin(r Role) {
	pin, lowest, tries := f.o.AdminPIN, f.o.AdminMinLength, f.o.AdminTries
	access := rules{0x43, never, admin, 0, 0, 0, 0, never}
	if r == User {
		pin, lowest, tries = f.o.UserPIN, f.o.UserMinLength, f.o.UserTries
		access = rules{0x43, admin, byte(f.o.Policy), 0, 0, 0, 0, never}
	}
	p := fcp{
		kind: KindRSF, id: uint16(r), size: len(pin), rules: access,
		properties: []byte{rsfGlobalPIN, byte(lowest), 0x01, byte(tries * 0x11), 0, 0},
	}
	f.step(func(ctx context.Context) error {
		f.t.moved()
		_, err := f.t.ch.do(ctx, iso7816.Command{CLA: claISO, INS: insCreateFile, Data: p.appendTo(nil)})
		if err != nil {
			return fmt.Errorf("PIN of the %v: %w", r, err)
		}
		return f.t.writeReference(ctx, byte(r), pin)
	})
}

// verify tries a new PIN. A log-in from before the formatting is dropped, if the
// card has kept it.
func (f *formatting) verify(r Role) {
	pin := f.o.AdminPIN
	if r == User {
		pin = f.o.UserPIN
	}
	cmd := iso7816.Command{CLA: claISO, INS: insVerify, P2: byte(r), Data: pin}
	f.step(func(ctx context.Context) error {
		_, err := f.t.ch.do(ctx, cmd)
		var se *StatusError
		if errors.As(err, &se) && se.SW == swLoggedIn {
			if err := f.t.resetAccessRights(ctx); err != nil {
				return err
			}
			_, err = f.t.ch.do(ctx, cmd)
		}
		return err
	})
}

// run carries the steps out, one after the other.
func (f *formatting) run(ctx context.Context, progress Progress) error {
	defer f.t.moved()
	step := steps(progress, len(f.steps))
	for _, do := range f.steps {
		if err := do(ctx); err != nil {
			return err
		}
		step()
	}
	return nil
}
