//! Faults of the network path, in a TCP proxy of firedrill's own. The proxy (`data_plane`) is a process of its own that outlives the
//! runner; it is told by a socket in the run directory (`control`), and every fault it holds is a file beside that socket: whoever removes
//! the file has undone the fault. This room must never know what flows through it.

mod control;
mod data_plane;
mod disk;
mod faults;
mod item;
mod pipe;
mod toxic;

use std::path::{Path, PathBuf};

pub use data_plane::proxy_main;
pub use faults::{ProxyBlackhole, ProxyLatency, ProxyReset};
pub use item::SystemProxy;
pub use toxic::{Direction, Toxic};

use super::FaultError;
use crate::base::Span;

/// How long the data plane keeps a fault after the runner's last sign of life.
pub const LEASE: Span = Span::secs(10);
/// How long a question to the data plane may take.
const ASK_LIMIT: Span = Span::secs(2);

/// The directory of a proxy of a run.
pub fn dir_of(run_dir: &Path, id: &str) -> PathBuf {
    run_dir.join("proxy").join(id)
}

fn record_of(dir: &Path) -> PathBuf {
    dir.join("process.json")
}

fn fault_file(dir: &Path, token: &str) -> PathBuf {
    dir.join("faults").join(token)
}

/// Tells a proxy that its runner lives; due every second for every proxy. A proxy that hears nothing for [`LEASE`] drops its faults and
/// goes on forwarding.
///
/// # Errors
/// The proxy does not answer.
pub async fn renew(run_dir: &Path, id: &str) -> Result<(), FaultError> {
    control::ask(&dir_of(run_dir, id), &control::Request::Renew {}, ASK_LIMIT).await.map(drop).map_err(|error| no_answer(id, error))
}

fn no_answer(id: &str, source: std::io::Error) -> FaultError {
    FaultError::Os { doing: format!("ask proxy {id}"), source }
}
