package rest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"weelo/actors/protocol"
	"weelo/internal/fault"
	"weelo/internal/fleet"
	"weelo/internal/order"
	"weelo/internal/token"
	"weelo/transport/rest"
	"weelo/transport/rest/resttest"
)

// awayOrders is a façade that answers everything with one error.
type awayOrders struct{ err error }

func (o awayOrders) Create(context.Context, protocol.NewOrder) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) Get(context.Context, string, order.By) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) Hold(context.Context, protocol.HoldRequest) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) ExtendHold(context.Context, protocol.HoldChange) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) ReleaseHold(context.Context, protocol.HoldChange) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) Confirm(context.Context, protocol.ConfirmRequest) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) Decline(context.Context, protocol.OrderRequest) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) Cancel(context.Context, protocol.OrderRequest) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) CancelPreview(context.Context, string, order.By) (order.Quote, error) {
	return order.Quote{}, o.err
}
func (o awayOrders) ResolveDispute(context.Context, protocol.DisputeResolution) (*protocol.OrderReply, error) {
	return nil, o.err
}

func (o awayOrders) Dispute(context.Context, protocol.DisputeRequest) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) SearchAgain(context.Context, protocol.OrderRequest) (*protocol.OrderReply, error) {
	return nil, o.err
}
func (o awayOrders) ContinuePartial(context.Context, protocol.OrderRequest) (*protocol.OrderReply, error) {
	return nil, o.err
}

// TestOrdersInAnOutage: what can be tried again says so, and what is a bug says nothing.
func TestOrdersInAnOutage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"busy":     {fault.New(fault.Unavailable, "BUSY", "Please try again.").After(time.Second), 503, "BUSY"},
		"too late": {context.DeadlineExceeded, 503, "SERVICE_UNAVAILABLE"},
		"a bug":    {errors.New("secret detail"), 500, "INTERNAL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mint := testMint(t)
			api := rest.New(rest.Config{Version: "test", Tokens: mint, Revoked: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler), Now: time.Now})
			rest.RegisterOrders(api, rest.Orders{Orders: awayOrders{c.err}, Log: slog.New(slog.DiscardHandler), Now: time.Now})
			base := resttest.New(t, api)
			as := func(role fleet.Role) *resttest.Client {
				access, _, err := mint.Access(token.Identity{UserID: "u1", Role: role, SessionID: "s1"}, time.Now(), rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				return keyed(base.As(access))
			}
			id, customer, transporter := uuid.NewString(), as(fleet.Customer), as(fleet.Transporter)
			change := `{"holdId":"HOLD_ABCDEFGH"}`
			for _, a := range []resttest.Answer{
				customer.Call("POST", "/api/v1/bookings/orders", orderJSON(1)),
				customer.Call("POST", "/api/v1/orders", orderJSON(1)),
				customer.Call("GET", "/api/v1/orders/"+id, nil),
				customer.Call("GET", "/api/v1/orders/"+id+"/status", nil),
				customer.Call("POST", "/api/v1/orders/"+id+"/cancel", `{}`),
				customer.Call("GET", "/api/v1/orders/"+id+"/cancel-preview", nil),
				customer.Call("POST", "/api/v1/orders/"+id+"/cancel/dispute", `{}`),
				customer.Call("POST", "/api/v1/orders/"+id+"/search-again", nil),
				customer.Call("POST", "/api/v1/orders/"+id+"/continue-partial", nil),
				customer.Call("PATCH", "/api/v1/bookings/"+id+"/cancel", nil),
				customer.Call("GET", "/api/v1/bookings/"+id+"/trucks", nil),
				transporter.Call("GET", "/api/v1/broadcasts/"+id, nil),
				transporter.Call("POST", "/api/v1/broadcasts/"+id+"/decline", `{}`),
				transporter.Call("POST", "/api/v1/truck-hold/hold", holdJSON(id, 1)),
				transporter.Call("POST", "/api/v1/truck-hold/flex-hold/extend", change),
				transporter.Call("POST", "/api/v1/truck-hold/release", change),
				transporter.Call("POST", "/api/v1/truck-hold/confirm-with-assignments", confirmJSON("HOLD_ABCDEFGH", pick{"v", "d"})),
				transporter.Call("GET", "/api/v1/truck-hold/my-active?orderId="+id+"&vehicleType=open&vehicleSubtype=17ft", nil),
			} {
				a.Refused(c.status, c.code)
				if again := a.Header.Get("Retry-After"); (again != "") != (c.status == 503) {
					t.Errorf("Retry-After %q with %d", again, a.Status)
				}
				if strings.Contains(string(a.Raw), "secret") {
					t.Errorf("%s", a.Raw)
				}
			}
		})
	}
}
