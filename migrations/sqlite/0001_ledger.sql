-- The durable core, as on Postgres; the reasons stand there. Differences: snapshots are JSON text,
-- booleans are 0 or 1, and every time is an integer of microseconds since 1970, UTC.

-- +goose Up
CREATE TABLE trip (
    id             TEXT    NOT NULL CONSTRAINT one_row_per_trip PRIMARY KEY,
    version        INTEGER NOT NULL CONSTRAINT trip_version_counts_from_one CHECK (version >= 1),
    owner_epoch    INTEGER NOT NULL DEFAULT 0 CONSTRAINT trip_epoch_never_negative CHECK (owner_epoch >= 0),
    owner_node     TEXT    NOT NULL DEFAULT '',
    state          TEXT    NOT NULL CONSTRAINT trip_state_is_an_object CHECK (json_type(state) = 'object'),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    status         TEXT    GENERATED ALWAYS AS (state ->> 'status') STORED,
    live           INTEGER GENERATED ALWAYS AS (coalesce(state ->> 'live', 0)) STORED
                   CONSTRAINT trip_live_is_a_boolean CHECK (live IN (0, 1)),
    driver_id      TEXT    GENERATED ALWAYS AS (nullif(state ->> 'driverId', '')) STORED,
    vehicle_id     TEXT    GENERATED ALWAYS AS (nullif(state ->> 'vehicleId', '')) STORED,
    transporter_id TEXT    GENERATED ALWAYS AS (nullif(state ->> 'transporterId', '')) STORED,
    customer_id    TEXT    GENERATED ALWAYS AS (nullif(state ->> 'customerId', '')) STORED,
    order_id       TEXT    GENERATED ALWAYS AS (nullif(state ->> 'orderId', '')) STORED,
    slot           TEXT    GENERATED ALWAYS AS (nullif(state ->> 'slot', '')) STORED
); -- with a rowid: a snapshot is far larger than a key, and a clustered tree of such rows reads
   -- overflow pages at every step of a search (BenchmarkFlushOfNativeFixes: twice as slow)

CREATE UNIQUE INDEX one_live_trip_per_driver ON trip (driver_id) WHERE live;
CREATE UNIQUE INDEX one_live_trip_per_vehicle ON trip (vehicle_id) WHERE live;
CREATE UNIQUE INDEX one_live_trip_per_slot ON trip (order_id, slot) WHERE live;
CREATE INDEX trip_by_transporter ON trip (transporter_id, created_at);
CREATE INDEX trip_by_customer ON trip (customer_id, created_at);
CREATE INDEX trip_by_driver ON trip (driver_id, created_at);
CREATE INDEX trip_by_order ON trip (order_id);

CREATE TABLE customer_order (
    id             TEXT    NOT NULL CONSTRAINT one_row_per_order PRIMARY KEY,
    version        INTEGER NOT NULL CONSTRAINT order_version_counts_from_one CHECK (version >= 1),
    owner_epoch    INTEGER NOT NULL DEFAULT 0 CONSTRAINT order_epoch_never_negative CHECK (owner_epoch >= 0),
    owner_node     TEXT    NOT NULL DEFAULT '',
    state          TEXT    NOT NULL CONSTRAINT order_state_is_an_object CHECK (json_type(state) = 'object'),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    status         TEXT    GENERATED ALWAYS AS (state ->> 'status') STORED,
    live           INTEGER GENERATED ALWAYS AS (coalesce(state ->> 'live', 0)) STORED
                   CONSTRAINT order_live_is_a_boolean CHECK (live IN (0, 1)),
    searching      INTEGER GENERATED ALWAYS AS (coalesce(state ->> 'searching', 0)) STORED
                   CONSTRAINT order_searching_is_a_boolean CHECK (searching IN (0, 1)),
    customer_id    TEXT    GENERATED ALWAYS AS (nullif(state ->> 'customerId', '')) STORED
); -- with a rowid: a snapshot is far larger than a key, and a clustered tree of such rows reads
   -- overflow pages at every step of a search (BenchmarkFlushOfNativeFixes: twice as slow)

CREATE UNIQUE INDEX one_searching_order_per_customer ON customer_order (customer_id) WHERE searching;
CREATE INDEX order_by_customer ON customer_order (customer_id, created_at);

CREATE TABLE event (
    kind            TEXT    NOT NULL CONSTRAINT event_kind_known CHECK (kind IN ('order', 'trip')),
    aggregate_id    TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    ordinal         INTEGER NOT NULL CONSTRAINT event_ordinal_from_zero CHECK (ordinal >= 0),
    epoch           INTEGER NOT NULL,
    id              TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    payload_version INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    expires         INTEGER,
    trip_id         TEXT,
    order_id        TEXT,
    data            TEXT    NOT NULL CONSTRAINT event_data_is_json CHECK (json_valid(data)),
    CONSTRAINT one_event_per_place PRIMARY KEY (kind, aggregate_id, version, ordinal)
) WITHOUT ROWID;

CREATE TABLE idem (
    scope        TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    hash         TEXT    NOT NULL,
    reply        TEXT,
    kind         TEXT    NOT NULL,
    aggregate_id TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    CONSTRAINT one_effect_per_command PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX idem_by_age ON idem (at);

CREATE TABLE timer (
    kind         TEXT    NOT NULL CONSTRAINT timer_kind_known CHECK (kind IN ('order', 'trip')),
    aggregate_id TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    due          INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    CONSTRAINT one_timer_per_name PRIMARY KEY (kind, aggregate_id, name)
) WITHOUT ROWID;
CREATE INDEX timer_by_due ON timer (due);

CREATE TABLE outbox (
    id           TEXT    NOT NULL CONSTRAINT one_outbox_row_per_message PRIMARY KEY,
    channel      TEXT    NOT NULL,
    recipient    TEXT    NOT NULL,
    type         TEXT    NOT NULL,
    body         TEXT    NOT NULL CONSTRAINT outbox_body_is_json CHECK (json_valid(body)),
    deadline     INTEGER,
    due          INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    kind         TEXT    NOT NULL,
    aggregate_id TEXT    NOT NULL,
    version      INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX outbox_by_due ON outbox (due);

CREATE TABLE inbox_head (
    recipient TEXT    NOT NULL CONSTRAINT one_head_per_recipient PRIMARY KEY,
    seq       INTEGER NOT NULL CONSTRAINT inbox_numbers_count_from_one CHECK (seq >= 1)
) WITHOUT ROWID;

CREATE TABLE inbox (
    recipient    TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    aggregate_id TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    ordinal      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    CONSTRAINT one_entry_per_number PRIMARY KEY (recipient, seq)
) WITHOUT ROWID;
CREATE INDEX inbox_by_age ON inbox (at);

CREATE TABLE quarantine (
    kind         TEXT    NOT NULL,
    aggregate_id TEXT    NOT NULL,
    command_id   TEXT    NOT NULL,
    strikes      INTEGER NOT NULL CONSTRAINT strikes_count_from_one CHECK (strikes >= 1),
    reason       TEXT    NOT NULL,
    first_at     INTEGER NOT NULL,
    last_at      INTEGER NOT NULL,
    CONSTRAINT one_count_per_command PRIMARY KEY (kind, aggregate_id, command_id)
) WITHOUT ROWID;

CREATE TABLE meta (
    name  TEXT NOT NULL CONSTRAINT one_value_per_name PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('stream', lower(hex(randomblob(16))));

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
