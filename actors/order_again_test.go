package actors_test

import (
	"testing"
	"testing/synctest"
	"time"

	"weelo/actors/protocol"
	"weelo/internal/geo"
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
