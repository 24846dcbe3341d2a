//! What the other crates' types look like in Erlang: reports for the log, and the status.

use std::time::{SystemTime, UNIX_EPOCH};

use domain_store::Bounds;
use domain_sync::{Complaint, Report, State, Status};
use rustler::{Atom, Encoder, Env, NewBinary, NifResult, Term};

pub(crate) mod atoms {
    rustler::atoms! {
        ok, error, undefined, done,
        // what became of an insertion or a deletion
        added, kept, removed, absent, r#static = "static", unknown_host_type, bad_insert, invalid_domain,
        // the follower's messages
        domain_follower, ask, reports, synced, ended, stopped, panicked,
        // levels
        info, notice, warning, critical,
        // status
        state, since, database, cursor, lag, newest, current_at, last_error, last_error_at, loads, events,
        connecting, loading, following, away,
        // reports
        what, reason, domain, host_type, status, count, duration, inserts, deletes, skips, oldest,
        domain_database_away, domain_database_back, load_data_from_base, load_updated_domains,
        events_log_out_of_sync, remove_outdated_domains_from_core, outdated_domains_kept,
        domain_static_but_in_db, domain_static_but_was_in_db, ignore_domain_from_db_with_unknown_host_type,
        ignore_domain_from_db_with_invalid_name, ignore_domain_from_db_with_unknown_status,
        ignore_more_domains_from_db,
    }
}

pub(crate) fn binary<'a>(env: Env<'a>, bytes: &[u8]) -> Term<'a> {
    NewBinary::from_slice(env, bytes).into()
}

/// `{Level, #{what := Event, ...}}`, as the logger takes it. The names are MongooseIM's where it has one.
pub(crate) fn report_term<'a>(env: Env<'a>, report: &Report) -> Term<'a> {
    let text = |text: &str| binary(env, text.as_bytes());
    let number = |number: u64| number.encode(env);
    let (level, what, fields) = match report {
        Report::Away { error } => (atoms::error(), atoms::domain_database_away(), vec![(atoms::reason(), text(error))]),
        Report::Back => (atoms::notice(), atoms::domain_database_back(), vec![]),
        Report::Loaded { count, took } => {
            let took = number(took.as_millis() as u64);
            let fields = vec![(atoms::count(), number(*count)), (atoms::duration(), took)];
            (atoms::info(), atoms::load_data_from_base(), fields)
        }
        Report::Updated { inserts, deletes, skips } => {
            let fields = [(atoms::inserts(), inserts), (atoms::deletes(), deletes), (atoms::skips(), skips)];
            let fields = fields.map(|(name, count)| (name, number(*count))).to_vec();
            (atoms::info(), atoms::load_updated_domains(), fields)
        }
        Report::OutOfSync { cursor, bounds } => {
            let mut fields = vec![(atoms::cursor(), cursor.0.encode(env))];
            if let Bounds::From { oldest, newest } = bounds {
                fields.push((atoms::oldest(), oldest.0.encode(env)));
                fields.push((atoms::newest(), newest.0.encode(env)));
            }
            (atoms::critical(), atoms::events_log_out_of_sync(), fields)
        }
        Report::OutdatedRemoved { count } => {
            let fields = vec![(atoms::count(), number(*count))];
            (atoms::warning(), atoms::remove_outdated_domains_from_core(), fields)
        }
        Report::OutdatedKept { count } => {
            (atoms::warning(), atoms::outdated_domains_kept(), vec![(atoms::count(), number(*count))])
        }
        Report::Complaint(complaint) => {
            let (what, field) = match complaint {
                Complaint::StaticButInDb { .. } => (atoms::domain_static_but_in_db(), None),
                Complaint::StaticButWasInDb { .. } => (atoms::domain_static_but_was_in_db(), None),
                Complaint::UnknownHostType { host_type, .. } => {
                    (atoms::ignore_domain_from_db_with_unknown_host_type(), Some((atoms::host_type(), text(host_type))))
                }
                Complaint::InvalidDomain { reason, .. } => {
                    (atoms::ignore_domain_from_db_with_invalid_name(), Some((atoms::reason(), text(reason))))
                }
                Complaint::UnknownStatus { status, .. } => {
                    (atoms::ignore_domain_from_db_with_unknown_status(), Some((atoms::status(), status.encode(env))))
                }
            };
            let fields = [Some((atoms::domain(), text(complaint.domain()))), field];
            (atoms::error(), what, fields.into_iter().flatten().collect())
        }
        Report::MoreComplaints { count } => {
            (atoms::error(), atoms::ignore_more_domains_from_db(), vec![(atoms::count(), number(*count))])
        }
    };
    let fields = fields.into_iter().chain([(atoms::what(), what.encode(env))]);
    // Every key is an atom of its own, so this is a map.
    let map = fields.fold(Term::map_new(env), |map, (key, value)| map.map_put(key, value).unwrap_or(map));
    (level, map).encode(env)
}

/// A map; times are milliseconds since the epoch, what is not known is `undefined`.
pub(crate) fn status_term<'a>(env: Env<'a>, status: &Status) -> NifResult<Term<'a>> {
    let maybe = |term: Option<Term<'a>>| term.unwrap_or_else(|| atoms::undefined().encode(env));
    let state = match status.state {
        State::Connecting => atoms::connecting(),
        State::Loading => atoms::loading(),
        State::Following => atoms::following(),
        State::Away => atoms::away(),
        State::Ended => atoms::ended(),
    };
    let lag = status.newest.zip(status.cursor).map(|(newest, cursor)| (newest.0 - cursor.0).max(0).encode(env));
    let (error, error_at) = status.last_error.as_ref().map(|(text, at)| (binary(env, text.as_bytes()), *at)).unzip();
    let pairs: [(Atom, Term); 10] = [
        (atoms::state(), state.encode(env)),
        (atoms::since(), millis(status.since).encode(env)),
        (atoms::database(), binary(env, status.database.as_bytes())),
        (atoms::cursor(), maybe(status.cursor.map(|cursor| cursor.0.encode(env)))),
        (atoms::lag(), maybe(lag)),
        (atoms::current_at(), maybe(status.current_at.map(|at| millis(at).encode(env)))),
        (atoms::last_error(), maybe(error)),
        (atoms::last_error_at(), maybe(error_at.map(|at| millis(at).encode(env)))),
        (atoms::loads(), status.loads.encode(env)),
        (atoms::events(), status.events.encode(env)),
    ];
    Term::map_from_pairs(env, &pairs)
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
