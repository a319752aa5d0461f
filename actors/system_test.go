package actors_test

import (
	"testing"
	"testing/synctest"

	"weelo/actors"
	"weelo/actors/actortest"
)

func TestSystemIsARouter(t *testing.T) {
	t.Parallel()
	actortest.Routers(t, actortest.Setup{
		New: func(t *testing.T, kinds ...actors.Kind) actors.Router {
			return actortest.Start(t, actors.Config{}, kinds...)
		},
		In: synctest.Test,
	})
}
