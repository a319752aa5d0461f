package simulate

import (
	"fmt"
	"sync"
	"time"
)

// book is what everybody in the simulation saw from the outside, in one place, so that it can be
// judged. What contradicts a promise at once is noted at once; the rest is looked at in the end.
type book struct {
	meter *meter

	mu     sync.Mutex
	orders map[string]*booking
	shown  map[string]map[string]*sight // by transporter, then order
	offers map[string]string            // offer → order
	trips  map[string]*journey
	onTrip map[string]string // driver → the trip that he was last given and that has not ended
}

// booking is an order as its customer and the racers know it.
type booking struct {
	id, customer string
	token        string // of its customer
	trucks       int
	ends         []string // terminal statuses he was told
	endedAt      time.Time
	status       string // the last he was told
	cancelled    bool   // his cancellation was answered with success
	gun          time.Time
	over         chan struct{} // closed at the first end
	accepted     chan struct{} // closed at the first driver's acceptance
	onTheWay     chan struct{} // closed when the first truck has left with its goods
	opens        time.Time     // of a scheduled order: nobody may be shown it before
	dispute      string        // the one that he raised
}

// sight is an offer on a transporter's screen.
type sight struct {
	version int64
	open    bool
	told    bool // of its end
	tries   int
}

// journey is a trip as its driver and its transporter know it.
type journey struct {
	id, order, slot              string
	driver, vehicle, transporter string
	accepted                     bool // the driver's accept was answered with success
	half                         bool // and its double was refused
	ended                        string
	reported                     string // the end that its driver reported and that the server took
	over                         chan struct{}
}

func newBook(m *meter) *book {
	return &book{meter: m, orders: map[string]*booking{}, shown: map[string]map[string]*sight{}, offers: map[string]string{}, trips: map[string]*journey{}, onTrip: map[string]string{}}
}

// order gives the booking, made when it is seen first.
func (b *book) order(id string) *booking {
	o := b.orders[id]
	if o == nil {
		o = &booking{id: id, over: make(chan struct{}), accepted: make(chan struct{}), onTheWay: make(chan struct{})}
		b.orders[id] = o
	}
	return o
}

func (b *book) trip(id string) *journey {
	t := b.trips[id]
	if t == nil {
		t = &journey{id: id, over: make(chan struct{})}
		b.trips[id] = t
	}
	return t
}

// booked notes an order that the server took. The same order twice is one order.
func (b *book) booked(id, customer, token string, trucks int) *booking {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.order(id)
	o.customer, o.token, o.trucks = customer, token, trucks
	return o
}

var orderEnds = map[string]bool{"completed": true, "cancelled": true, "expired": true}

// orderStatus notes what a customer was told of his order.
func (b *book) orderStatus(id, status string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.order(id)
	o.status = status
	if !orderEnds[status] {
		if len(o.ends) > 0 {
			b.meter.fail("told after the end", fmt.Errorf("order %s is %s after %s", id, status, o.ends[0]))
		}
		return
	}
	if o.ends = append(o.ends, status); len(o.ends) == 1 {
		o.endedAt = time.Now()
		close(o.over)
	}
}

// driverAccepted lets those go who wait to cancel in that moment.
func (b *book) driverAccepted(order string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.order(order)
	select {
	case <-o.accepted:
	default:
		close(o.accepted)
	}
}

// startingGun is when everybody who sees an order first fires: within 5 ms of one another.
func (b *book) startingGun(id string, wait time.Duration) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.order(id)
	if o.gun.IsZero() {
		o.gun = time.Now().Add(wait)
	}
	return o.gun
}

// triesPerOffer is how often one transporter answers an offer that changes on his screen.
const triesPerOffer = 4

// offered notes an open offer as a transporter's screen shows it. fresh: he has something to answer.
func (b *book) offered(transporter, order, offer string, version int64) (fresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sight(transporter, order)
	b.offers[offer] = order
	if version < s.version || version == s.version && !s.open {
		return false // a repeated older frame changes nothing on a screen
	}
	if o := b.orders[order]; o != nil {
		if len(o.ends) > 0 && time.Since(o.endedAt) > lateOffer {
			b.meter.fail("offered after its end", fmt.Errorf("order %s to %s", order, transporter))
		}
		if early := time.Until(o.opens); !o.opens.IsZero() && early > 0 {
			b.meter.fail("offered before its time", fmt.Errorf("order %s to %s, %s early", order, transporter, early))
		}
	}
	fresh = version > s.version && s.tries < triesPerOffer
	s.open, s.told, s.version = true, false, version
	if fresh {
		s.tries++
	}
	return fresh
}

// lateOffer is how long after the customer was told of the end a frame that left before may still be on
// its way to somebody else.
const lateOffer = 3 * time.Second

// offerFrameClosed notes that an offer was taken off a transporter's screen.
func (b *book) offerFrameClosed(transporter, offer string, version int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	order, known := b.offers[offer]
	if !known {
		return // of an order that he was never shown
	}
	if s := b.sight(transporter, order); version >= s.version {
		s.open, s.told, s.version = false, true, version
	}
}

// offerClosed notes that a transporter was told the end of an offer.
func (b *book) offerClosed(transporter, order string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sight(transporter, order)
	s.open, s.told = false, true
}

func (b *book) sight(transporter, order string) *sight {
	of := b.shown[transporter]
	if of == nil {
		of = map[string]*sight{}
		b.shown[transporter] = of
	}
	s := of[order]
	if s == nil {
		s = &sight{}
		of[order] = s
	}
	return s
}

// confirmed notes a trip that a transporter's confirmation was answered with.
func (b *book) confirmed(trip, order, transporter, driver, vehicle string) *journey {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.trip(trip)
	if t.transporter != "" && t.vehicle != "" && (t.transporter != transporter || t.vehicle != vehicle || t.driver != "" && t.driver != driver) {
		b.meter.fail("two confirmations of one trip", fmt.Errorf("trip %s", trip))
	}
	t.order, t.transporter, t.driver, t.vehicle = order, transporter, driver, vehicle
	return t
}

// assigned notes that a driver was given a trip: he must not be on another one. He is told of ends and
// of new trips in the order in which they happened.
func (b *book) assigned(driver, trip, order, slot string) (t *journey, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t = b.trip(trip)
	known = t.slot != ""
	t.driver, t.order, t.slot = driver, order, slot
	if known || t.ended != "" {
		return t, true
	}
	if live := b.onTrip[driver]; live != "" && live != trip {
		b.meter.fail("two live trips of one driver", fmt.Errorf("driver %s got %s while on %s", driver, trip, live))
	}
	b.onTrip[driver] = trip
	return t, false
}

var tripEnds = map[string]bool{"completed": true, "partial_delivery": true, "driver_declined": true, "cancelled": true, "expired": true}

// tripEnded notes the end of a trip as its driver or transporter was told.
func (b *book) tripEnded(trip, status string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.trip(trip)
	if t.ended == "" {
		t.ended = status
		close(t.over)
	}
	if b.onTrip[t.driver] == trip {
		delete(b.onTrip, t.driver)
	}
}

// tripAccepted notes that the driver's acceptance was answered with success; half: and its double was
// not.
func (b *book) tripAccepted(t *journey, half bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.accepted, t.half = true, half
}

func (b *book) endOf(t *journey) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return t.ended
}

// counts are the orders, and the trips with those that live and those that were driven to their end.
func (b *book) counts() (orders, over, trips, live, driven int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, o := range b.orders {
		if len(o.ends) > 0 {
			over++
		}
	}
	for _, t := range b.trips {
		switch t.ended {
		case "":
			live++
		case "completed", "partial_delivery":
			driven++
		}
	}
	return len(b.orders), over, len(b.trips), live, driven
}
