-- +goose Up
-- Who did what to whose account. Rows are never changed or removed: triggers refuse it, and each hash
-- covers the row before, so that what is done to the file nevertheless is found. No references: a row
-- outlives whom it is about. Times are Unix microseconds UTC.
CREATE TABLE audit_log (
    seq           integer PRIMARY KEY CHECK (seq > 0),
    at            integer NOT NULL,
    actor         text    NOT NULL,
    role          text    NOT NULL,
    action        text    NOT NULL,
    subject       text    NOT NULL,
    reason        text    NOT NULL,
    authorised_by text    NOT NULL,
    phone_hmac    text    NOT NULL,
    network       text    NOT NULL,
    device_hash   text    NOT NULL,
    request_id    text    NOT NULL,
    details       text    NOT NULL,
    hash          blob    NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_log_of_a_subject ON audit_log (subject, seq);
CREATE INDEX audit_log_of_an_actor ON audit_log (actor, seq);

-- The end of the chain.
CREATE TABLE audit_head (
    one  integer PRIMARY KEY CHECK (one = 1),
    seq  integer NOT NULL,
    hash blob    NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, zeroblob(32));

-- +goose StatementBegin
CREATE TRIGGER audit_log_keeps_rows BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log only grows: DELETE refused'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_log_changes_none BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log only grows: UPDATE refused'); END;
-- +goose StatementEnd
-- +goose StatementBegin
-- INSERT OR REPLACE would remove a row without asking the trigger above.
CREATE TRIGGER audit_log_replaces_none BEFORE INSERT ON audit_log WHEN EXISTS (SELECT 1 FROM audit_log WHERE seq >= NEW.seq)
BEGIN SELECT RAISE(ABORT, 'audit_log only grows: REPLACE refused'); END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit_head;
DROP TABLE audit_log;
