-- +goose Up
-- Everybody who can log in, one row per phone and role; the membership of drivers in a fleet; the
-- refresh families; and the failed tries that no flush of Redis may forget.

CREATE TABLE app_user (
    id                 text PRIMARY KEY,
    phone              text        NOT NULL CHECK (phone ~ '^\+91[6-9][0-9]{9}$'),
    role               text        NOT NULL CHECK (role IN ('customer', 'transporter', 'driver', 'ops')),
    name               text        NOT NULL DEFAULT '',
    email              text        NOT NULL DEFAULT '',
    suspended          boolean     NOT NULL DEFAULT false,
    transporter_id     text REFERENCES app_user (id),
    membership_version bigint      NOT NULL DEFAULT 0,
    license_number     text        NOT NULL DEFAULT '',
    available          boolean     NOT NULL DEFAULT false,
    kyc_status         text        NOT NULL DEFAULT 'NOT_STARTED' CHECK (kyc_status IN ('NOT_STARTED', 'UNDER_REVIEW', 'VERIFIED', 'REJECTED', 'EXPIRED')),
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    CONSTRAINT one_user_per_phone_and_role UNIQUE (phone, role),
    CONSTRAINT only_drivers_have_a_fleet CHECK (transporter_id IS NULL OR role = 'driver')
);
CREATE INDEX drivers_of_a_fleet ON app_user (transporter_id, created_at, id) WHERE transporter_id IS NOT NULL;

-- presented is the highest generation of the family that was ever presented. Generation presented is
-- good (its child was not presented yet), presented + 1 is the child; everything below is reuse.
CREATE TABLE session_family (
    id                 text PRIMARY KEY,
    user_id            text        NOT NULL REFERENCES app_user (id) ON DELETE CASCADE,
    role               text        NOT NULL,
    transporter_id     text,
    membership_version bigint      NOT NULL DEFAULT 0,
    device             text        NOT NULL DEFAULT '',
    presented          bigint      NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL,
    used_at            timestamptz NOT NULL,
    ends_at            timestamptz NOT NULL,
    revoked_at         timestamptz,
    revoked_why        text        NOT NULL DEFAULT ''
);
CREATE INDEX families_of_a_user ON session_family (user_id, device);
CREATE INDEX live_families_of_a_user ON session_family (user_id) WHERE revoked_at IS NULL;
CREATE INDEX revoked_families_by_time ON session_family (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX families_by_end ON session_family (ends_at);

-- One row per failed try. A try counts for 24 hours or until the person logs in.
CREATE TABLE otp_fail (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phone     text        NOT NULL,
    failed_at timestamptz NOT NULL
);
CREATE INDEX otp_fails_of_a_phone ON otp_fail (phone, failed_at);
CREATE INDEX otp_fails_by_time ON otp_fail (failed_at);

-- +goose Down
DROP TABLE otp_fail;
DROP TABLE session_family;
DROP TABLE app_user;
