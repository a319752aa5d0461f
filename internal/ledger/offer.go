package ledger

import (
	"context"
	"encoding/json"
	"time"
)

// OfferChange makes, changes or closes the offer of the transition's order to one recipient. There is
// one offer of an order to a recipient, under one id for ever; its version is 1 and rises with each
// change. An open change gives the whole offer as it is from now on. A closing one needs ID, Recipient
// and Reason; one of an offer that is closed already, or was never made, does nothing.
type OfferChange struct {
	ID        string // a bare UUID
	Recipient string // user id
	Wave      int
	Open      bool
	Expires   time.Time       // of an open one: nothing is offered after it
	Data      json.RawMessage // of an open one: what the recipient is shown
	Reason    string          // why it was closed, or what changed
}

// OfferClosing closes every open offer of the transition's order, but for those to Except. It comes
// before the transition's OfferChanges.
type OfferClosing struct {
	Reason string
	Except []string // recipients
}

// OfferVersion says what a committed transition made of one offer.
type OfferVersion struct {
	ID        string
	Recipient string
	Version   int64
	Open      bool
}

// Offer is an offer as stored. Zero times: not yet.
type Offer struct {
	ID        string
	OrderID   string
	Recipient string
	Wave      int // that made or last changed it
	Version   int64
	Open      bool
	Expires   time.Time
	Data      json.RawMessage
	Reason    string
	Offered   time.Time // when it was made
	Delivered time.Time // when a device of the recipient had it first
	Seen      time.Time // when the recipient saw it first
	Answered  time.Time
	Answer    string
	Closed    time.Time
}

// OfferReceipt tells what became of an offer at its recipient. Zero fields say nothing; what was told
// before stays. An answer counts with its time.
type OfferReceipt struct {
	ID        string
	Recipient string // the offer's, or the receipt is ignored
	Delivered time.Time
	Seen      time.Time
	Answered  time.Time
	Answer    string
}

// OfferTally sums up the settled offers of one recipient.
type OfferTally struct {
	Answers map[string]int // offers by answer; "" are those without one
	// Waited is the time to the answer, from when a device had the offer or, not known, from when it was
	// made; summed over those answered.
	Waited time.Duration
}

// Offers reads offers and keeps their receipts. Offers themselves are written by transitions of their
// order, and by nothing else.
type Offers interface {
	// Open gives what is offered to a recipient now: open and not run out, the newest first.
	Open(ctx context.Context, recipient string, now time.Time, limit int) ([]Offer, error)
	// OfOrder gives an order's offers, closed ones too, by wave, time and recipient.
	OfOrder(ctx context.Context, orderID string, limit int) ([]Offer, error)
	// CountOpen counts what is offered to each of some recipients now; one without offers is left out.
	CountOpen(ctx context.Context, recipients []string, now time.Time) (map[string]int, error)
	// Tally sums up the settled offers made to each of some recipients since then, in one query: those
	// answered, and those closed without an answer that a device of the recipient had. One without such
	// offers is left out. Recipients: at most some hundred.
	Tally(ctx context.Context, recipients []string, since time.Time) (map[string]OfferTally, error)
	// Receipt keeps receipts, each part the first time it is told. It is not fenced, raises no version
	// and ignores offers that are not there.
	Receipt(ctx context.Context, rs []OfferReceipt) error
}
