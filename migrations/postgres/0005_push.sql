-- +goose Up
-- Where a user's phones get push messages. A token belongs to one user, through the session that
-- registered it; it is worth nothing when that session has ended.
CREATE TABLE push_token (
    token      text        PRIMARY KEY,
    user_id    text        NOT NULL,
    session_id text        NOT NULL REFERENCES session_family (id) ON DELETE CASCADE,
    device     text        NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX push_tokens_of_a_user ON push_token (user_id, updated_at);
CREATE INDEX push_tokens_of_a_session ON push_token (session_id);

-- +goose Down
DROP TABLE push_token;
