-- +goose Up
-- Links with which somebody without a login follows one trip. The secret of a link is not here, only
-- its SHA-256. No reference to the trip: a link is worth nothing without it and is pruned by its age.
-- Times are Unix microseconds UTC.
CREATE TABLE share_link (
    id         text    PRIMARY KEY,
    trip_id    text    NOT NULL,
    digest     blob    NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_by text    NOT NULL,
    created_at integer NOT NULL,
    ends_at    integer NOT NULL,
    revoked_at integer
) STRICT;
CREATE INDEX share_links_of_a_trip ON share_link (trip_id, created_at);
CREATE INDEX share_links_by_end ON share_link (ends_at);

-- +goose Down
DROP TABLE share_link;
