package share

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	// seatsEvery is how often a task says who follows its links.
	seatsEvery = 3 * time.Second
	// seatsHold is how long a seat is taken after its task was last heard of.
	seatsHold = 5 * seatsEvery
	// seatsWait bounds one pass over all links; the next goes on.
	seatsWait = 5 * time.Second
)

// Seat is the place of one viewer. Seats sort by the moment they were taken, as text.
type Seat string

// seatOf gives the seat of a viewer who came at a moment.
func seatOf(viewer string, at time.Time) Seat {
	return Seat(fmt.Sprintf("%013d:%s", at.UnixMilli(), viewer))
}

// Seats are what the tasks know together about the viewers of links. It may be lost at any time.
type Seats interface {
	// Renew takes or keeps the seats of a link's viewers on one task for as long as hold, gives up those
	// who left, and answers with the seats, of whichever task, that are too many: the oldest beyond most.
	Renew(ctx context.Context, link string, here, left []Seat, most int, hold time.Duration) (over []Seat, err error)
}

// Viewer is one who follows a link on this task.
type Viewer struct {
	Name string // of his own; the same when he comes back with the same token
	End  func() // closes his socket
}

// Usher bounds the viewers of a link over all tasks: each says every few seconds who is there, and closes
// the sockets of those who are the oldest of too many, so that after two passes there are as many as there
// may be. While the seats cannot be asked nobody is closed, and each task bounds its own.
type Usher struct {
	seats Seats
	most  int
	here  func() map[string][]Viewer // by link, the oldest first
	now   func() time.Time
	log   *slog.Logger

	taken map[string]map[string]Seat // by link and viewer; Run's own
}

// NewUsher makes one. most is how many may follow a link; here gives the viewers on this task, which has
// seen to it that they are no more than that.
func NewUsher(seats Seats, most int, here func() map[string][]Viewer, now func() time.Time, log *slog.Logger) *Usher {
	return &Usher{seats: seats, most: most, here: here, now: now, log: log.With("component", "share"), taken: map[string]map[string]Seat{}}
}

// Run works until ctx ends.
func (u *Usher) Run(ctx context.Context) error {
	tick := time.NewTicker(seatsEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := u.pass(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			u.log.WarnContext(ctx, "the viewers of share links are counted by this task alone", "error", err)
		}
		failing = err != nil
	}
}

// pass renews the seats of every link that is followed here or was. After an error the others are left to
// the next pass: the store is away.
func (u *Usher) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, seatsWait)
	defer cancel()
	links := u.here()
	for link := range u.taken {
		if _, followed := links[link]; !followed {
			links[link] = nil
		}
	}
	for link, viewers := range links {
		if err := u.renew(ctx, link, viewers); err != nil {
			return err
		}
	}
	return nil
}

func (u *Usher) renew(ctx context.Context, link string, viewers []Viewer) error {
	before, now := u.taken[link], map[string]Seat{}
	ends := map[Seat]func(){}
	var here, left []Seat
	for i, v := range viewers {
		seat, known := before[v.Name]
		if !known { // in the order in which they came
			seat = seatOf(v.Name, u.now().Add(time.Duration(i)*time.Millisecond))
		}
		now[v.Name], ends[seat] = seat, v.End
		here = append(here, seat)
	}
	for name, seat := range before {
		if _, still := now[name]; !still {
			left = append(left, seat)
		}
	}
	over, err := u.seats.Renew(ctx, link, here, left, u.most, seatsHold)
	if err != nil { // it may have been done: whoever came keeps his seat, and those who left are given up again
		for name, seat := range before {
			if _, still := now[name]; !still {
				now[name] = seat
			}
		}
		u.taken[link] = now
		return err
	}
	for _, seat := range over {
		if end, ours := ends[seat]; ours {
			end()
		}
	}
	if u.taken[link] = now; len(now) == 0 {
		delete(u.taken, link)
	}
	return nil
}
