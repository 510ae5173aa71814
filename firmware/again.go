package firmware

import (
	"context"
	"errors"

	"kaztoken/internal/iso7816"
	"kaztoken/internal/secret"
)

// again is the raw operation with the key that was used last on a card that
// other programs use: without a look at what they did meanwhile, and without
// naming the key. If one of them has changed anything that matters the card
// refuses or the result does not fit the public key; it is thrown away then, and
// ok is false: the operation has to begin from the start. What is one command is
// sent without a transaction: nothing can come into its midst.
func (k *PrivateKey) again(op Op, use mse, out, in byte, block []byte) (result []byte, ok bool, err error) {
	t := k.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.share == nil || t.share.depth > 0 || t.used != use || k.knownPublic() == nil || t.need(op, User) != nil {
		return nil, false, nil
	}
	t.used = mse{}
	one := len(block) <= maxUpdate
	if !one {
		err = t.share.card.Begin(k.ctx)
		if errors.Is(err, ErrReset) {
			t.role, t.loose = 0, false
			return nil, false, t.share.card.End(context.WithoutCancel(k.ctx))
		}
		if err != nil {
			return nil, false, err
		}
	}
	t.moved()
	result, err = t.perform(k.ctx, out, in, block)
	if one && err != nil && k.ctx.Err() == nil {
		return nil, false, nil // a transaction finds out why, a reset perhaps
	}
	if !one {
		if endErr := t.share.card.End(context.WithoutCancel(k.ctx)); endErr != nil {
			secret.Wipe(result)
			return nil, false, errors.Join(err, endErr)
		}
	}
	switch {
	case err != nil && refusal(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case !k.fits(result, block):
		secret.Wipe(result)
		return nil, false, nil
	}
	t.used = use
	return result, true, nil
}

// perform is PERFORM SECURITY OPERATION with whatever key is chosen.
func (t *Token) perform(ctx context.Context, out, in byte, block []byte) ([]byte, error) {
	little := reversed(block)
	defer secret.Wipe(little)
	var parts [][]byte
	for at := 0; at < len(little); at += maxUpdate {
		parts = append(parts, little[at:min(at+maxUpdate, len(little))])
	}
	if out == psoPlain {
		defer t.ch.wipe()
	}
	data, err := t.ch.chain(ctx, iso7816.Command{INS: insPSO, P1: out, P2: in, Ne: iso7816.MaxShortNe}, parts)
	if err != nil {
		return nil, err
	}
	return reversed(data), nil
}
