-- The tables that all nodes share, with the columns of MongooseIM 6.0 and later. Existing tables are not changed.

-- One row for each domain. status: 0 disabled, 1 enabled, 2 deleting.
CREATE TABLE IF NOT EXISTS domain_settings (
    id        BIGSERIAL    NOT NULL UNIQUE,
    domain    VARCHAR(250) NOT NULL PRIMARY KEY,
    host_type VARCHAR(250) NOT NULL,
    status    SMALLINT     NOT NULL DEFAULT 1
);

-- One row for each change of a domain. A row with an empty domain has no meaning.
CREATE TABLE IF NOT EXISTS domain_events (
    id     BIGSERIAL    NOT NULL PRIMARY KEY,
    domain VARCHAR(250) NOT NULL
);
CREATE INDEX IF NOT EXISTS i_domain_events_domain ON domain_events (domain);

-- The passwords of domain admins.
CREATE TABLE IF NOT EXISTS domain_admins (
    domain       VARCHAR(250) NOT NULL PRIMARY KEY,
    pass_details TEXT         NOT NULL
);
