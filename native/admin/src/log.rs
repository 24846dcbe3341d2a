//! Sends this program's log events to the node, which logs them.
//!
//! Events are those of `tracing`. The field `what` is the event's name, as everywhere in this project; the others
//! become the event's fields. `tracing` has no level `notice`, the lowest that a node prints by default; so its `info`
//! becomes `notice`, and its `debug` becomes `info`. Events of libraries are dropped, because they may quote a request,
//! and a request may hold a secret. When the queue of frames is full, events are dropped: no request waits for the log.

use std::fmt::Debug;
use std::panic::PanicHookInfo;

use eetf::Term;
use tokio::sync::mpsc::Sender;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::term::{atom, binary, integer, map, tuple};

/// The layer of `tracing` that sends events to the node.
pub struct NodeLog {
    frames: Sender<Term>,
}

impl NodeLog {
    /// A layer that sends frames by this channel.
    pub fn new(frames: Sender<Term>) -> NodeLog {
        NodeLog { frames }
    }
}

/// Logs where a panic happened, and not its message, which may quote a request. A panic ends the task of one
/// connection; in case it ends the program, it is also written to standard error.
pub fn log_panic(panic: &PanicHookInfo<'_>) {
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

impl<S: Subscriber> Layer<S> for NodeLog {
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
