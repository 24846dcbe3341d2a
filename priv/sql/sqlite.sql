-- The tables of a node with an embedded database: those of postgres.sql in SQLite's words.
-- AUTOINCREMENT, because an id of an event must never be used twice.

-- One row a domain. status: 0 disabled, 1 enabled, 2 deleting.
CREATE TABLE IF NOT EXISTS domain_settings (
    id        INTEGER      NOT NULL PRIMARY KEY AUTOINCREMENT,
    domain    VARCHAR(250) NOT NULL UNIQUE,
    host_type VARCHAR(250) NOT NULL,
    status    SMALLINT     NOT NULL DEFAULT 1
);

-- One row a change: something about this domain is different now. An empty domain means nothing.
CREATE TABLE IF NOT EXISTS domain_events (
    id     INTEGER      NOT NULL PRIMARY KEY AUTOINCREMENT,
    domain VARCHAR(250) NOT NULL
);
CREATE INDEX IF NOT EXISTS i_domain_events_domain ON domain_events (domain);

-- The domain admins' passwords.
CREATE TABLE IF NOT EXISTS domain_admins (
    domain       VARCHAR(250) NOT NULL PRIMARY KEY,
    pass_details TEXT         NOT NULL
);
