//! Signals to a running drill.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::engine::drive::Command;

/// Signals that ask the drill to end. The second one asks no harder: the undo is never skipped.
pub fn listen(ask: mpsc::Sender<Command>) -> tokio::task::JoinHandle<()> {
    let streams: Vec<_> = [
        (SignalKind::interrupt(), "SIGINT", "somebody interrupted the drill"),
        (SignalKind::terminate(), "SIGTERM", "the drill was asked to terminate"),
        (SignalKind::hangup(), "SIGHUP", "the terminal went away"),
        (SignalKind::quit(), "SIGQUIT", "the drill was asked to quit"),
    ]
    .into_iter()
    .filter(|(kind, ..)| *kind != SignalKind::hangup() || !is_ignored(SignalKind::hangup()))
    .filter_map(|(kind, name, why)| signal(kind).ok().map(|stream| (stream, name, why)))
    .collect();
    tokio::spawn(async move {
        let mut waiting = tokio::task::JoinSet::new();
        for (mut stream, name, why) in streams {
            let ask = ask.clone();
            waiting.spawn(async move {
                while stream.recv().await.is_some() {
                    let abort = Command::Abort { by: format!("signal {name}"), reason: why.to_owned() };
                    if ask.send(abort).await.is_err() {
                        return;
                    }
                }
            });
        }
        while waiting.join_next().await.is_some() {}
    })
}

/// Whether a signal was ignored when we were started, as `nohup` does it: whoever did that wants us to go on.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let bit = u32::try_from(kind.as_raw_value() - 1).ok().and_then(|n| 1u64.checked_shl(n));
    mask.zip(bit).is_some_and(|(mask, bit)| mask & bit != 0)
}
