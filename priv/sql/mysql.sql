-- The tables that all nodes share, for MariaDB, with the columns of MongooseIM 6.0 and later. Existing tables are not
-- changed. Names compare as bytes, whatever the server's character set and collation are.

-- One row for each domain. status: 0 disabled, 1 enabled, 2 deleting.
CREATE TABLE IF NOT EXISTS domain_settings (
    id        BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    domain    VARCHAR(250)    NOT NULL,
    host_type VARCHAR(250)    NOT NULL,
    status    TINYINT         NOT NULL DEFAULT 1,
    UNIQUE INDEX i_domain_settings_domain (domain)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- One row for each change of a domain. A row with an empty domain has no meaning.
CREATE TABLE IF NOT EXISTS domain_events (
    id     BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    domain VARCHAR(250)    NOT NULL,
    INDEX i_domain_events_domain (domain)
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- The passwords of domain admins.
CREATE TABLE IF NOT EXISTS domain_admins (
    domain       VARCHAR(250) NOT NULL PRIMARY KEY,
    pass_details TEXT         NOT NULL
) ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
