-- Declarations of freshness: which host types' rows are complete. Only this project has this table. The first declaration
-- creates it.

-- One row for each freshness domain, which is named after a host type. expire_time: nanoseconds since 1970, by the
-- database's clock; 9223372036854775807 means that it does not expire.
CREATE TABLE IF NOT EXISTS domain_freshness (
    domain      VARCHAR(250) NOT NULL PRIMARY KEY,
    expire_time BIGINT       NOT NULL
);
