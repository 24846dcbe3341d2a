//! `/metrics`: what Prometheus reads, in its text format (version 0.0.4).
//!
//! The node measures at the moment of the scrape (`mongoose_domain_metrics`); only the durations of requests are
//! recorded here ([`latency`](crate::latency)). Families that need the database have no samples while it does not
//! answer, and `mongoose_domain_database_up` is 0 then.
//!
//! `/metrics` requires the admin's credentials, because it names the host types.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, GaugeValueEncoder, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use serde::Deserialize;

use crate::caller::Caller;
use crate::health::ask_in_time;
use crate::latency::Latency;
use crate::model::Finite;
use crate::node_calls::typed;
use crate::request::Request;
use crate::response::ErrorResponse;
use crate::state::AppState;

/// What begins the name of every family.
const PREFIX: &str = "mongoose_domain";

/// The node's answer.
#[derive(Debug, Deserialize)]
struct NodeMetrics {
    enabled: bool,
    ready: bool,
    domains: Vec<Domains>,
    /// By part of the table.
    table_bytes: BTreeMap<String, u64>,
    lookups: Lookups,
    follower: Option<Follower>,
    failed_operations: u64,
    database: Option<Database>,
}

/// The domains of a host type.
#[derive(Debug, Deserialize)]
struct Domains {
    host_type: String,
    r#static: u64,
    dynamic: u64,
}

#[derive(Debug, Deserialize)]
struct Lookups {
    hits: u64,
    misses: u64,
}

/// Before the first follower starts, the node sends its state alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Follower {
    state: String,
    lag: Option<i64>,
    lag_seconds: Option<u64>,
    open_gaps: u64,
    oldest_gap_seconds: u64,
    kept_by_host_type: BTreeMap<String, u64>,
    stale: bool,
    loads: u64,
    events: u64,
    repairs_added: u64,
    repairs_changed: u64,
    repairs_removed: u64,
    failures: u64,
}

/// What the database contains.
#[derive(Debug, Deserialize)]
struct Database {
    freshness: Vec<Freshness>,
    removals: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Freshness {
    host_type: String,
    seconds_left: Finite,
}

/// The states of a follower, and the one before the first follower starts.
const STATES: [&str; 7] = ["not_running", "connecting", "loading", "converging", "following", "away", "ended"];

/// Handles `GET /metrics`.
pub async fn metrics(State(state): State<Arc<AppState>>, caller: Caller) -> Result<Response, ErrorResponse> {
    caller.authenticate(&state).await?;
    let answer = ask_in_time(&state, Request::Metrics).await.ok_or(ErrorResponse::Overloaded)?;
    let text = text(typed(answer?)?, &state.latency);
    Ok(([(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], text).into_response())
}

fn text(metrics: NodeMetrics, latency: &Arc<Latency>) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(metrics));
    registry.register_collector(Box::new(latency.clone()));
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

impl Collector for NodeMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.encode_table(&mut families)?;
        self.encode_follower(&mut families)?;
        self.encode_database(&mut families)
    }
}

impl NodeMetrics {
    fn encode_table(&self, families: &mut Families<'_>) -> fmt::Result {
        let NodeMetrics { enabled, ready, domains, table_bytes, lookups, .. } = self;
        families.gauge(
            "service_enabled",
            "Whether the configuration names a database.",
            [([], u64::from(*enabled))],
        )?;
        families.gauge(
            "ready",
            "Whether the dynamic domains are served, as /readyz says.",
            [([], u64::from(*ready))],
        )?;
        let by_source = |it: &'_ Domains| [("static", it.r#static), ("dynamic", it.dynamic)];
        families.gauge(
            "domains",
            "Domains in this node's table, by host type and source.",
            domains.iter().flat_map(|it| {
                by_source(it).map(|(source, count)| ([("host_type", it.host_type.as_str()), ("source", source)], count))
            }),
        )?;
        families.gauge(
            "table_bytes",
            "Memory that this node's table uses beside the VM's own, by part.",
            table_bytes.iter().map(|(part, bytes)| ([("part", part.as_str())], *bytes)),
        )?;
        families.counter(
            "lookups",
            "Lookups of domains, by what they found.",
            [([("result", "hit")], lookups.hits), ([("result", "miss")], lookups.misses)],
        )
    }

    fn encode_follower(&self, families: &mut Families<'_>) -> fmt::Result {
        let follower = self.follower.as_ref();
        let unlabelled = |value: fn(&Follower) -> u64| follower.map(|it| ([], value(it)));
        families.gauge(
            "follower_state",
            "1 for what the follower of the database is doing.",
            follower.iter().flat_map(|it| STATES.map(|state| ([("state", state)], u64::from(it.state == state)))),
        )?;
        families.gauge(
            "follower_lag_events",
            "How many ids of events the log was ahead of the table at the last look.",
            follower.and_then(|it| it.lag).map(|lag| ([], lag)),
        )?;
        families.gauge(
            "follower_lag_seconds",
            "For how long the table may have been out of date.",
            follower.and_then(|it| it.lag_seconds).map(|lag| ([], lag)),
        )?;
        families.gauge(
            "follower_open_gaps",
            "Ranges of ids that were passed by and may still hold events.",
            unlabelled(|it| it.open_gaps),
        )?;
        families.gauge(
            "follower_oldest_gap_seconds",
            "For how long the oldest of them has been open; 0 where none is.",
            unlabelled(|it| it.oldest_gap_seconds),
        )?;
        families.gauge(
            "follower_stale",
            "Whether all routes are from a file, and the database did not answer yet.",
            unlabelled(|it| it.stale.into()),
        )?;
        families.counter(
            "follower_loads",
            "Loads and comparisons of everything since the follower was started.",
            unlabelled(|it| it.loads),
        )?;
        families.counter(
            "follower_events",
            "Events that were followed since the follower was started.",
            unlabelled(|it| it.events),
        )?;
        families.gauge(
            "kept_routes",
            "Routes that stay although the database does not have them.",
            self.kept_routes().into_iter().map(|(host_type, count)| ([("host_type", host_type)], count)),
        )?;
        families.counter(
            "convergence_repairs",
            "Domains that comparisons with the database repaired.",
            follower.iter().flat_map(|it| {
                [("added", it.repairs_added), ("changed", it.repairs_changed), ("removed", it.repairs_removed)]
                    .map(|(repair, count)| ([("repair", repair)], count))
            }),
        )
    }

    /// By host type, those without kept routes too; none where there is no follower.
    fn kept_routes(&self) -> BTreeMap<&str, u64> {
        let Some(follower) = &self.follower else { return BTreeMap::new() };
        let zeros = self.domains.iter().map(|domains| (domains.host_type.as_str(), 0));
        let kept = follower.kept_by_host_type.iter().map(|(host_type, count)| (host_type.as_str(), *count));
        zeros.chain(kept).collect()
    }

    fn encode_database(&self, families: &mut Families<'_>) -> fmt::Result {
        let database = self.database.as_ref();
        families.gauge(
            "database_up",
            "Whether the database answered for this scrape.",
            self.enabled.then_some(([], u64::from(database.is_some()))),
        )?;
        families.counter(
            "database_errors",
            "How often the database failed, by who asked it.",
            self.follower.iter().flat_map(|it| {
                [("follower", it.failures), ("operations", self.failed_operations)]
                    .map(|(asked_by, count)| ([("asked_by", asked_by)], count))
            }),
        )?;
        families.gauge(
            "freshness_expires_in_seconds",
            "Seconds until what was declared for a host type expires, 0 when it has, +Inf for never.",
            database
                .iter()
                .flat_map(|it| &it.freshness)
                .map(|it| ([("host_type", it.host_type.as_str())], it.seconds_left)),
        )?;
        families.gauge(
            "removals",
            "Jobs of removal in the database, by state.",
            database.iter().flat_map(|it| &it.removals).map(|(state, count)| ([("state", state.as_str())], *count)),
        )
    }
}

/// Writes families: each with its help and its type, then its samples.
struct Families<'a>(DescriptorEncoder<'a>);

/// The labels of a sample.
type Labels<'a, const N: usize> = [(&'a str, &'a str); N];

impl Families<'_> {
    fn gauge<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a, N>, impl EncodeGaugeValue)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        samples.into_iter().try_for_each(|(labels, value)| family.encode_family(&labels)?.encode_gauge(&value))
    }

    /// A counter, whose name gets the suffix `_total`.
    fn counter<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        samples.into_iter().try_for_each(|(labels, value)| {
            family.encode_family(&labels)?.encode_counter::<Labels<'_, 0>, _, f64>(&value, None)
        })
    }
}

impl EncodeGaugeValue for Finite {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self.finite() {
            Some(number) => number.encode(encoder),
            None => f64::INFINITY.encode(encoder),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lines(measured: Value) -> Vec<String> {
        let measured = serde_json::from_value(measured).unwrap();
        text(measured, &Arc::default()).lines().map(str::to_owned).collect()
    }

    fn measured() -> Value {
        json!({
            "enabled": true, "ready": true,
            "domains": [{"host_type": "type\"1\"", "static": 1, "dynamic": 2}],
            "table_bytes": {"entries": 11, "index": 12, "change_feed": 0},
            "lookups": {"hits": 3, "misses": 4},
            "follower": {
                "state": "following", "lag": null, "lag_seconds": 5, "open_gaps": 6, "oldest_gap_seconds": 12, "kept": 9,
                "kept_by_host_type": {"type9": 9}, "stale": false, "repairs_changed": 7, "failures": 8
            },
            "failed_operations": 10,
            "database": {
                "freshness": [
                    {"host_type": "a", "seconds_left": 0},
                    {"host_type": "b", "seconds_left": "infinity"}
                ],
                "removals": {"running": 0, "orphaned": 1, "failed": 2}
            }
        })
    }

    #[test]
    fn every_value_of_the_node_is_written() {
        let lines = lines(measured());
        for line in [
            r#"domains{host_type="type\"1\"",source="static"} 1"#,
            r#"domains{host_type="type\"1\"",source="dynamic"} 2"#,
            r#"table_bytes{part="entries"} 11"#,
            r#"lookups_total{result="miss"} 4"#,
            r#"follower_state{state="following"} 1"#,
            r#"follower_state{state="away"} 0"#,
            r#"follower_lag_seconds 5"#,
            r#"follower_open_gaps 6"#,
            r#"follower_oldest_gap_seconds 12"#,
            r#"follower_stale 0"#,
            r#"kept_routes{host_type="type9"} 9"#,
            r#"kept_routes{host_type="type\"1\""} 0"#,
            r#"convergence_repairs_total{repair="changed"} 7"#,
            r#"database_errors_total{asked_by="follower"} 8"#,
            r#"database_errors_total{asked_by="operations"} 10"#,
            r#"database_up 1"#,
            r#"freshness_expires_in_seconds{host_type="a"} 0"#,
            r#"freshness_expires_in_seconds{host_type="b"} +Inf"#,
            r#"removals{state="failed"} 2"#,
        ] {
            assert!(lines.contains(&format!("mongoose_domain_{line}")), "{line} is not in {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("mongoose_domain_follower_lag_events")), "it is unknown");
    }

    #[test]
    fn without_an_answer_of_the_database_its_families_are_empty_and_it_is_down() {
        let mut measured = measured();
        measured["database"] = Value::Null;
        let lines = lines(measured);
        assert!(lines.contains(&"mongoose_domain_database_up 0".to_owned()));
        let of_the_database = ["mongoose_domain_removals", "mongoose_domain_freshness"];
        assert!(!lines.iter().any(|line| of_the_database.iter().any(|name| line.starts_with(name))));
        assert!(lines.iter().any(|line| line.starts_with("mongoose_domain_kept_routes{")));
    }

    #[test]
    fn without_a_service_there_is_no_follower_and_no_database() {
        let mut measured = measured();
        measured["enabled"] = false.into();
        measured["follower"] = Value::Null;
        measured["database"] = Value::Null;
        let samples: Vec<_> = lines(measured).into_iter().filter(|line| !line.starts_with('#')).collect();
        let of_a_service = ["follower", "kept", "convergence", "database", "freshness", "removals"];
        assert!(!samples.iter().any(|line| of_a_service.iter().any(|name| line.contains(name))), "{samples:?}");
        assert!(samples.contains(&"mongoose_domain_service_enabled 0".to_owned()));
    }
}
