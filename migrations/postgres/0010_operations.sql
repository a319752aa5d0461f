-- +goose Up
-- What operators need of a quarantined command: a number to name it by, what it is, and what became of
-- it. Strikes count since the last release; releases tells a task that remembers older strikes to
-- forget them.
ALTER TABLE quarantine
    ADD COLUMN id           bigint      GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN message      text        NOT NULL DEFAULT '',
    ADD COLUMN releases     integer     NOT NULL DEFAULT 0,
    ADD COLUMN released_at  timestamptz,
    ADD COLUMN discarded_at timestamptz,
    DROP CONSTRAINT strikes_count_from_one,
    ADD CONSTRAINT strikes_since_the_last_release CHECK (strikes >= 0),
    ADD CONSTRAINT one_command_per_number UNIQUE (id);
CREATE INDEX quarantine_by_release ON quarantine (released_at) WHERE released_at IS NOT NULL;
CREATE INDEX quarantine_by_age ON quarantine (last_at);

-- The row that the audit log begins behind: what was up to it has outlived its retention and is gone.
-- It only rises, to a row that is there with this hash, and only over rows that are a year old; the
-- log lets go of rows up to it and of no others.
CREATE TABLE audit_base (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq  bigint  NOT NULL,
    hash bytea   NOT NULL CHECK (length(hash) = 32)
);
INSERT INTO audit_base (seq, hash) VALUES (0, decode(repeat('00', 32), 'hex'));

-- +goose StatementBegin
CREATE FUNCTION audit_base_only_rises() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.seq > OLD.seq
            AND EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND hash = NEW.hash)
            AND NOT EXISTS (SELECT 1 FROM audit_log WHERE seq <= NEW.seq AND at > now() - interval '365 days') THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_base only rises, over rows of a year ago: % refused', TG_OP;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_base_rises BEFORE UPDATE OR DELETE ON audit_base FOR EACH ROW EXECUTE FUNCTION audit_base_only_rises();
CREATE TRIGGER audit_base_stays BEFORE TRUNCATE ON audit_base FOR EACH STATEMENT EXECUTE FUNCTION audit_base_only_rises();

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.seq <= (SELECT seq FROM audit_base) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_log only grows: % refused', TG_OP;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_log only grows: % refused', TG_OP;
END
$$;
-- +goose StatementEnd
DROP TABLE audit_base;
DROP FUNCTION audit_base_only_rises;
DELETE FROM quarantine WHERE strikes < 1;
ALTER TABLE quarantine
    DROP COLUMN id,
    DROP COLUMN message,
    DROP COLUMN releases,
    DROP COLUMN released_at,
    DROP COLUMN discarded_at,
    DROP CONSTRAINT strikes_since_the_last_release,
    ADD CONSTRAINT strikes_count_from_one CHECK (strikes >= 1);
DROP INDEX quarantine_by_age;
