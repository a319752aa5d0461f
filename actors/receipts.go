package actors

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
)

const (
	// receiptsEvery is how often receipts of offers are written, all in one round trip.
	receiptsEvery = time.Second
	receiptsLimit = 5 * time.Second
	// maxReceipts bounds those that wait for a slow store; further ones are not kept.
	maxReceipts = 20_000
)

// OfferReceipts keeps what became of offers at their transporters, for the explanation of an order: when
// one was delivered, seen and answered. Receipts are collected and written in one round trip, so nothing
// of it is in the path of a frame. Losing some costs an explanation its detail, nothing else.
type OfferReceipts struct {
	store ReceiptStore
	log   *slog.Logger

	mu      sync.Mutex
	waiting map[receiptKey]ledger.OfferReceipt
}

// ReceiptStore is a part of ledger.Offers.
type ReceiptStore interface {
	Receipt(ctx context.Context, rs []ledger.OfferReceipt) error
}

type receiptKey struct{ offer, recipient string }

// NewOfferReceipts makes one.
func NewOfferReceipts(store ReceiptStore, log *slog.Logger) *OfferReceipts {
	return &OfferReceipts{store: store, log: log.With("component", "offers"), waiting: map[receiptKey]ledger.OfferReceipt{}}
}

// Delivered says that a device of the transporter took the messages of these offers. It does not block.
func (r *OfferReceipts) Delivered(user fleet.UserID, offerIDs []string, at time.Time) {
	for _, id := range offerIDs {
		r.note(ledger.OfferReceipt{ID: id, Recipient: string(user), Delivered: at})
	}
}

// Seen says that a device of the transporter shows an offer. It does not block.
func (r *OfferReceipts) Seen(user fleet.UserID, offerID string, at time.Time) {
	r.note(ledger.OfferReceipt{ID: offerID, Recipient: string(user), Seen: at})
}

// Answered says what the transporter made of it. It does not block.
func (r *OfferReceipts) Answered(user fleet.UserID, offerID, answer string, at time.Time) {
	r.note(ledger.OfferReceipt{ID: offerID, Recipient: string(user), Answered: at, Answer: answer})
}

// note joins a receipt with what waits of the same offer: the first word of each kind counts.
func (r *OfferReceipts) note(n ledger.OfferReceipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := receiptKey{n.ID, n.Recipient}
	known, ok := r.waiting[key]
	switch {
	case !ok && len(r.waiting) >= maxReceipts:
		return
	case !ok:
		known = n
	}
	if known.Delivered.IsZero() {
		known.Delivered = n.Delivered
	}
	if known.Seen.IsZero() {
		known.Seen = n.Seen
	}
	if known.Answered.IsZero() {
		known.Answered, known.Answer = n.Answered, n.Answer
	}
	r.waiting[key] = known
}

// Run writes every second until ctx ends, and once more then.
func (r *OfferReceipts) Run(ctx context.Context) error {
	tick := time.NewTicker(receiptsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			r.write(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			r.write(ctx)
		}
	}
}

func (r *OfferReceipts) write(ctx context.Context) {
	r.mu.Lock()
	list := make([]ledger.OfferReceipt, 0, len(r.waiting))
	for _, n := range r.waiting {
		list = append(list, n)
	}
	clear(r.waiting)
	r.mu.Unlock()
	if len(list) == 0 {
		return
	}
	once, cancel := context.WithTimeout(ctx, receiptsLimit)
	defer cancel()
	if err := r.store.Receipt(once, list); err != nil {
		r.log.WarnContext(ctx, "receipts of offers not written; trying again", "offers", len(list), "error", err)
		for _, n := range list {
			r.note(n)
		}
	}
}
