//! WITH parts that several changes have in common.

/// Inserts an event for each row of a WITH part; returns its id.
macro_rules! insert_events {
    ($from:literal) => {
        concat!("logged AS (INSERT INTO domain_events (domain) SELECT domain FROM ", $from, " RETURNING id, domain)")
    };
}

/// Deletes the passwords of the domains of a WITH part, and those of these subdomains that have no row of their own.
macro_rules! delete_admins {
    ($of:literal, $subdomains:literal) => {
        concat!(
            // The array is read first, and each of its names found by the index. OFFSET keeps the planner from a join.
            "admin AS (DELETE FROM domain_admins WHERE domain = ANY (ARRAY(
                         SELECT domain FROM ",
            $of,
            " UNION ALL
                         SELECT b.name FROM ",
            $of,
            ", unnest(",
            $subdomains,
            "::text[]) AS b (name)
                          WHERE NOT EXISTS (SELECT FROM domain_settings o WHERE o.domain = b.name OFFSET 0))))"
        )
    };
}

/// The same for several domains of the statement, whose subdomains are these names of these parents.
macro_rules! delete_admins_of_several {
    ($of:literal, $subdomains:literal, $parents:literal) => {
        concat!(
            "admin AS (DELETE FROM domain_admins WHERE domain = ANY (ARRAY(
                         SELECT domain FROM ",
            $of,
            " UNION ALL
                         SELECT b.name FROM (SELECT * FROM unnest(",
            $subdomains,
            "::text[], ",
            $parents,
            "::text[]) LIMIT cardinality(",
            $subdomains,
            "::text[])) AS b (name, parent)
                           JOIN ",
            $of,
            " AS of ON of.domain = b.parent
                          WHERE NOT EXISTS (SELECT FROM domain_settings o WHERE o.domain = b.name OFFSET 0))))"
        )
    };
}

/// Notifies listeners if an event was inserted.
macro_rules! notify {
    () => {
        "(SELECT pg_notify('mongoose_domain_events', '')::text FROM logged LIMIT 1)"
    };
}

pub(super) use {delete_admins, delete_admins_of_several, insert_events, notify};
