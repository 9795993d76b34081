//! The only door to the world: clocks, processes, files, sockets, secrets. Thin and boring, a limit on every wait.
//! It must never know what a drill is.

pub mod account;
#[cfg(feature = "aws")]
pub mod aws;
pub mod clock;
pub mod contention;
mod detached;
pub mod env;
pub mod exec;
pub mod files;
pub mod fill;
pub mod helper;
pub mod http;
mod place;
pub mod ports;
pub mod process;
pub mod scrape;
pub mod session;
pub mod shim;
pub mod socket;
pub mod ssh;
pub mod surroundings;
pub mod terminal;
pub mod timer;
pub mod title;

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

pub use clock::Clock;
pub use fill::FillError;
pub use place::Place;

/// What everything that acts on the world is given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cx {
    /// The run's clock.
    pub clock: Clock,
    /// The run's id.
    pub run: Arc<str>,
    /// The run's own directory, `${run.dir}`: absolute, private.
    pub run_dir: Arc<PathBuf>,
    /// Directory that relative paths in commands resolve against.
    pub base_dir: Arc<PathBuf>,
    /// The running binary, `${firedrill}`.
    pub exe: Arc<PathBuf>,
    /// Where secrets come from: id → reference.
    pub secrets: Arc<IndexMap<String, Secret>>,
    /// The AWS account that the scenario names, where it names one: nobody enters another.
    pub account: Option<Arc<Place>>,
    /// Cancelled when the present action must end now.
    pub cancel: CancellationToken,
}

/// Where a secret comes from; its value is read at the moment of use and never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
    /// Known by name only: this version cannot fetch it.
    Other(String),
}
