package panel

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
)

// generateBody is the dialog that makes a key pair.
type generateBody struct {
	Problem *Problem
	Label   string
	Bits    []choice
}

func (c *call) generateForm() {
	if !c.needToken() {
		return
	}
	c.showGenerate(http.StatusOK, "", "2048", nil)
}

func (c *call) showGenerate(status int, label, bits string, failure error) {
	b := generateBody{Label: label}
	lowest, highest := 1024, 4096
	if i := c.station.last().info; i != nil && i.RSABits.Known() {
		lowest, highest = i.RSABits.Value.Min, i.RSABits.Value.Max
	}
	for _, n := range []int{1024, 2048, 3072, 4096} {
		if n >= lowest && n <= highest {
			text := strconv.Itoa(n)
			b.Bits = append(b.Bits, choice{Value: text, Text: "RSA " + text, Chosen: text == bits})
		}
	}
	if failure == nil && c.s.role(c.station.id) != firmware.User {
		failure = &firmware.RoleError{Op: firmware.OpGenerate, Need: firmware.User}
	}
	if failure != nil {
		b.Problem = c.problem(failure)
	}
	c.renderPage(status, "generate", page{Tab: "certs", Title: "generate.title", Back: "/certificates", Body: b})
}

func (c *call) generate() {
	label, text := c.form.line("label"), c.form.line("bits")
	again := func(err error) { c.showGenerate(http.StatusUnprocessableEntity, label, text, err) }
	bits, err := strconv.Atoi(text)
	if err != nil || bits < 1 {
		again(errNumber)
		return
	}
	c.with("busy.generate", "/certificates", "/certificates", firmware.User, func(ctx context.Context, t *firmware.Token, progress firmware.Progress) (notice, error) {
		k, err := t.GenerateKey(ctx, firmware.GenerateOptions{Bits: bits, Label: label}, progress)
		if err != nil {
			return notice{}, err
		}
		return notice{key: "done.generate", values: []any{"label", describe.LabelOr(k.Label, k.ID), "id", fmt.Sprintf("%X", k.ID)}}, nil
	}, again)
}
