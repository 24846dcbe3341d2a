-- The tables of postgres.sql, for a node with an embedded SQLite database.
-- AUTOINCREMENT, because the id of an event must never be used twice.

-- One row for each domain. status: 0 disabled, 1 enabled, 2 deleting.
CREATE TABLE IF NOT EXISTS domain_settings (
    id        INTEGER      NOT NULL PRIMARY KEY AUTOINCREMENT,
    domain    VARCHAR(250) NOT NULL UNIQUE,
    host_type VARCHAR(250) NOT NULL,
    status    SMALLINT     NOT NULL DEFAULT 1
);

-- One row for each change of a domain. A row with an empty domain has no meaning.
CREATE TABLE IF NOT EXISTS domain_events (
    id     INTEGER      NOT NULL PRIMARY KEY AUTOINCREMENT,
    domain VARCHAR(250) NOT NULL
);
CREATE INDEX IF NOT EXISTS i_domain_events_domain ON domain_events (domain);

-- The passwords of domain admins.
CREATE TABLE IF NOT EXISTS domain_admins (
    domain       VARCHAR(250) NOT NULL PRIMARY KEY,
    pass_details TEXT         NOT NULL
);
