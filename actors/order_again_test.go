package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/geo"
	"weelo/internal/order"
	"weelo/internal/trip"
)

// Who comes online while every truck is held, after the last wave, is shown the order as soon as one is
// given back.
func TestWhoCameWhileAllWasHeldIsFound(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		m.stands("T2", 150)
		id := m.create(1)
		<-time.After(82 * time.Second)
		hold := m.hold(id, first, 1)
		synctest.Wait()
		m.stands("T2", 2)
		m.searching.CameOnline(t.Context(), m.sys, "T2", geo.Point{Lat: bengaluru.Latitude, Lng: bengaluru.Longitude}, []string{open17})
		<-time.After(2 * time.Second)
		if m.stored(id).OfferedTo("T2") != nil {
			t.Fatal("he was shown an order that had nothing for him")
		}
		_, err := m.orders.ReleaseHold(t.Context(), protocol.HoldChange{HoldID: hold, By: first})
		m.must(err)
		<-time.After(15 * time.Second) // the last wave was 19 s ago: at once, but for the sweeper
		if o := m.stored(id).OfferedTo("T2"); o == nil || o.Wave != 7 || o.Closed {
			t.Fatalf("he was offered %+v", o)
		}
		m.confirm(m.hold(id, second, 1), second, "V3", "D3")
	})
}

// A truck that breaks down on the way, long after the search, is searched for anew and replaced.
func TestABrokenDownTruckIsReplaced(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(1)
		trips := m.confirm(m.hold(id, first, 1), first, "V1", "D1")
		m.must(m.drive(trips[0], trip.Accept{By: ravi}))
		for _, step := range []trip.Status{trip.AtPickup, trip.InTransit} {
			m.must(m.drive(trips[0], trip.ChangeStatus{By: ravi, To: step}))
		}
		<-time.After(30 * time.Minute)
		m.online("D3")
		m.stands("T2", 3)
		m.must(m.drive(trips[0], trip.BreakDown{By: ravi, Note: "engine"}))
		<-time.After(5 * time.Second) // the relay, and the first wave's timer
		s := m.wants(id, order.InProgress, order.SlotSearching)
		if s.ReasonCode != order.ReasonTruckLost || s.Searching || s.Wave != 1 || s.OfferedTo("T2") == nil {
			t.Fatalf("reason %q, searching %v, wave %d, offered %+v", s.ReasonCode, s.Searching, s.Wave, s.Offered)
		}
		again := m.confirm(m.hold(id, second, 1), second, "V3", "D3")
		m.must(m.drive(again[0], trip.Accept{By: imran}))
		<-time.After(2 * time.Second)
		if s := m.wants(id, order.InProgress, order.SlotAccepted); s.ReasonCode != "" {
			t.Errorf("another has come, and the reason is %q", s.ReasonCode)
		}
	})
}

// When no other is found, the order waits for its customer until a timer ends it, through a restart too.
func TestALostTruckWaitsForTheCustomer(t *testing.T) {
	in(t, func(t *testing.T) {
		m := newMarket(t)
		id := m.create(1)
		trips := m.confirm(m.hold(id, first, 1), first, "V1", "D1")
		m.must(m.drive(trips[0], trip.Accept{By: ravi}))
		m.must(m.drive(trips[0], trip.ChangeStatus{By: ravi, To: trip.InTransit}))
		<-time.After(30 * time.Minute)
		m.must(m.drive(trips[0], trip.BreakDown{By: ravi, Note: "engine"}))
		<-time.After(3 * time.Minute)
		m.wants(id, order.InProgress, order.SlotExpired)
		m.restart()
		<-time.After(27 * time.Minute)
		m.wants(id, order.InProgress, order.SlotExpired)
		<-time.After(5 * time.Minute)
		if s := m.wants(id, order.Expired, order.SlotExpired); s.ReasonCode != order.ReasonTruckLost {
			t.Errorf("reason %q", s.ReasonCode)
		}
	})
}
