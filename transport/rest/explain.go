package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"weelo/internal/fleet"
	"weelo/internal/ledger"
	"weelo/internal/order"
)

// Narrator gives what an explanation is made from.
type Narrator struct {
	History ledger.History
	Offers  interface {
		OfOrder(ctx context.Context, orderID string, limit int) ([]ledger.Offer, error)
	}
	People fleet.UserReader
}

// What one explanation may read.
const (
	historyPage    = 500
	maxHistory     = 20_000
	maxOfferRows   = 2_000
	maxNamesAtOnce = 250
)

func (d Orders) registerExplain(a *API) {
	Handle(a, Route{Method: http.MethodGet, Path: "/api/v1/orders/{orderId}/explain", Name: "explain-order", Tag: "orders",
		Roles:   []fleet.Role{fleet.Customer, fleet.Transporter, fleet.Ops},
		Summary: "How an order was dispatched, in sentences; of one transporter, why he got it or not"}, d.explain)
}

type explainInput struct {
	ID          string `path:"orderId" maxLength:"64"`
	Transporter string `query:"transporter" maxLength:"64" doc:"Tell about this transporter only"`
}

// ExplainData is an explanation. Of one transporter it has transporterId, offered and trucksWon; else
// status, reasonCode and waves. Candidates are shown to ops.
type ExplainData struct {
	OrderID     string              `json:"orderId"`
	Summary     []string            `json:"summary" nullable:"false"`
	Status      string              `json:"status,omitempty"`
	ReasonCode  string              `json:"reasonCode,omitempty"`
	Waves       []ExplainedWaveData `json:"waves,omitempty"`
	Transporter string              `json:"transporterId,omitempty"`
	Offered     *bool               `json:"offered,omitempty"`
	TrucksWon   *int                `json:"trucksWon,omitempty"`
}

// ExplainedWaveData is one look around: a wave, or with wave 0 somebody who came online.
type ExplainedWaveData struct {
	Wave       int                      `json:"wave"`
	RadiusKm   float64                  `json:"radiusKm"`
	At         Timestamp                `json:"at"`
	Searched   int                      `json:"trucksSearched"`
	LookedAt   int                      `json:"lookedAt"`
	Offered    int                      `json:"offered"`
	Delivered  int                      `json:"delivered"`
	Seen       int                      `json:"seen"`
	Answered   int                      `json:"answered"`
	Skipped    map[string]int           `json:"skipped" doc:"Transporters that were not offered it, by reason"`
	Candidates []ExplainedCandidateData `json:"candidates,omitempty"`
}

// ExplainedCandidateData is one transporter of a wave and what came of it.
type ExplainedCandidateData struct {
	TransporterID string    `json:"transporterId"`
	Name          string    `json:"name"`
	DistanceM     int       `json:"distanceMeters"`
	ETASeconds    int       `json:"etaSeconds"`
	Score         float64   `json:"score"`
	Free          int       `json:"freeVehicles"`
	Total         int       `json:"totalVehicles"`
	Skipped       string    `json:"skipped,omitempty"`
	Offered       bool      `json:"offered"`
	OfferedAt     Timestamp `json:"offeredAt"`
	DeliveredAt   Timestamp `json:"deliveredAt"`
	SeenAt        Timestamp `json:"seenAt"`
	AnsweredAt    Timestamp `json:"answeredAt"`
	Answer        string    `json:"answer,omitempty"`
	Outcome       string    `json:"outcome"`
}

func (d Orders) explain(ctx context.Context, in *explainInput) (ExplainData, error) {
	if err := d.limited(ctx, allowed.Explain); err != nil {
		return ExplainData{}, err
	}
	s, _, err := d.Reads.Order(ctx, in.ID)
	if errors.Is(err, ledger.ErrMissing) {
		return ExplainData{}, order.ErrNotFound
	}
	if err != nil {
		return ExplainData{}, err
	}
	by := asker(Caller(ctx))
	if err := s.MayExplain(fleet.UserID(in.Transporter), by); err != nil {
		return ExplainData{}, err
	}
	t, err := d.Narrator.tell(ctx, s)
	if err != nil {
		return ExplainData{}, err
	}
	if in.Transporter != "" {
		one, err := order.ExplainFor(t, fleet.UserID(in.Transporter), by)
		return ExplainData{OrderID: one.OrderID, Summary: one.Summary, Transporter: string(one.Transporter), Offered: &one.Offered, TrucksWon: &one.Won}, err
	}
	all, err := order.Explain(t, by)
	if err != nil {
		return ExplainData{}, err
	}
	return explained(all), nil
}

func explained(e order.Explanation) ExplainData {
	data := ExplainData{OrderID: e.OrderID, Summary: e.Summary, Status: string(e.Status), ReasonCode: e.ReasonCode, Waves: make([]ExplainedWaveData, len(e.Waves))}
	for i, w := range e.Waves {
		data.Waves[i] = ExplainedWaveData{
			Wave: w.Wave, RadiusKm: w.RadiusKM, At: AtMS(w.AtMS), Searched: w.Open, LookedAt: w.LookedAt, Offered: w.Offered,
			Delivered: w.Delivered, Seen: w.Seen, Answered: w.Answered, Skipped: w.Skipped,
		}
		for _, c := range w.Candidates {
			data.Waves[i].Candidates = append(data.Waves[i].Candidates, ExplainedCandidateData{
				TransporterID: string(c.Transporter), Name: c.Name, DistanceM: c.DistanceM, ETASeconds: c.ETASeconds, Score: c.Score,
				Free: c.Free, Total: c.Total, Skipped: c.Skipped, Offered: c.Offered, OfferedAt: AtMS(c.OfferedMS),
				DeliveredAt: AtMS(c.DeliveredMS), SeenAt: AtMS(c.SeenMS), AnsweredAt: AtMS(c.AnsweredMS), Answer: c.Answer, Outcome: c.Outcome,
			})
		}
	}
	return data
}

// tell reads the whole story of an order.
func (n Narrator) tell(ctx context.Context, s order.State) (order.Telling, error) {
	t := order.Telling{State: s, Names: map[fleet.UserID]string{}}
	var err error
	if t.History, err = n.history(ctx, s.ID); err != nil {
		return t, err
	}
	if t.Offers, err = n.Offers.OfOrder(ctx, s.ID, maxOfferRows); err != nil {
		return t, err
	}
	ids := transportersIn(t.History)
	for len(ids) > 0 {
		some := ids[:min(len(ids), maxNamesAtOnce)]
		users, err := n.People.Users(ctx, some)
		if err != nil {
			return t, err
		}
		for _, u := range users {
			t.Names[u.ID] = u.Name
		}
		ids = ids[len(some):]
	}
	return t, nil
}

// history reads in pages. A page may end within a version; what it has of that one is read again.
func (n Narrator) history(ctx context.Context, id string) ([]ledger.Recorded, error) {
	var all []ledger.Recorded
	for after := int64(0); len(all) < maxHistory; after = all[len(all)-1].Version {
		page, err := n.History.Events(ctx, ledger.Ref{Kind: ledger.Order, ID: id}, after, historyPage)
		if err != nil {
			return nil, err
		}
		if len(page) < historyPage {
			return append(all, page...), nil
		}
		last := page[len(page)-1].Version
		whole := slices.IndexFunc(page, func(r ledger.Recorded) bool { return r.Version == last })
		if whole == 0 {
			return nil, fmt.Errorf("version %d of order %s has more than %d events", last, id, historyPage)
		}
		all = append(all, page[:whole]...)
	}
	return all, nil
}

// transportersIn are those whom the waves of a history looked at, each once.
func transportersIn(history []ledger.Recorded) []fleet.UserID {
	var ids []fleet.UserID
	known := map[fleet.UserID]bool{}
	for _, r := range history {
		var w order.WaveData
		if json.Unmarshal(r.Event.Data, &w) != nil {
			continue // not a wave
		}
		for _, c := range w.Table {
			if !known[c.Transporter] {
				known[c.Transporter] = true
				ids = append(ids, c.Transporter)
			}
		}
	}
	return ids
}
