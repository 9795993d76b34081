//! The truth server: a small service that is up and down when it is told to, and writes down the exact moments, so that what a drill measured from
//! outside can be compared with what really happened. Its processes are the same binary under the hidden verb `__truth`. It must never know
//! that it is being measured.

mod control;
mod door;
mod log;
mod serve;
mod state;
mod store;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use log::{Outage, Told, read};
pub use state::{BadState, State};

/// Why a process of the truth server ended.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The arguments make no sense.
    #[error("read the arguments: {0}")]
    Usage(String),
    /// The kernel refused a socket, a file or a runtime.
    #[error("{doing}: {source}")]
    Os {
        /// What was being done.
        doing: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The server answered that it did not do so.
    #[error("tell the truth server: {0}")]
    Refused(String),
}

impl TruthError {
    fn os(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> TruthError {
        let doing = doing.into();
        move |source| TruthError::Os { doing, source }
    }
}

#[derive(Debug, Parser)]
#[command(name = "firedrill __truth", no_binary_name = true, disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Serves until it is told to stop.
    Serve {
        /// Where clients connect.
        #[arg(long)]
        listen: SocketAddr,
        /// Where the truth and the control socket are.
        #[arg(long)]
        dir: PathBuf,
        /// How many of the last writes `/replica` does not show.
        #[arg(long, default_value_t = 0)]
        replica_lag: usize,
        /// How many of the last writes `/dump` does not show the first time that it shows any.
        #[arg(long, default_value_t = 0)]
        late: usize,
    },
    /// Tells a server something and prints its answer.
    Tell {
        /// The server's directory.
        dir: PathBuf,
        /// What: `down STATE [MICROSECONDS [TIMES MICROSECONDS]]`, `up`, `was-down`, `is-up`.
        words: Vec<String>,
    },
}

/// Runs one process of the truth server. `args` are the words after `__truth`.
///
/// # Errors
/// The arguments, the address, the directory or the answer.
pub fn run(args: Vec<OsString>) -> Result<(), TruthError> {
    let args = Args::try_parse_from(args).map_err(|error| TruthError::Usage(error.to_string()))?;
    // One thread: a change of state is one uninterrupted step for everybody.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(TruthError::os("start"))?;
    let local = tokio::task::LocalSet::new();
    match args.role {
        Role::Serve { listen, dir, replica_lag, late } => local.block_on(&runtime, serve::serve(listen, &dir, replica_lag, late)),
        Role::Tell { dir, words } => runtime.block_on(control::tell(&dir, &words.join(" "))),
    }
}
