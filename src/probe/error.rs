//! What can go wrong before a probe asks anything. Everything later is a measured failure or a local one, never an error.

use crate::sys::FillError;
use crate::sys::files::TooFew;
use crate::sys::http::HttpError;

/// A probe cannot start: reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// One probe cannot be opened.
    #[error("open probe {probe}: {why}")]
    Open {
        /// Its id.
        probe: String,
        /// Why.
        why: Why,
    },
    /// The prober's own threads cannot start.
    #[error("start the prober's threads: {0}")]
    Thread(std::io::Error),
    /// More connections than files.
    #[error("make room for the probes: {0}")]
    Files(#[from] TooFew),
}

/// Why a probe cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Nothing has that name.
    #[error("there is no probe kind `{0}`")]
    Kind(String),
    /// A plan of another version, or a damaged one.
    #[error("its spec does not read: {0}")]
    Decode(#[from] serde_json::Error),
    /// A `${…}` that cannot be filled.
    #[error("cannot {0}")]
    Fill(#[from] FillError),
    /// TLS cannot be set up.
    #[error("cannot {0}")]
    Tls(#[from] HttpError),
    /// A spec that makes no sense once filled.
    #[error("{0}")]
    Spec(String),
}
