//! Why the follower's thread, or a step of a pass, does not go on.

use domain_core::Stale;
use domain_store::StoreError;

use crate::cursor::LogFault;

/// Why the thread does not go on with its connection.
pub(crate) enum Halt {
    /// It was stopped, or its owner is gone.
    Stop,
    /// The database failed.
    Away(StoreError),
    /// A writer found the database elsewhere, so a new connection is needed.
    Reconnect,
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stopped => Halt::Stop,
            error => Halt::Away(error),
        }
    }
}

/// Why a step of a pass ended early.
pub(crate) enum StepError {
    Halt(Halt),
    /// The table was emptied meanwhile: the pass begins again, with a load.
    Emptied,
    /// The log cannot be followed.
    Log(LogFault),
}

impl From<Stale> for StepError {
    fn from(Stale: Stale) -> Self {
        StepError::Emptied
    }
}

impl<E: Into<Halt>> From<E> for StepError {
    fn from(error: E) -> Self {
        StepError::Halt(error.into())
    }
}
