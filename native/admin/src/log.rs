//! What this program has to say goes to the node's log.
//!
//! Events are those of `tracing`. The field `what` is the event's name in the log, as everywhere in this
//! project; the others become its fields. `tracing` has no level for what is in the course of things and seldom, which a
//! node prints unless it is configured otherwise: its `info` is the log's `notice`, and its `debug` the log's `info`. Only
//! what this crate says is handed over, and nothing below: libraries talk about requests, and a request may hold a
//! secret. A log that cannot keep up loses lines: no request waits for it.

use std::fmt::Debug;
use std::panic::PanicHookInfo;

use eetf::Term;
use tokio::sync::mpsc::Sender;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::term::{atom, binary, integer, map, tuple};

/// Hands events to the node.
pub struct ToNode {
    frames: Sender<Term>,
}

impl ToNode {
    /// One that writes these frames.
    pub fn new(frames: Sender<Term>) -> ToNode {
        ToNode { frames }
    }
}

/// Says where a panic happened, and not its message: that may quote the request. It ends the task of one connection; it
/// goes to standard error, too, in case that the program ends with it.
pub fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    eprintln!("domain_admin: a panic at {place}");
    tracing::error!(what = "domain_admin_panicked", place);
}

#[derive(Default)]
struct Fields {
    what: Option<String>,
    others: Vec<(Term, Term)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Term) {
        self.others.push((binary(field.name()), value));
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, integer(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "what" => self.what = Some(value.to_owned()),
            _ => self.put(field, binary(value)),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, binary(format!("{value:?}")));
    }
}

impl<S: Subscriber> Layer<S> for ToNode {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "notice",
            Level::DEBUG => "info",
            _ => return,
        };
        if !event.metadata().target().starts_with(env!("CARGO_PKG_NAME")) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let what = fields.what.unwrap_or_else(|| "domain_admin".to_owned());
        let _ = self.frames.try_send(tuple([atom("log"), atom(level), binary(what), map(fields.others)]));
    }
}
