-- The durable core. A fenced aggregate is one row: its snapshot (state), the version that every
-- accepted step raises by one, and the epoch that every claim raises by one. The columns that
-- queries and unique indexes need are generated from the snapshot, so they cannot disagree with it.
-- Keys compare as bytes (COLLATE "C"): every lane sorts its locks the same way, here and in Go.

-- +goose Up
CREATE TABLE trip (
    id             text COLLATE "C" NOT NULL,
    version        bigint           NOT NULL,
    owner_epoch    bigint           NOT NULL DEFAULT 0,
    owner_node     text             NOT NULL DEFAULT '',
    state          jsonb            NOT NULL,
    created_at     timestamptz      NOT NULL,
    updated_at     timestamptz      NOT NULL,
    status         text    GENERATED ALWAYS AS (state ->> 'status') STORED,
    live           boolean GENERATED ALWAYS AS (coalesce((state ->> 'live')::boolean, false)) STORED,
    driver_id      text    GENERATED ALWAYS AS (nullif(state ->> 'driverId', '')) STORED,
    vehicle_id     text    GENERATED ALWAYS AS (nullif(state ->> 'vehicleId', '')) STORED,
    transporter_id text    GENERATED ALWAYS AS (nullif(state ->> 'transporterId', '')) STORED,
    customer_id    text    GENERATED ALWAYS AS (nullif(state ->> 'customerId', '')) STORED,
    order_id       text    GENERATED ALWAYS AS (nullif(state ->> 'orderId', '')) STORED,
    slot           text    GENERATED ALWAYS AS (nullif(state ->> 'slot', '')) STORED,
    CONSTRAINT one_row_per_trip PRIMARY KEY (id),
    CONSTRAINT trip_version_counts_from_one CHECK (version >= 1),
    CONSTRAINT trip_epoch_never_negative CHECK (owner_epoch >= 0),
    CONSTRAINT trip_state_is_an_object CHECK (jsonb_typeof(state) = 'object')
) WITH (fillfactor = 70); -- room for the next version on the same page: no index changes on a plain step

CREATE UNIQUE INDEX one_live_trip_per_driver ON trip (driver_id) WHERE live;
CREATE UNIQUE INDEX one_live_trip_per_vehicle ON trip (vehicle_id) WHERE live;
CREATE UNIQUE INDEX one_live_trip_per_slot ON trip (order_id, slot) WHERE live;
CREATE INDEX trip_by_transporter ON trip (transporter_id, created_at);
CREATE INDEX trip_by_customer ON trip (customer_id, created_at);
CREATE INDEX trip_by_driver ON trip (driver_id, created_at);
CREATE INDEX trip_by_order ON trip (order_id);

CREATE TABLE customer_order (
    id             text COLLATE "C" NOT NULL,
    version        bigint           NOT NULL,
    owner_epoch    bigint           NOT NULL DEFAULT 0,
    owner_node     text             NOT NULL DEFAULT '',
    state          jsonb            NOT NULL,
    created_at     timestamptz      NOT NULL,
    updated_at     timestamptz      NOT NULL,
    status         text    GENERATED ALWAYS AS (state ->> 'status') STORED,
    live           boolean GENERATED ALWAYS AS (coalesce((state ->> 'live')::boolean, false)) STORED,
    searching      boolean GENERATED ALWAYS AS (coalesce((state ->> 'searching')::boolean, false)) STORED,
    customer_id    text    GENERATED ALWAYS AS (nullif(state ->> 'customerId', '')) STORED,
    CONSTRAINT one_row_per_order PRIMARY KEY (id),
    CONSTRAINT order_version_counts_from_one CHECK (version >= 1),
    CONSTRAINT order_epoch_never_negative CHECK (owner_epoch >= 0),
    CONSTRAINT order_state_is_an_object CHECK (jsonb_typeof(state) = 'object')
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX one_searching_order_per_customer ON customer_order (customer_id) WHERE searching;
CREATE INDEX order_by_customer ON customer_order (customer_id, created_at);

-- The history: append-only, one line per event, placed by (aggregate, version, ordinal).
-- data is json, not jsonb: what was decided is what is sent, byte for byte, now and on replay.
CREATE TABLE event (
    kind            text COLLATE "C" NOT NULL,
    aggregate_id    text COLLATE "C" NOT NULL,
    version         bigint           NOT NULL,
    ordinal         integer          NOT NULL,
    epoch           bigint           NOT NULL, -- of the activation that decided it
    id              text             NOT NULL,
    type            text             NOT NULL,
    payload_version integer          NOT NULL,
    at              timestamptz      NOT NULL,
    expires         timestamptz,
    trip_id         text,
    order_id        text,
    data            json             NOT NULL,
    CONSTRAINT one_event_per_place PRIMARY KEY (kind, aggregate_id, version, ordinal),
    CONSTRAINT event_kind_known CHECK (kind IN ('order', 'trip')),
    CONSTRAINT event_ordinal_from_zero CHECK (ordinal >= 0)
);

-- One effect per (scope, key). reply is json for the same reason as event.data.
CREATE TABLE idem (
    scope        text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    hash         text             NOT NULL,
    reply        json,
    kind         text             NOT NULL,
    aggregate_id text             NOT NULL,
    version      bigint           NOT NULL, -- the version the command made
    at           timestamptz      NOT NULL,
    CONSTRAINT one_effect_per_command PRIMARY KEY (scope, key)
);
CREATE INDEX idem_by_age ON idem (at);

CREATE TABLE timer (
    kind         text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    due          timestamptz      NOT NULL,
    number       bigint           NOT NULL,
    CONSTRAINT one_timer_per_name PRIMARY KEY (kind, aggregate_id, name),
    CONSTRAINT timer_kind_known CHECK (kind IN ('order', 'trip'))
);
CREATE INDEX timer_by_due ON timer (due);

-- Durable messages that wait for their receiver's commit (or a provider's acceptance).
CREATE TABLE outbox (
    id           text COLLATE "C" NOT NULL,
    channel      text             NOT NULL,
    recipient    text             NOT NULL,
    type         text             NOT NULL,
    body         json             NOT NULL,
    deadline     timestamptz,
    due          timestamptz      NOT NULL, -- not handed out before; moved on by every lease
    attempts     integer          NOT NULL DEFAULT 0,
    kind         text             NOT NULL,
    aggregate_id text             NOT NULL,
    version      bigint           NOT NULL,
    CONSTRAINT one_outbox_row_per_message PRIMARY KEY (id)
);
CREATE INDEX outbox_by_due ON outbox (due);

-- The highest number of each recipient's inbox. A row is held to the commit, so the numbers of one
-- recipient become visible in order.
CREATE TABLE inbox_head (
    recipient text COLLATE "C" NOT NULL,
    seq       bigint           NOT NULL,
    CONSTRAINT one_head_per_recipient PRIMARY KEY (recipient),
    CONSTRAINT inbox_numbers_count_from_one CHECK (seq >= 1)
) WITH (fillfactor = 70);

CREATE TABLE inbox (
    recipient    text COLLATE "C" NOT NULL,
    seq          bigint           NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    version      bigint           NOT NULL,
    ordinal      integer          NOT NULL,
    at           timestamptz      NOT NULL,
    CONSTRAINT one_entry_per_number PRIMARY KEY (recipient, seq)
);
CREATE INDEX inbox_by_age ON inbox (at);

-- Commands that made an actor panic, counted. Three strikes and the command is refused for good.
CREATE TABLE quarantine (
    kind         text        NOT NULL,
    aggregate_id text        NOT NULL,
    command_id   text        NOT NULL,
    strikes      integer     NOT NULL,
    reason       text        NOT NULL,
    first_at     timestamptz NOT NULL,
    last_at      timestamptz NOT NULL,
    CONSTRAINT one_count_per_command PRIMARY KEY (kind, aggregate_id, command_id),
    CONSTRAINT strikes_count_from_one CHECK (strikes >= 1)
);

-- Facts about this database. 'stream' is one random id, renewed after a restore, so that numbers of
-- a lost future are never taken for numbers of this one.
CREATE TABLE meta (
    name  text NOT NULL,
    value text NOT NULL,
    CONSTRAINT one_value_per_name PRIMARY KEY (name)
);
INSERT INTO meta (name, value) VALUES ('stream', gen_random_uuid()::text);

-- +goose Down
DROP TABLE meta;
DROP TABLE quarantine;
DROP TABLE inbox;
DROP TABLE inbox_head;
DROP TABLE outbox;
DROP TABLE timer;
DROP TABLE idem;
DROP TABLE event;
DROP TABLE customer_order;
DROP TABLE trip;
