//! How long requests took, by door and by how they ended.
//!
//! A request begins when its head was read, and is over when its answer's head is there: what a client takes
//! to send a body is part of it, what it takes to read a streamed answer is not. Requests whose clients hung up
//! before are not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

/// The upper ends of the buckets.
const BOUNDS: [Duration; 13] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1_000),
    Duration::from_millis(2_500),
    Duration::from_millis(10_000),
];

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `/api`, but for the next one.
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
    /// Where there is no door.
    None,
}

impl Door {
    const ALL: [Door; 7] =
        [Door::Rest, Door::GraphQl, Door::Freshness, Door::Metrics, Door::Health, Door::Ask, Door::None];

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

    /// What the metrics call it.
    pub fn name(self) -> &'static str {
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

/// Codes by their first digit.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Default)]
struct Histogram {
    /// How many were up to each bound and above the one before; the last one is for those above all.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// Five centuries of them fit.
    nanoseconds: AtomicU64,
}

/// What a histogram has counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// Where the requests came in.
    pub door: Door,
    /// The class of their codes.
    pub class: &'static str,
    /// Bounds in seconds, and how many were up to each.
    pub buckets: Vec<(f64, u64)>,
    /// How many in all.
    pub count: u64,
    /// What they took together, in seconds.
    pub sum: f64,
}

/// The histograms of all doors.
#[derive(Default)]
pub struct Latency {
    doors: [[Histogram; CLASSES.len()]; Door::ALL.len()],
}

impl Latency {
    /// Counts the request that is answered so.
    pub async fn time(&self, door: Door, answer: impl Future<Output = Response>) -> Response {
        let begin = Instant::now();
        let response = answer.await;
        self.record(door, response.status(), begin.elapsed());
        response
    }

    /// Counts a request.
    fn record(&self, door: Door, status: StatusCode, took: Duration) {
        // A code has three digits and begins with 1 to 9; those beyond 5 do not exist.
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let histogram = &self.doors[door as usize][class];
        let bucket = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        let nanoseconds = took.as_nanos().try_into().unwrap_or(u64::MAX);
        histogram.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        histogram.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// The histograms in which something was counted.
    pub fn times(&self) -> Vec<Times> {
        let cells = Door::ALL.iter().flat_map(|door| CLASSES.iter().enumerate().map(move |cell| (*door, cell)));
        let times = cells.map(|(door, (index, class))| self.doors[door as usize][index].times(door, class));
        times.filter(|times| times.count > 0).collect()
    }
}

impl Histogram {
    fn times(&self, door: Door, class: &'static str) -> Times {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(BOUNDS.len());
        for (place, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            buckets.extend(BOUNDS.get(place).map(|bound| (bound.as_secs_f64(), count)));
        }
        let sum = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        Times { door, class, buckets, count, sum }
    }
}

/// Has a request answered, and counts it.
pub async fn measure(State(latency): State<Arc<Latency>>, request: Request, next: Next) -> Response {
    let door = Door::of(request.uri().path());
    latency.time(door, next.run(request)).await
}

#[cfg(test)]
mod tests {
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
        let times = latency.times();
        assert_eq!(
            times.iter().map(|it| (it.door, it.class)).collect::<Vec<_>>(),
            [(Door::Rest, "2xx"), (Door::Health, "5xx"),]
        );
        let Times { buckets, count, sum, .. } = &times[0];
        assert_eq!((*count, *sum), (4, 20.003));
        assert_eq!(buckets[..3], [(0.0005, 1), (0.001, 2), (0.0025, 3)]);
        assert_eq!(buckets.last(), Some(&(10.0, 3)));
    }
}
