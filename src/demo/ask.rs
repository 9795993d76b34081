//! One HTTP request to a process of the demonstration, so that a scenario needs no other program for it.

use std::net::SocketAddr;

use bytes::Bytes;

use super::DemoError;
use super::wire::{once, request};
use crate::base::Span;

const LIMIT: Span = Span::secs(8);

/// What to ask.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The method.
    #[arg(value_parser = ["GET", "POST", "DELETE"])]
    method: String,
    /// Whom.
    to: SocketAddr,
    /// The path.
    path: String,
}

/// Asks once; an answer that is no success is an error.
pub(super) async fn run(args: Args) -> Result<(), DemoError> {
    let (to, path) = (args.to, args.path);
    if !to.ip().is_loopback() {
        return Err(DemoError::NotLoopback(to));
    }
    match once(to, request(&args.method, to, &path, Bytes::new()), LIMIT, LIMIT).await {
        Ok(answer) if answer.status.is_success() => Ok(()),
        Ok(answer) => Err(DemoError::Asked { to, path, why: format!("it answered {}", answer.status) }),
        Err(why) => Err(DemoError::Asked { to, path, why: format!("{why:?}") }),
    }
}
