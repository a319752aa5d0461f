-- +goose Up
CREATE TABLE vehicle (
    id             text        PRIMARY KEY,
    transporter_id text        NOT NULL,
    number         text        NOT NULL,
    type           text        NOT NULL,
    subtype        text        NOT NULL,
    vehicle_key    text        NOT NULL, -- type and subtype, the same for every spelling (fleet.Key)
    capacity       text        NOT NULL,
    model          text        NOT NULL,
    year           integer     NOT NULL,
    status         text        NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CONSTRAINT one_vehicle_per_number UNIQUE (number),
    CONSTRAINT vehicle_status_known CHECK (status IN ('available', 'maintenance', 'inactive'))
);
CREATE INDEX vehicle_by_transporter ON vehicle (transporter_id, number);
-- What a wave of an order asks: which of these transporters have which of these kinds.
CREATE INDEX vehicle_by_kind ON vehicle (transporter_id, vehicle_key);

-- Drivers whom a transporter wants in his fleet, until their code came back or a day is over.
CREATE TABLE fleet_invitation (
    transporter_id text        NOT NULL,
    phone          text        NOT NULL,
    name           text        NOT NULL,
    license_number text        NOT NULL,
    email          text        NOT NULL,
    at             timestamptz NOT NULL,
    CONSTRAINT one_invitation_per_phone_and_fleet PRIMARY KEY (transporter_id, phone)
);

-- One row per sample of a driver. Nullable speed and bearing: the phone did not know.
CREATE TABLE fix (
    driver_id   uuid             NOT NULL,
    ts_ms       bigint           NOT NULL,
    lat         double precision NOT NULL,
    lng         double precision NOT NULL,
    accuracy    double precision NOT NULL,
    speed       double precision,
    bearing     double precision,
    mock        boolean          NOT NULL,
    received_ms bigint           NOT NULL,
    PRIMARY KEY (driver_id, ts_ms)
);
-- Rows arrive roughly in order of receipt, so a block range index finds what retention removes at
-- next to no cost per insert.
CREATE INDEX fix_by_receipt ON fix USING brin (received_ms) WITH (pages_per_range = 32, autosummarize = on);

-- Lists of live trips must not grow with history: a fleet of years is read like one of days.
CREATE INDEX live_trips_of_transporter ON trip (transporter_id, created_at) WHERE live;
CREATE INDEX live_trips_of_customer ON trip (customer_id, created_at) WHERE live;
CREATE INDEX live_trips_by_age ON trip (created_at) WHERE live;

-- +goose Down
DROP INDEX live_trips_by_age;
DROP INDEX live_trips_of_customer;
DROP INDEX live_trips_of_transporter;
DROP TABLE fix;
DROP TABLE fleet_invitation;
DROP TABLE vehicle;
