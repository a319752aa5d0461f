-- Disputes: what operators look for stands in columns generated from the snapshot, as everything else
-- that is looked for. On plain steps they do not change, so that a step stays heap-only. Adding stored columns
-- writes the table anew under a lock: once, at the first start of this build.

-- +goose Up
ALTER TABLE customer_order
    ADD COLUMN dispute_id   text COLLATE "C" GENERATED ALWAYS AS (nullif(state #>> '{dispute,id}', '')) STORED,
    ADD COLUMN dispute_at   bigint  GENERATED ALWAYS AS ((state #>> '{dispute,raisedAt}')::bigint) STORED, -- Unix ms
    ADD COLUMN dispute_open boolean GENERATED ALWAYS AS (nullif(state #>> '{dispute,id}', '') IS NOT NULL
                                    AND nullif(state #>> '{dispute,resolution}', '') IS NULL) STORED;

CREATE INDEX order_by_dispute ON customer_order (dispute_id) WHERE dispute_id IS NOT NULL;
CREATE INDEX disputes_by_time ON customer_order (dispute_at, dispute_id) WHERE dispute_id IS NOT NULL;
CREATE INDEX open_disputes_by_time ON customer_order (dispute_at, dispute_id) WHERE dispute_open;

-- +goose Down
DROP INDEX open_disputes_by_time;
DROP INDEX disputes_by_time;
DROP INDEX order_by_dispute;
ALTER TABLE customer_order DROP COLUMN dispute_open, DROP COLUMN dispute_at, DROP COLUMN dispute_id;
