-- The tables that all nodes share, column for column those of MongooseIM 6.0 and later.
-- Each is created only where it is absent.

-- One row a domain. status: 0 disabled, 1 enabled, 2 deleting.
CREATE TABLE IF NOT EXISTS domain_settings (
    id        BIGSERIAL    NOT NULL UNIQUE,
    domain    VARCHAR(250) NOT NULL PRIMARY KEY,
    host_type VARCHAR(250) NOT NULL,
    status    SMALLINT     NOT NULL DEFAULT 1
);

-- One row a change: something about this domain is different now. An empty domain means nothing.
CREATE TABLE IF NOT EXISTS domain_events (
    id     BIGSERIAL    NOT NULL PRIMARY KEY,
    domain VARCHAR(250) NOT NULL
);
CREATE INDEX IF NOT EXISTS i_domain_events_domain ON domain_events (domain);

-- The domain admins' passwords.
CREATE TABLE IF NOT EXISTS domain_admins (
    domain       VARCHAR(250) NOT NULL PRIMARY KEY,
    pass_details TEXT         NOT NULL
);
