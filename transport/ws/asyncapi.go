package ws

import (
	_ "embed"
	"net/http"
)

//go:embed asyncapi.json
var asyncAPI []byte

// AsyncAPI serves the protocol's description (AsyncAPI 3). The tests hold real frames against it.
func AsyncAPI() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(asyncAPI) // an error means that the client is gone
	})
}
