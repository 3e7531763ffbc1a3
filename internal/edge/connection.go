package edge

import (
	"net/http"
	"strings"

	"troth/internal/fault"
)

var errConnection = fault.New(fault.Invalid, "edge.connection",
	"The Connection header of the request names a header that is for the application, so it was refused. Send it without.")

// Whatever a client lists in Connection is for the next hop only and is taken
// out on the way (RFC 9110, 7.6.1). So a list that names what the application
// must get, or what Troth itself says, is an attempt to take it away.

// endToEnd are headers that a client may not declare to be for one hop, besides
// those of which only Troth may speak (see isForeign).
var endToEnd = map[string]bool{
	"host": true, "cookie": true, "authorization": true, "origin": true, "referer": true, "expect": true, "range": true,
	"content-length": true, "content-type": true, "content-encoding": true, "transfer-encoding": true,
	"connection": true, "cache-control": true, "user-agent": true, "date": true, "via": true,
}

// oneHop refuses a Connection header that names what is not for one hop.
func oneHop(h http.Header) error {
	for _, list := range h["Connection"] {
		if list == "keep-alive" || list == "Upgrade" || list == "close" {
			continue
		}
		for token := range strings.SplitSeq(list, ",") {
			token = strings.Trim(token, " \t")
			if token == "" {
				continue
			}
			var buf [maxName]byte
			name := normalName(buf[:], token)
			if endToEnd[string(name)] || family(name, "sec") || isForeign(token) {
				return errConnection
			}
		}
	}
	return nil
}

// onlyWebSocket lets no other upgrade pass. Whoever changes to another protocol
// that carries requests, as HTTP/2 in the clear (h2c), would talk to the
// application past the front door from then on. An upgrade may be ignored
// (RFC 9110, 7.8), and then the request is answered as if it had not asked.
func onlyWebSocket(h http.Header) {
	if u, ok := h["Upgrade"]; ok && (len(u) != 1 || !strings.EqualFold(u[0], "websocket")) {
		delete(h, "Upgrade")
		delete(h, "Http2-Settings") // RFC 7540, 3.2.1
	}
}
