package auditlog

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// Hash is that of a row: SHA-256 over the hash before it and the row itself.
type Hash [sha256.Size]byte

// Head is the end of the chain: the number and the hash of its last row. The zero Head is before the
// first.
type Head struct {
	Seq  int64
	Hash Hash
}

// Row is an entry in its place.
type Row struct {
	Seq int64 // from 1, without gaps
	Entry
	Hash Hash
}

// Head is the chain's end at this row.
func (r Row) Head() Head { return Head{r.Seq, r.Hash} }

// Seal puts entries behind a head. Pure.
func Seal(after Head, entries []Entry) []Row {
	rows := make([]Row, len(entries))
	for i, e := range entries {
		rows[i] = Row{Seq: after.Seq + 1, Entry: e}
		rows[i].Hash = rows[i].hash(after.Hash)
		after = rows[i].Head()
	}
	return rows
}

// BrokenError says where the chain does not hold.
type BrokenError struct {
	Seq int64 // of the row that does not follow
	Why string
}

// Error implements error.
func (e *BrokenError) Error() string { return fmt.Sprintf("auditlog: row %d %s", e.Seq, e.Why) }

// Verify follows rows, oldest first, from a head that is trusted, and gives the head after them. The
// error is a *BrokenError at the first row that was changed, removed, added or moved. Pure.
func Verify(from Head, rows []Row) (Head, error) {
	for _, r := range rows {
		if r.Seq != from.Seq+1 {
			return from, &BrokenError{r.Seq, fmt.Sprintf("stands behind row %d", from.Seq)}
		}
		if r.Hash != r.hash(from.Hash) {
			return from, &BrokenError{r.Seq, "does not have the hash of what it says"}
		}
		from = r.Head()
	}
	return from, nil
}

// hash covers every field, each with its length, so that nothing can move from one into the next.
func (r Row) hash(before Hash) Hash {
	b := make([]byte, 0, 512)
	b = append(b, "weelo audit/v1"...)
	b = append(b, before[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Seq)) //nolint:gosec // the same 64 bits, for a hash
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMicro()))
	for _, s := range []string{r.Actor, r.Role, r.Action, r.Subject, r.Reason, r.AuthorisedBy, r.PhoneHMAC, r.Network, r.DeviceHash, r.RequestID, r.Details} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // a text of at most some hundred bytes
		b = append(b, s...)
	}
	return sha256.Sum256(b)
}

// instant is a time as every store keeps it.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
