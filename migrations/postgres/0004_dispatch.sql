-- Offers: an order shown to one transporter. A row is written by its order's transitions and changes as
-- often as these do; its receipts (delivered, seen, answered) are written once each, by whoever hears of
-- them. data is json, not jsonb: what was decided is what is sent, byte for byte, whenever he reconnects.

-- +goose Up
CREATE TABLE offer (
    id           text COLLATE "C" NOT NULL,
    order_id     text COLLATE "C" NOT NULL,
    recipient    text COLLATE "C" NOT NULL,
    wave         integer          NOT NULL,
    version      bigint           NOT NULL,
    open         boolean          NOT NULL,
    expires      timestamptz      NOT NULL,
    data         json             NOT NULL,
    reason       text             NOT NULL,
    offered_at   timestamptz      NOT NULL,
    delivered_at timestamptz,
    seen_at      timestamptz,
    answered_at  timestamptz,
    answer       text,
    closed_at    timestamptz,
    CONSTRAINT one_row_per_offer PRIMARY KEY (id),
    CONSTRAINT one_offer_per_order_and_recipient UNIQUE (order_id, recipient),
    CONSTRAINT offer_version_counts_from_one CHECK (version >= 1),
    CONSTRAINT offer_wave_never_negative CHECK (wave >= 0),
    CONSTRAINT offer_closed_at_some_time CHECK (open = (closed_at IS NULL))
) WITH (fillfactor = 80);

CREATE INDEX open_offers_of_recipient ON offer (recipient, offered_at) WHERE open;
CREATE INDEX offers_of_recipient ON offer (recipient, offered_at);
CREATE INDEX closed_offers_by_age ON offer (closed_at) WHERE NOT open;

-- What a new task looks through for orders that search. Not narrower, by a condition on state: an index
-- that reads state would cost every write of an order its heap-only update.
CREATE INDEX live_orders ON customer_order (id) WHERE live;

-- +goose Down
DROP INDEX live_orders;
DROP TABLE offer;
