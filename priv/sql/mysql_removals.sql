-- The table of removals.sql, for MariaDB.

-- One row for each domain that a node removes, or has failed to remove. Times are milliseconds since 1970, by the
-- database's clock. owner: the node that owns the job until lease_until; NULL after the job has failed.
CREATE TABLE IF NOT EXISTS domain_removals (
    domain        VARCHAR(250) NOT NULL PRIMARY KEY,
    host_type     VARCHAR(250) NOT NULL,
    owner         VARCHAR(250),
    lease_until   BIGINT       NOT NULL,
    handlers      BIGINT       NOT NULL DEFAULT 0,
    handlers_done BIGINT       NOT NULL DEFAULT 0,
    failure       TEXT
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
