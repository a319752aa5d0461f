package order

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// stableID is a UUID (version 8, RFC 9562) made from a name, so that the same thing has the same id
// wherever and whenever it is written.
func stableID(name string) string {
	sum := sha256.Sum256([]byte(name))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// eventID names an event by its place in the order's history.
func eventID(orderID string, count int64, part int) string {
	return stableID(fmt.Sprintf("order/%s/%d/%d", orderID, count, part))
}
