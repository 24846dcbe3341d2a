-- The jobs of removing domains: this project's own table, made by the first operation that needs it.

-- One row a domain in removal that a node of ours works on or gave up. Times are milliseconds since 1970, by the
-- database's clock. owner: who works on it until lease_until; nobody once it failed.
CREATE TABLE IF NOT EXISTS domain_removals (
    domain        VARCHAR(250) NOT NULL PRIMARY KEY,
    host_type     VARCHAR(250) NOT NULL,
    owner         VARCHAR(250),
    lease_until   BIGINT       NOT NULL,
    handlers      BIGINT       NOT NULL DEFAULT 0,
    handlers_done BIGINT       NOT NULL DEFAULT 0,
    failure       TEXT
);
