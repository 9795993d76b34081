//! The embedded order service that `firedrill demo` drills: load balancer, two nodes that replicate and take over, a write ledger. Its
//! processes are the same binary under the hidden verb `__demo`. It must never know that it is being drilled.
//!
//! It is small, but nothing in it is pretended: every role is its own operating system process, talks HTTP over loopback, keeps its data in
//! an append-only file and finds out about the death of the others the way real systems do, by refused connections and silence. Each process
//! also writes a *truth log* that says what really happened, so that what a drill measured from outside can be compared with it.

mod ask;
mod balancer;
mod canary;
mod member;
mod meter;
mod monitor;
mod node;
mod rules;
mod ship;
mod shop;
mod store;
mod truth;
mod vars;
mod wire;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::serve::ListenerExt;
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::base::Span;
use crate::sys::clock;

pub use vars::{PORTS, SCENARIO, vars};

/// Why a process of the demonstration ended.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The arguments make no sense.
    #[error("read the arguments: {0}")]
    Usage(String),
    /// The address is taken, or may not be used.
    #[error("listen on {address}: {source}")]
    Listen {
        /// Where it wanted to listen.
        address: SocketAddr,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The demonstration has no authentication, so it stays on this machine.
    #[error("listen on {0}: the demonstration only binds loopback addresses")]
    NotLoopback(SocketAddr),
    /// A file cannot be used.
    #[error("use {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// A line of the ledger that is not the torn last one cannot be read.
    #[error("read {path}: line {line} is damaged", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from one.
        line: usize,
    },
    /// One that was asked did not do it.
    #[error("ask {to}{path}: {why}")]
    Asked {
        /// Who.
        to: SocketAddr,
        /// What.
        path: String,
        /// What came of it.
        why: String,
    },
    /// The files were removed under a running process: its drill is over.
    #[error("go on without {}: it was removed", .0.display())]
    Gone(PathBuf),
    /// The process cannot start its runtime or wait for signals.
    #[error("start: {0}")]
    Start(std::io::Error),
}

impl DemoError {
    /// One line saying what to do, where there is something to do.
    pub fn help(&self) -> Option<String> {
        match self {
            DemoError::Listen { address, source } if source.kind() == std::io::ErrorKind::AddrInUse => {
                Some(format!("port {} is in use; choose another with `--var`, for example `--var balancer_port=28080`", address.port()))
            }
            DemoError::NotLoopback(address) => Some(format!("write 127.0.0.1:{}", address.port())),
            DemoError::Damaged { path, .. } => Some(format!("remove {} and let the node copy its peer", path.display())),
            DemoError::Listen { .. }
            | DemoError::Usage(_)
            | DemoError::File { .. }
            | DemoError::Gone(_)
            | DemoError::Asked { .. }
            | DemoError::Start(_) => None,
        }
    }

    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> DemoError + use<> {
        let path = path.to_owned();
        move |source| DemoError::File { path, source }
    }
}

#[derive(Debug, Parser)]
#[command(name = "firedrill __demo", no_binary_name = true, disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Forwards orders to the node that is up.
    Balancer(balancer::Args),
    /// Keeps orders and the ledger, replicates them, takes over.
    Node(node::Args),
    /// An instance of the shop that drills for practice are run on.
    Shop(shop::Args),
    /// What the shop has its orders paid by.
    Payments(shop::payments::Args),
    /// Scrapes the others and says which alerts fire.
    Monitor(monitor::Args),
    /// Asks one of the others something.
    Ask(ask::Args),
}

/// Runs one process of the demonstration until it is told to stop. `args` are the words after `__demo`.
///
/// # Errors
/// The arguments, the address or the files cannot be used.
pub fn run(args: Vec<OsString>) -> Result<(), DemoError> {
    let args = Args::try_parse_from(args).map_err(|error| DemoError::Usage(error.to_string()))?;
    // One thread a process: the demonstration shall not compete with the prober for cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DemoError::Start)?;
    runtime.block_on(async {
        match args.role {
            Role::Balancer(args) => balancer::run(args).await,
            Role::Node(args) => node::run(args).await,
            Role::Shop(args) => shop::run(args).await,
            Role::Payments(args) => shop::payments::run(args).await,
            Role::Monitor(args) => monitor::run(args).await,
            Role::Ask(args) => ask::run(args).await,
        }
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, DemoError> {
    if !address.ip().is_loopback() {
        return Err(DemoError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|source| DemoError::Listen { address, source })
}

/// Serves until SIGTERM or SIGINT, or until the file or directory that the process lives by is removed. Connections are cut, not drained: the
/// process must be gone at once, and clients of a replicated service have to live with that anyway.
async fn serve(listener: TcpListener, router: Router, lives_by: Option<&Path>) -> Result<(), DemoError> {
    let mut term = signal(SignalKind::terminate()).map_err(DemoError::Start)?;
    let mut int = signal(SignalKind::interrupt()).map_err(DemoError::Start)?;
    let listener = listener.tap_io(|stream| {
        // Without it small answers on a kept connection wait for the delayed acknowledgement; when it cannot be set they are only slower.
        let _slower = stream.set_nodelay(true);
    });
    tokio::select! {
        ended = axum::serve(listener, router).into_future() => ended.map_err(DemoError::Start),
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
        gone = removed(lives_by) => Err(DemoError::Gone(gone)),
    }
}

/// Waits until the path is no longer there. A demonstration whose directory was removed must not live on for ever.
async fn removed(path: Option<&Path>) -> PathBuf {
    loop {
        clock::sleep(Span::millis(500)).await;
        if let Some(path) = path.filter(|path| !path.exists()) {
            return path.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn arguments_without_a_role_are_refused() {
        assert!(matches!(run(args("")), Err(DemoError::Usage(_))));
        assert!(matches!(run(args("node --name a")), Err(DemoError::Usage(_))));
    }

    #[test]
    fn a_port_in_use_names_the_address_and_the_way_out() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let truth = directory.path().join("t.jsonl");
        let error = run(args(&format!("balancer --listen {address} --node a=127.0.0.1:1 --truth {}", truth.display()))).unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        assert!(error.help().unwrap().contains("--var"), "{error:?}");
    }

    #[test]
    fn only_loopback_is_served() {
        let error = run(args("balancer --listen 0.0.0.0:0 --node a=127.0.0.1:1")).unwrap_err();
        assert!(matches!(error, DemoError::NotLoopback(_)), "{error}");
    }
}
