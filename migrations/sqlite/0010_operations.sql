-- +goose Up
-- What operators need of a quarantined command: a number to name it by, what it is, and what became of
-- it. Strikes count since the last release; releases tells a task that remembers older strikes to
-- forget them. SQLite adds no key to a table, so it is made anew.
CREATE TABLE quarantine_numbered (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT    NOT NULL,
    aggregate_id TEXT    NOT NULL,
    command_id   TEXT    NOT NULL,
    message      TEXT    NOT NULL DEFAULT '',
    strikes      INTEGER NOT NULL CONSTRAINT strikes_since_the_last_release CHECK (strikes >= 0),
    reason       TEXT    NOT NULL,
    first_at     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    releases     INTEGER NOT NULL DEFAULT 0,
    released_at  INTEGER,
    discarded_at INTEGER,
    CONSTRAINT one_count_per_command UNIQUE (kind, aggregate_id, command_id)
);
INSERT INTO quarantine_numbered (kind, aggregate_id, command_id, strikes, reason, first_at, last_at)
SELECT kind, aggregate_id, command_id, strikes, reason, first_at, last_at FROM quarantine ORDER BY first_at;
DROP TABLE quarantine;
ALTER TABLE quarantine_numbered RENAME TO quarantine;
CREATE INDEX quarantine_by_release ON quarantine (released_at) WHERE released_at IS NOT NULL;
CREATE INDEX quarantine_by_age ON quarantine (last_at);

-- The row that the audit log begins behind: what was up to it has outlived its retention and is gone.
-- It only rises, to a row that is there with this hash, and only over rows that are a year old; the
-- log lets go of rows up to it and of no others.
CREATE TABLE audit_base (
    one  integer PRIMARY KEY CHECK (one = 1),
    seq  integer NOT NULL,
    hash blob    NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO audit_base (one, seq, hash) VALUES (1, 0, zeroblob(32));

-- +goose StatementBegin
CREATE TRIGGER audit_base_rises BEFORE UPDATE ON audit_base
WHEN NEW.seq <= OLD.seq
    OR NOT EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND hash = NEW.hash)
    OR EXISTS (SELECT 1 FROM audit_log WHERE seq <= NEW.seq AND at > (unixepoch() - 365 * 86400) * 1000000)
BEGIN SELECT RAISE(ABORT, 'audit_base only rises, over rows of a year ago: UPDATE refused'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_base_stays BEFORE DELETE ON audit_base
BEGIN SELECT RAISE(ABORT, 'audit_base only rises, over rows of a year ago: DELETE refused'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_base_is_one BEFORE INSERT ON audit_base WHEN EXISTS (SELECT 1 FROM audit_base)
BEGIN SELECT RAISE(ABORT, 'audit_base only rises, over rows of a year ago: REPLACE refused'); END;
-- +goose StatementEnd
DROP TRIGGER audit_log_keeps_rows;
-- +goose StatementBegin
CREATE TRIGGER audit_log_keeps_rows BEFORE DELETE ON audit_log WHEN OLD.seq > (SELECT seq FROM audit_base)
BEGIN SELECT RAISE(ABORT, 'audit_log only grows: DELETE refused'); END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER audit_log_keeps_rows;
-- +goose StatementBegin
CREATE TRIGGER audit_log_keeps_rows BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log only grows: DELETE refused'); END;
-- +goose StatementEnd
DROP TABLE audit_base;
CREATE TABLE quarantine_before (
    kind         TEXT    NOT NULL,
    aggregate_id TEXT    NOT NULL,
    command_id   TEXT    NOT NULL,
    strikes      INTEGER NOT NULL CONSTRAINT strikes_count_from_one CHECK (strikes >= 1),
    reason       TEXT    NOT NULL,
    first_at     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    CONSTRAINT one_count_per_command PRIMARY KEY (kind, aggregate_id, command_id)
) WITHOUT ROWID;
INSERT INTO quarantine_before SELECT kind, aggregate_id, command_id, strikes, reason, first_at, last_at FROM quarantine WHERE strikes >= 1;
DROP TABLE quarantine;
ALTER TABLE quarantine_before RENAME TO quarantine;
