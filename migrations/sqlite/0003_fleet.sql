-- +goose Up
CREATE TABLE vehicle (
    id             text    PRIMARY KEY,
    transporter_id text    NOT NULL,
    number         text    NOT NULL,
    type           text    NOT NULL,
    subtype        text    NOT NULL,
    vehicle_key    text    NOT NULL, -- type and subtype, the same for every spelling (fleet.Key)
    capacity       text    NOT NULL,
    model          text    NOT NULL,
    year           integer NOT NULL,
    status         text    NOT NULL,
    created_at     integer NOT NULL,
    updated_at     integer NOT NULL,
    CONSTRAINT one_vehicle_per_number UNIQUE (number),
    CONSTRAINT vehicle_status_known CHECK (status IN ('available', 'maintenance', 'inactive'))
) STRICT;
CREATE INDEX vehicle_by_transporter ON vehicle (transporter_id, number);
-- What a wave of an order asks: which of these transporters have which of these kinds.
CREATE INDEX vehicle_by_kind ON vehicle (transporter_id, vehicle_key);

-- A driver's id would be most of a fix and is the key of each, so fixes carry a number instead. Numbers
-- are never taken back.
CREATE TABLE fix_driver (
    driver_key integer PRIMARY KEY,
    driver_id  text    NOT NULL,
    CONSTRAINT one_key_per_driver UNIQUE (driver_id)
) STRICT;

-- Drivers whom a transporter wants in his fleet, until their code came back or a day is over.
CREATE TABLE fleet_invitation (
    transporter_id text    NOT NULL,
    phone          text    NOT NULL,
    name           text    NOT NULL,
    license_number text    NOT NULL,
    email          text    NOT NULL,
    at             integer NOT NULL,
    CONSTRAINT one_invitation_per_phone_and_fleet PRIMARY KEY (transporter_id, phone)
) STRICT, WITHOUT ROWID;

-- One row per sample of a driver. Nullable speed and bearing: the phone did not know.
CREATE TABLE fix (
    driver_key  integer NOT NULL,
    ts_ms       integer NOT NULL,
    lat         real    NOT NULL,
    lng         real    NOT NULL,
    accuracy    real    NOT NULL,
    speed       real,
    bearing     real,
    mock        integer NOT NULL,
    received_ms integer NOT NULL,
    PRIMARY KEY (driver_key, ts_ms)
) STRICT, WITHOUT ROWID;
-- No index by receipt: it would repeat the key and cost as much as the row. Retention walks the drivers.

-- Lists of live trips must not grow with history: a fleet of years is read like one of days.
CREATE INDEX live_trips_of_transporter ON trip (transporter_id, created_at) WHERE live;
CREATE INDEX live_trips_of_customer ON trip (customer_id, created_at) WHERE live;
CREATE INDEX live_trips_by_age ON trip (created_at) WHERE live;

-- +goose Down
DROP INDEX live_trips_by_age;
DROP INDEX live_trips_of_customer;
DROP INDEX live_trips_of_transporter;
DROP TABLE fix;
DROP TABLE fix_driver;
DROP TABLE fleet_invitation;
DROP TABLE vehicle;
