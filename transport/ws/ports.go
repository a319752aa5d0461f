package ws

import (
	"context"
	"time"

	"weelo/internal/fleet"
	"weelo/internal/history"
	"weelo/internal/token"
	"weelo/internal/track"
)

// Tokens verifies access tokens. Expired is expired.
type Tokens interface {
	Verify(access string, now time.Time) (token.Identity, error)
}

// Tickets redeems single-use tickets (POST /api/v1/ws-tickets). A second use is refused.
type Tickets interface {
	Redeem(ctx context.Context, ticket string, now time.Time) (token.Identity, error)
}

// Recorder puts fixes into history. Record answers after the commit; Note never blocks.
type Recorder interface {
	Record(ctx context.Context, driver fleet.Member, tripID string, fixes []track.Fix) (history.Result, error)
	Note(driver fleet.Member, fix track.Fix)
}

var _ Recorder = (*history.Recorder)(nil)

// Windows tells which phone times belong to which trip of a driver.
type Windows interface {
	Windows(ctx context.Context, asks []history.Ask) ([]history.Window, error)
}

// Facts are what a welcome tells a driver: his live trip ("" for none) and the ts of the newest fix
// of his in history (0 for none), so that his phone knows what it need not send again.
type Facts interface {
	Welcome(ctx context.Context, driver token.Identity) (trip string, lastFixMS int64, err error)
}

// Observer counts frames that came in. Kind is the t of a frame, code the code of an error frame or
// the reason of a refused upgrade; both are of closed sets.
type Observer interface {
	In(format, kind string)
	Refused(format, code string)
}

type unobserved struct{}

func (unobserved) In(string, string)      {}
func (unobserved) Refused(string, string) {}
