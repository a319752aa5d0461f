package ws

import "weelo/transport/hub"

// Close codes of design §7. A client reconnects with resume after 1012, 1013, 4408, 4410 and 4429, after
// a token refresh after 4401, and not by itself after the others.
const (
	codeTooBig       = 1009
	codeInternal     = 1011
	codeRestart      = hub.CodeRestart    // 1012
	codeOverloaded   = hub.CodeOverloaded // 1013
	codeMalformed    = 4400
	codeUnauthorized = hub.CodeUnauthorized // 4401
	codeForbidden    = 4403
	codeTimeout      = 4408
	codeRate         = 4429
)
