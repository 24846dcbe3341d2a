-- The table of freshness.sql, for MariaDB.

-- One row for each freshness domain, which is named after a host type. expire_time: nanoseconds since 1970, by the
-- database's clock; 9223372036854775807 means that it does not expire.
CREATE TABLE IF NOT EXISTS domain_freshness (
    domain      VARCHAR(250) NOT NULL PRIMARY KEY,
    expire_time BIGINT       NOT NULL
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
