//! A runtime for the thread that uses a connection.

use tokio::runtime::Runtime;

/// A runtime that does not wait for its blocking tasks when it is dropped: looking up a host's name may take minutes, and
/// must not delay a thread that is to stop.
pub(crate) struct LocalRuntime(Option<Runtime>);

impl LocalRuntime {
    pub(crate) fn new() -> std::io::Result<LocalRuntime> {
        Ok(LocalRuntime(Some(tokio::runtime::Builder::new_current_thread().enable_all().build()?)))
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.as_ref().expect("only `drop` takes the runtime").block_on(future)
    }
}

impl Drop for LocalRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
