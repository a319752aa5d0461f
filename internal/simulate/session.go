package simulate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"weelo/internal/client"
	"weelo/internal/world"
)

// tokenSource gives access tokens: those of the world file, or fresh ones for a run that outlives them.
type tokenSource func(ctx context.Context, p world.FilePerson, refused bool) (string, error)

func (t tokenSource) of(p world.FilePerson) func(context.Context, bool) (string, error) {
	return func(ctx context.Context, refused bool) (string, error) { return t(ctx, p, refused) }
}

var errTokenRefused = errors.New("the server refused the token of the world file; seed it again for fresh ones")

// fileTokens are the tokens as the world file has them.
func fileTokens(_ context.Context, p world.FilePerson, refused bool) (string, error) {
	if refused {
		return "", errTokenRefused
	}
	return p.Token, nil
}

// connectWait is how long the first welcome of a session may take.
const connectWait = 30 * time.Second

// runSession runs a session until ctx ends and waits for its first welcome. now counts it while it is
// connected; take gets every frame (nil: they are read and thrown away).
func runSession(ctx context.Context, wait *sync.WaitGroup, s *client.Session, m *meter, role string, now *atomic.Int64, take func(client.Frame)) error {
	welcome := make(chan struct{})
	stopped := make(chan error, 1)
	wait.Add(2)
	go func() {
		defer wait.Done()
		err := s.Run(ctx)
		if err != nil && ctx.Err() == nil {
			m.fail(role+" socket", err)
		}
		stopped <- err
	}()
	go func() {
		defer wait.Done()
		connects := 0
		for f := range s.Frames() {
			if f.Received != nil {
				switch f.T {
				case "welcome":
					if connects++; connects == 1 {
						now.Add(1)
						close(welcome)
					} else {
						m.reconnects.Add(1)
					}
				case "error":
					m.fail(role+" was refused", errors.New(f.Code))
				}
			}
			if take != nil {
				take(f)
			}
		}
		if connects > 0 {
			now.Add(-1)
		}
	}()
	timer := time.NewTimer(connectWait)
	defer timer.Stop()
	select {
	case <-welcome:
		return nil
	case err := <-stopped:
		return errors.Join(errors.New("the socket was not opened"), err)
	case <-timer.C:
		return errors.New("no welcome in time")
	case <-ctx.Done():
		return ctx.Err()
	}
}
