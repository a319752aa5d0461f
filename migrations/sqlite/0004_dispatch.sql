-- Offers, as on Postgres; the reasons stand there.

-- +goose Up
CREATE TABLE offer (
    id           text    NOT NULL CONSTRAINT one_row_per_offer PRIMARY KEY,
    order_id     text    NOT NULL,
    recipient    text    NOT NULL,
    wave         integer NOT NULL,
    version      integer NOT NULL,
    open         integer NOT NULL,
    expires      integer NOT NULL,
    data         text    NOT NULL,
    reason       text    NOT NULL,
    offered_at   integer NOT NULL,
    delivered_at integer,
    seen_at      integer,
    answered_at  integer,
    answer       text,
    closed_at    integer,
    CONSTRAINT one_offer_per_order_and_recipient UNIQUE (order_id, recipient),
    CONSTRAINT offer_version_counts_from_one CHECK (version >= 1),
    CONSTRAINT offer_wave_never_negative CHECK (wave >= 0),
    CONSTRAINT offer_open_is_a_boolean CHECK (open IN (0, 1)),
    CONSTRAINT offer_closed_at_some_time CHECK (open = (closed_at IS NULL))
) STRICT; -- with a rowid, as trips: what is shown is far larger than a key

CREATE INDEX open_offers_of_recipient ON offer (recipient, offered_at) WHERE open;
CREATE INDEX offers_of_recipient ON offer (recipient, offered_at);
CREATE INDEX closed_offers_by_age ON offer (closed_at) WHERE NOT open;

CREATE INDEX live_orders ON customer_order (id) WHERE live;

-- +goose Down
DROP INDEX live_orders;
DROP TABLE offer;
