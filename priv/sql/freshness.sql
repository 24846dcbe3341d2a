-- Whose rows are complete: this project's own table, made by the first declaration of freshness.

-- One row a freshness domain, which is named after a host type. expire_time: nanoseconds since 1970, by the database's
-- clock; 9223372036854775807 is for ever.
CREATE TABLE IF NOT EXISTS domain_freshness (
    domain      VARCHAR(250) NOT NULL PRIMARY KEY,
    expire_time BIGINT       NOT NULL
);
