package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"weelo/internal/auditlog"
	"weelo/store/postgres"
	"weelo/store/sqlite"
)

// errTampered: the chain of the audit log does not hold.
var errTampered = errors.New("the audit log was tampered with (docs/admin.md)")

// openAuditLog opens the log to follow: of the dev folder, or of DATABASE_URL when dir is "".
func openAuditLog(ctx context.Context, dir string, s surroundings) (log auditlog.Reader, closeStore func(), err error) {
	if dir != "" {
		db, err := openForReading(dir, s)
		if err != nil {
			return nil, nil, err
		}
		return sqlite.NewFileAuditLog(db), func() { _ = db.Close() }, nil
	}
	db, err := openDatabase(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return postgres.NewAuditLog(db), db.Close, nil
}

// auditVerdict is what following the chain found.
type auditVerdict struct {
	Pruned int64  `json:"pruned"` // the number of the last row that was removed after its time; 0: none
	Last   int64  `json:"last"`
	Hash   string `json:"hash"` // of the last row: whoever notes it down sees later whether the end was cut off
	Broken int64  `json:"broken,omitempty"`
	Why    string `json:"why,omitempty"`
}

// checkAuditLog follows the chain of the audit log and says whether it holds. Every page that it reads has
// a deadline of its own; there is none for the whole, which may be millions of rows.
func checkAuditLog(ctx context.Context, dir string, asJSON bool, s surroundings) error {
	log, closeStore, err := openAuditLog(ctx, dir, s)
	if err != nil {
		return err
	}
	defer closeStore()
	span, err := auditlog.Check(ctx, log)
	var broken *auditlog.BrokenError
	if err != nil && !errors.As(err, &broken) {
		return err
	}
	v := auditVerdict{Pruned: span.Base.Seq, Last: span.End.Seq, Hash: fmt.Sprintf("%x", span.End.Hash)}
	if broken != nil {
		v.Broken, v.Why = broken.Seq, broken.Why
	}
	if asJSON {
		err = json.NewEncoder(s.out).Encode(v)
	} else {
		err = v.write(s)
	}
	if err == nil && broken != nil {
		err = errTampered
	}
	return err
}

func (v auditVerdict) write(s surroundings) (err error) {
	if v.Pruned > 0 {
		_, err = fmt.Fprintf(s.out, "rows up to %d were removed after their time\n", v.Pruned)
	}
	if err != nil {
		return err
	}
	if v.Why != "" {
		_, err = fmt.Fprintf(s.out, "row %d %s\n", v.Broken, v.Why)
		return err
	}
	_, err = fmt.Fprintf(s.out, "%d rows hold together; the last is %d with hash %s\n", v.Last-v.Pruned, v.Last, v.Hash)
	return err
}
