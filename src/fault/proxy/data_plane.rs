//! The helper `__proxy`: forwards TCP, holds faults while its runner lives, and goes on forwarding when the runner does not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::BufReader;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::control::{self, Reply, Request};
use super::disk::Disk;
use super::toxic::{Active, Toxic};
use super::{LEASE, fault_file, pipe};
use crate::base::Span;
use crate::sys::clock;

/// How often the fault files and the lease are looked at.
const LOOK: Span = Span::millis(20);
/// How long connections may go on after the proxy was told to stop.
const DRAIN: Span = Span::secs(2);

struct Arguments {
    dir: PathBuf,
    listen: String,
    upstream: String,
    lease: Span,
}

fn parse(arguments: Vec<OsString>) -> Result<Arguments, String> {
    let mut found = Arguments { dir: PathBuf::new(), listen: String::new(), upstream: String::new(), lease: LEASE };
    let mut rest = arguments.into_iter();
    while let (Some(name), Some(value)) = (rest.next(), rest.next()) {
        let text = value.to_string_lossy().into_owned();
        match name.to_str() {
            Some("--dir") => found.dir = value.into(),
            Some("--listen") => found.listen = text,
            Some("--upstream") => found.upstream = text,
            Some("--lease") => found.lease = text.parse().map_err(|error| format!("read --lease: {error}"))?,
            _ => return Err(format!("understand {}", name.to_string_lossy())),
        }
    }
    if found.dir.as_os_str().is_empty() || found.listen.is_empty() || found.upstream.is_empty() {
        return Err("start without --dir, --listen and --upstream".to_owned());
    }
    Ok(found)
}

/// Runs the helper; `arguments` are those after `__proxy`.
pub fn proxy_main(arguments: Vec<OsString>) -> ExitCode {
    let done = parse(arguments).and_then(|arguments| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| format!("start the runtime: {error}"))?;
        let done = runtime.block_on(forward(arguments));
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "failed to {why}");
            ExitCode::FAILURE
        }
    }
}

/// The faults, their files and the lease.
struct Held {
    dir: PathBuf,
    disk: Disk,
    toxics: Mutex<BTreeMap<String, Toxic>>,
    renewed: Mutex<u64>,
    active: watch::Sender<Active>,
    connections: watch::Sender<usize>,
}

impl Held {
    fn change<T>(&self, how: impl FnOnce(&mut BTreeMap<String, Toxic>) -> T) -> T {
        let mut toxics = self.toxics.lock().unwrap_or_else(PoisonError::into_inner);
        let done = how(&mut toxics);
        let sum = Active::sum(&toxics);
        self.active.send_if_modified(|active| std::mem::replace(active, sum) != sum);
        done
    }

    fn renew(&self) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = clock::mono_ns();
    }

    fn silent_for(&self) -> Span {
        Span(clock::mono_ns().saturating_sub(*self.renewed.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The file comes first: a fault never lasts a moment that a person could not end.
    async fn set(&self, token: &str, toxic: Toxic) -> Result<(), String> {
        let good = !token.is_empty() && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !good {
            return Err(format!("{token} is no name for a fault"));
        }
        self.disk.mark(fault_file(&self.dir, token), format!("{toxic}; remove this file to end it\n")).await?;
        self.disk.say(&format!("{token}: {toxic}"));
        self.change(|toxics| toxics.insert(token.to_owned(), toxic));
        Ok(())
    }

    fn clear(&self, token: &str, why: &str) {
        if self.change(|toxics| toxics.remove(token)).is_some() {
            self.disk.say(&format!("{token}: over, {why}"));
        }
        self.disk.unmark(fault_file(&self.dir, token));
    }

    fn tokens(&self) -> Vec<String> {
        self.toxics.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Drops everything when the lease has ended. Asks no disk.
    fn look_at_lease(&self, lease: Span) {
        if self.silent_for() > lease {
            self.tokens().iter().for_each(|token| self.clear(token, "the runner is silent"));
        }
    }

    /// Drops what has no file any longer.
    fn look_at_files(&self) {
        for token in self.tokens() {
            if !fault_file(&self.dir, &token).exists() {
                self.clear(&token, "its file was removed");
            }
        }
    }

    async fn answer(&self, request: Request) -> Reply {
        let error = match request {
            Request::Set { token, toxic } => {
                self.renew();
                self.set(&token, toxic).await.err()
            }
            Request::Clear { token } => {
                self.clear(&token, "cleared");
                None
            }
            Request::Renew {} => {
                self.renew();
                None
            }
            Request::List {} => None,
        };
        let faults = self.toxics.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Reply { faults, connections: *self.connections.borrow(), error }
    }
}

async fn forward(arguments: Arguments) -> Result<(), String> {
    raise_file_limit();
    let mut stop = signal(SignalKind::terminate()).map_err(|error| format!("wait for SIGTERM: {error}"))?;
    let control = open_control(&arguments.dir).map_err(|error| format!("open the control socket: {error}"))?;
    let listener = TcpListener::bind(&arguments.listen).await.map_err(|error| format!("listen on {}: {error}", arguments.listen))?;
    let disk = Disk::start().map_err(|error| format!("start a thread: {error}"))?;
    let held = Arc::new(Held {
        dir: arguments.dir.clone(),
        disk: disk.clone(),
        toxics: Mutex::default(),
        renewed: Mutex::new(clock::mono_ns()),
        active: watch::Sender::new(Active::default()),
        connections: watch::Sender::new(0),
    });
    // Only now can anybody be told that the proxy is there.
    let answering = tokio::spawn(answer_all(control, Arc::clone(&held)));
    let looker = Arc::clone(&held);
    let looking = tokio::spawn(async move {
        loop {
            clock::sleep(LOOK).await;
            looker.look_at_lease(arguments.lease);
        }
    });
    let looker = Arc::downgrade(&held);
    let looks = move || {
        while let Some(held) = looker.upgrade() {
            held.look_at_files();
            drop(held);
            clock::block(LOOK);
        }
    };
    std::thread::Builder::new().name("files".into()).spawn(looks).map_err(|error| format!("start a thread: {error}"))?;
    disk.say(&format!("{} → {}", arguments.listen, arguments.upstream));
    let upstream: Arc<str> = arguments.upstream.into();
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let (upstream, active) = (Arc::clone(&upstream), held.active.subscribe());
                    open.spawn(async move { pipe::carry(client, &upstream, active).await });
                }
                // Out of files, most likely: those that are open go on.
                Err(_) => clock::sleep(Span::millis(10)).await,
            },
            Some(_) = open.join_next(), if !open.is_empty() => {}
            _ = stop.recv() => break,
        }
        held.connections.send_replace(open.len());
    }
    drop(listener);
    looking.abort();
    answering.abort();
    held.look_at_lease(Span::ZERO);
    let drained = async { while open.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN.std(), drained).await;
    disk.settle().await;
    Ok(())
}

/// A fresh data plane has no faults, whatever an earlier one left in its directory.
fn open_control(dir: &Path) -> io::Result<UnixListener> {
    let faults = dir.join("faults");
    match std::fs::remove_dir_all(&faults) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => std::fs::create_dir_all(&faults)?,
    }
    match std::fs::remove_file(dir.join("control.sock")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let (_handle, path) = control::address(dir)?;
    UnixListener::bind(path)
}

async fn answer_all(listener: UnixListener, held: Arc<Held>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, Arc::clone(&held)))),
            Err(_) => clock::sleep(Span::millis(10)).await,
        }
    }
}

async fn answer(stream: UnixStream, held: Arc<Held>) {
    let mut stream = BufReader::new(stream);
    loop {
        let reply = match control::read::<Request>(&mut stream).await {
            Ok(Some(request)) => held.answer(request).await,
            Ok(None) => return,
            Err(error) => Reply { error: Some(error.to_string()), ..Reply::default() },
        };
        let failed = reply.error.is_some();
        if control::write(stream.get_mut(), &reply).await.is_err() || failed {
            return;
        }
    }
}

/// Every connection takes two files.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
