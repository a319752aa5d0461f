-- +goose Up
-- Who did what to whose account. Rows are never changed or removed: a trigger refuses it, and each hash
-- covers the row before, so that what a superuser does nevertheless is found. No references: a row
-- outlives whom it is about.
CREATE TABLE audit_log (
    seq           bigint      PRIMARY KEY CHECK (seq > 0),
    at            timestamptz NOT NULL,
    actor         text        NOT NULL,
    role          text        NOT NULL,
    action        text        NOT NULL,
    subject       text        NOT NULL,
    reason        text        NOT NULL,
    authorised_by text        NOT NULL,
    phone_hmac    text        NOT NULL,
    network       text        NOT NULL,
    device_hash   text        NOT NULL,
    request_id    text        NOT NULL,
    details       text        NOT NULL,
    hash          bytea       NOT NULL CHECK (length(hash) = 32)
);
CREATE INDEX audit_log_of_a_subject ON audit_log (subject, seq);
CREATE INDEX audit_log_of_an_actor ON audit_log (actor, seq);

-- The end of the chain. Whoever appends holds this row, so there is one chain however many tasks write.
CREATE TABLE audit_head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq  bigint  NOT NULL,
    hash bytea   NOT NULL CHECK (length(hash) = 32)
);
INSERT INTO audit_head (seq, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

-- +goose StatementBegin
CREATE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log only grows: % refused', TG_OP;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_log_keeps_rows BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_only_grows();
CREATE TRIGGER audit_log_keeps_all BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();

-- +goose Down
DROP TABLE audit_head;
DROP TABLE audit_log;
DROP FUNCTION audit_log_only_grows;
