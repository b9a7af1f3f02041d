-- The table that the output "postgresql" fills. The primary key makes once of at least once.
CREATE TABLE events (
    host     text        NOT NULL,
    uid      text        NOT NULL,
    received timestamptz NOT NULL,
    time     timestamptz NOT NULL,
    tags     text        NOT NULL,
    file     text,
    text     text        NOT NULL,
    kind     text,
    state    text,
    key      text,
    value    numeric,
    PRIMARY KEY (host, uid)
);
CREATE INDEX ON events (time);
