-- Disputes, as on Postgres; the reasons stand there. The columns are virtual: SQLite adds no stored ones
-- to a table that exists, and the indexes keep what is looked for.

-- +goose Up
ALTER TABLE customer_order ADD COLUMN dispute_id TEXT GENERATED ALWAYS AS (nullif(state ->> '$.dispute.id', '')) VIRTUAL;
ALTER TABLE customer_order ADD COLUMN dispute_at INTEGER GENERATED ALWAYS AS (state ->> '$.dispute.raisedAt') VIRTUAL;
ALTER TABLE customer_order ADD COLUMN dispute_open INTEGER GENERATED ALWAYS AS (
    nullif(state ->> '$.dispute.id', '') IS NOT NULL AND nullif(state ->> '$.dispute.resolution', '') IS NULL) VIRTUAL;

CREATE INDEX order_by_dispute ON customer_order (dispute_id) WHERE dispute_id IS NOT NULL;
CREATE INDEX disputes_by_time ON customer_order (dispute_at, dispute_id) WHERE dispute_id IS NOT NULL;
CREATE INDEX open_disputes_by_time ON customer_order (dispute_at, dispute_id) WHERE dispute_open;

-- +goose Down
DROP INDEX open_disputes_by_time;
DROP INDEX disputes_by_time;
DROP INDEX order_by_dispute;
ALTER TABLE customer_order DROP COLUMN dispute_open;
ALTER TABLE customer_order DROP COLUMN dispute_at;
ALTER TABLE customer_order DROP COLUMN dispute_id;
