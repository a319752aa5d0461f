package notify

import (
	"errors"
	"fmt"
	"time"
)

// NotBefore is an error of Courier.Deliver whose provider said how long it wants to be left alone with this
// message. Wait is above 0.
type NotBefore struct {
	Wait time.Duration
	Err  error
}

func (e *NotBefore) Error() string {
	return fmt.Sprintf("%v; not before %v have passed", e.Err, e.Wait)
}

// Unwrap gives what went wrong.
func (e *NotBefore) Unwrap() error { return e.Err }

// WaitOf is how long an error's provider wants to be left alone; 0: it did not say.
func WaitOf(err error) time.Duration {
	var e *NotBefore
	if errors.As(err, &e) {
		return e.Wait
	}
	return 0
}
