//! How long requests take, by interface and by class of status.
//!
//! The time runs from the end of a request's head to the end of the response's head: it includes the time that a client
//! takes to send a body, and not the time that it takes to read a streamed response. A request whose client disconnects
//! before is not recorded.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// The upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// An interface: one of the program's "doors".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `/api`, except `/api/graphql`.
    Rest,
    /// `/api/graphql`.
    GraphQl,
    /// `/v1`.
    Freshness,
    /// `/metrics`.
    Metrics,
    /// `/healthz` and `/readyz`.
    Health,
    /// `/ask`, which has a listener of its own.
    Ask,
    /// Any other path.
    None,
}

impl Door {
    fn of(path: &str) -> Door {
        let mut parts = path.split('/').skip(1);
        match (parts.next().unwrap_or_default(), parts.next()) {
            ("api", Some("graphql")) => Door::GraphQl,
            ("api", _) => Door::Rest,
            ("v1", _) => Door::Freshness,
            ("metrics", None) => Door::Metrics,
            ("healthz" | "readyz", None) => Door::Health,
            _ => Door::None,
        }
    }

    /// Its name in the metrics.
    fn name(self) -> &'static str {
        match self {
            Door::Rest => "rest",
            Door::GraphQl => "graphql",
            Door::Freshness => "freshness",
            Door::Metrics => "metrics",
            Door::Health => "health",
            Door::Ask => "ask",
            Door::None => "none",
        }
    }
}

type Labels = [(&'static str, &'static str); 2];

/// A histogram for each interface and class of status that occurred.
#[derive(Debug)]
pub struct Latency(Family<Labels, Histogram, fn() -> Histogram>);

impl Default for Latency {
    fn default() -> Latency {
        Latency(Family::new_with_constructor(|| Histogram::new(BOUNDS)))
    }
}

impl Latency {
    /// Waits for a response and records how long it took.
    pub async fn time(&self, door: Door, response: impl Future<Output = Response>) -> Response {
        let begin = Instant::now();
        let response = response.await;
        self.record(door, response.status(), begin.elapsed());
        response
    }

    fn record(&self, door: Door, status: StatusCode, took: Duration) {
        let class = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.0.get_or_create(&[("door", door.name()), ("code", class)]).observe(took.as_secs_f64());
    }
}

/// Not a registered metric: the registry leaves out a family without samples, and every scrape must have all families.
impl Collector for Latency {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "How long requests took, by door and class of code.";
        let family = encoder.encode_descriptor("request_duration_seconds", help, None, MetricType::Histogram)?;
        self.0.encode(family)
    }
}

/// The middleware that times all requests.
pub async fn measure(State(latency): State<Arc<Latency>>, request: Request, next: Next) -> Response {
    let door = Door::of(request.uri().path());
    latency.time(door, next.run(request)).await
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::prometheus_text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_path_leads_to_one_door() {
        let doors = [
            ("/api/domains/a.example", Door::Rest),
            ("/api", Door::Rest),
            ("/api/graphql", Door::GraphQl),
            ("/api/graphql/more", Door::GraphQl),
            ("/v1/domains/upsert", Door::Freshness),
            ("/metrics", Door::Metrics),
            ("/metrics/more", Door::None),
            ("/healthz", Door::Health),
            ("/readyz", Door::Health),
            ("/apis", Door::None),
            ("/", Door::None),
            ("*", Door::None),
        ];
        for (path, door) in doors {
            assert_eq!(Door::of(path), door, "{path}");
        }
    }

    #[test]
    fn a_request_is_counted_in_its_bucket_and_all_above() {
        let latency = Latency::default();
        for milliseconds in [0, 1, 2, 20_000] {
            latency.record(Door::Rest, StatusCode::NO_CONTENT, Duration::from_millis(milliseconds));
        }
        latency.record(Door::Health, StatusCode::SERVICE_UNAVAILABLE, Duration::from_millis(3));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(latency));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).expect("a `String` takes everything");
        assert_eq!(text.lines().filter(|line| line.contains("_count{")).count(), 2, "{text}");
        for line in [
            "# TYPE request_duration_seconds histogram",
            r#"request_duration_seconds_count{door="rest",code="2xx"} 4"#,
            r#"request_duration_seconds_count{door="health",code="5xx"} 1"#,
            r#"request_duration_seconds_sum{door="rest",code="2xx"} 20.003"#,
            r#"request_duration_seconds_bucket{door="rest",code="2xx",le="0.0005"} 1"#,
            r#"request_duration_seconds_bucket{door="rest",code="2xx",le="0.001"} 2"#,
            r#"request_duration_seconds_bucket{door="rest",code="2xx",le="0.0025"} 3"#,
            r#"request_duration_seconds_bucket{door="rest",code="2xx",le="10"} 3"#,
            r#"request_duration_seconds_bucket{door="rest",code="2xx",le="+Inf"} 4"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in {text}");
        }
    }
}
