package main

import (
	"context"
	"fmt"
	"time"

	"weelo/internal/phone"
)

// operators are the phones of OPS_PHONES: who may log in with role ops, and keep what he logged in with.
type operators []phone.Number

func operatorsOf(typed []string) (operators, error) {
	ops := make(operators, 0, len(typed))
	for _, t := range typed {
		n, err := phone.Parse(t)
		if err != nil {
			return nil, fmt.Errorf("OPS_PHONES: %w", err)
		}
		ops = append(ops, n)
	}
	return ops, nil
}

// has tells whether a phone, E.164, is one of them.
func (o operators) has(e164 string) bool {
	for _, n := range o {
		if n.E164() == e164 {
			return true
		}
	}
	return false
}

// endFormerOperators ends the sessions of those whom the list had before. While the database is away at the start,
// they end when they are refreshed.
func (h *house) endFormerOperators(ctx context.Context) {
	ended, err := h.keeper.EndFormerOperators(ctx, h.st.registry, time.Now())
	if err != nil {
		h.p.log.WarnContext(ctx, "sessions of former operators are open until they are refreshed", "error", err)
	}
	if ended > 0 {
		h.p.log.InfoContext(ctx, "sessions of former operators ended", "sessions", ended)
	}
}
