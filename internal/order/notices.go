package order

// notice is one event as people get it: the fields of the apps' contract §2.4, times in ms. No
// recipients: history only.
type notice struct {
	kind string
	to   []string
	data any
}

// The kinds of an order's events that people get.
const (
	OrderStatus    = "order_status"
	OrderFill      = "order_fill"
	OfferClosed    = "offer_closed"
	HoldExpiredOf  = "hold_expired"
	OrderCompleted = "order_completed"
)

func notices(before, after State, e Event) []notice {
	record := notice{kind: "order_" + string(e.What), data: e}
	switch e.What {
	case WasCreated:
		record.data = e // the birth itself
	}
	return []notice{record}
}
