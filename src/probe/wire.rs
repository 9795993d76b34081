//! Connections of our own, and whose fault it is when they fail: no pool, no retry, no redirect, and never a failure of ours counted as the
//! target's.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rustix::io::Errno;
use tokio::net::TcpStream;

use super::judge::Reached;
use crate::base::{At, Span};
use crate::event::{Class, Leg};
use crate::sys::Clock;

/// How a question failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Whose and what.
    pub(super) class: Class,
    /// In a few words.
    pub(super) note: String,
}

impl Failure {
    pub(super) fn new(class: Class, note: impl Into<String>) -> Failure {
        Failure { class, note: note.into() }
    }
}

/// How far a question has come: a time-out while its name is being resolved is the resolver's, and each leg of its way takes its own time.
#[derive(Debug, Default)]
pub(super) struct Resolving {
    clock: Option<Clock>,
    /// The [`Stage`] it is at.
    at: AtomicU8,
    /// When each [`Leg`] was done, in nanoseconds of the clock; 0 while it is not.
    done: [AtomicU64; LEGS],
}

/// Where a question is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its name is being resolved. Before that, zero: nowhere that could be told.
    Resolving = 1,
    /// Its connection is being made.
    Connecting,
    /// TLS, or the answer, is waited for.
    Waiting,
    /// The answer has begun.
    Reading,
}

const LEGS: usize = Leg::ALL.len();

impl Resolving {
    /// One that notes when each leg was done.
    pub(super) fn timed(clock: Clock) -> Resolving {
        Resolving { clock: Some(clock), ..Resolving::default() }
    }

    /// The name is being resolved.
    pub(super) fn begins(&self) {
        self.stands(Stage::Resolving);
    }

    fn stands(&self, at: Stage) {
        self.at.store(at as u8, Ordering::Relaxed);
    }

    /// A leg is done.
    pub(super) fn did(&self, leg: Leg) {
        self.stands(match leg {
            Leg::Dns => Stage::Connecting,
            Leg::Connect | Leg::Tls => Stage::Waiting,
            Leg::FirstByte => Stage::Reading,
        });
        if let Some(clock) = self.clock {
            self.done[leg as usize].store(clock.now().0.max(1), Ordering::Relaxed);
        }
    }

    /// When each leg was done.
    pub(super) fn legs(&self) -> Reached {
        let done = |at: &AtomicU64| Some(At(at.load(Ordering::Relaxed))).filter(|at| *at > At(0));
        Reached(self.done.each_ref().map(done))
    }

    /// What a time-out at this moment is.
    pub(super) fn timed_out(&self, limit: Span) -> Failure {
        let at = self.at.load(Ordering::Relaxed);
        let is = |stage: Stage| at == stage as u8;
        if is(Stage::Resolving) {
            return Failure::new(Class::Dns, format!("name not resolved within {limit}"));
        }
        let what = match at {
            _ if is(Stage::Connecting) => "no connection",
            _ if is(Stage::Reading) => "the answer was not complete",
            _ => "no full answer",
        };
        Failure::new(Class::Timeout, format!("{what} within {limit}"))
    }
}

/// Our own limits: files, ports, buffers, memory.
const LOCAL: [Errno; 5] = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM];

/// Classifies what the kernel, or a layer that speaks its language, said.
pub(super) fn of_io(error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    if let Some(code) = error.raw_os_error()
        && LOCAL.contains(&Errno::from_raw_os_error(code))
    {
        return Failure::new(Class::Local, words(error));
    }
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Failure::new(Class::Tls, format!("TLS: {tls}"));
    }
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
        return of_io(inner);
    }
    match error.kind() {
        Kind::ConnectionRefused => Failure::new(Class::Refused, "connection refused"),
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::NotConnected => {
            Failure::new(Class::Reset, "connection reset")
        }
        Kind::UnexpectedEof => Failure::new(Class::Reset, "connection closed early"),
        Kind::TimedOut => Failure::new(Class::Timeout, "connection timed out"),
        _ => Failure::new(Class::Error, words(error)),
    }
}

/// Classifies what hyper said.
pub(super) fn of_hyper(error: &hyper::Error) -> Failure {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return of_io(io);
        }
        cause = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        Failure::new(Class::Reset, "connection closed early")
    } else if error.is_parse() {
        Failure::new(Class::Error, "the answer is not HTTP")
    } else if error.is_timeout() {
        Failure::new(Class::Timeout, "connection timed out")
    } else {
        Failure::new(Class::Error, error.to_string())
    }
}

/// Classifies what the resolver said; `config` is the text of `/etc/resolv.conf`, where there is one.
fn of_lookup(error: &io::Error, config: Option<&str>) -> Failure {
    let text = words(error);
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    let ours = error.raw_os_error().is_some_and(|code| LOCAL.contains(&Errno::from_raw_os_error(code)))
        || text.contains("Memory allocation failure");
    // "Try again" with nobody to ask is our own configuration, not the target's name service.
    let nobody_to_ask = text.contains("Temporary failure")
        && !config.is_some_and(|config| config.lines().any(|line| line.trim_start().starts_with("nameserver")));
    if ours || nobody_to_ask {
        Failure::new(Class::Local, format!("own resolver: {text}"))
    } else {
        Failure::new(Class::Dns, format!("name not resolved: {text}"))
    }
}

fn words(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_lowercase(),
        None => text,
    }
}

/// Every address of a host, resolved afresh.
pub(super) async fn addresses(host: &str, port: u16, resolving: &Resolving) -> Result<Vec<SocketAddr>, Failure> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    resolving.begins();
    let found = tokio::net::lookup_host((host, port)).await;
    match found {
        Ok(found) => {
            resolving.did(Leg::Dns);
            Ok(found.collect())
        }
        Err(error) => Err(of_lookup(&error, std::fs::read_to_string("/etc/resolv.conf").ok().as_deref())),
    }
}

/// Connects: resolves the name afresh, then tries its addresses in order.
pub(super) async fn dial(host: &str, port: u16, limit: Span, resolving: &Resolving) -> Result<TcpStream, Failure> {
    let addresses = addresses(host, port, resolving).await?;
    dial_any(&addresses, limit, resolving).await
}

/// Connects to the first address that answers, each with an equal share of the limit.
pub(super) async fn dial_any(addresses: &[SocketAddr], limit: Span, resolving: &Resolving) -> Result<TcpStream, Failure> {
    resolving.stands(Stage::Connecting);
    let share = Span(limit.0 / addresses.len().max(1) as u64);
    let mut worst = (0, Failure::new(Class::Dns, "name not resolved: no address"));
    for address in addresses {
        let failure = match tokio::time::timeout(share.std(), connect(*address)).await {
            Ok(Ok(stream)) => {
                resolving.did(Leg::Connect);
                return Ok(stream);
            }
            Ok(Err(error)) => of_io(&error),
            Err(_) => Failure::new(Class::Timeout, format!("no connection within {share}")),
        };
        // IPv6 that this machine lacks looks like a limit of ours: what the others say counts more. Any other limit of ours counts most: that address was not
        // asked, and may be the one that answers.
        let weight = match failure.class {
            Class::Local if address.is_ipv6() && addresses.iter().any(SocketAddr::is_ipv4) => 0,
            Class::Local => 2,
            _ => 1,
        };
        if weight >= worst.0 {
            worst = (weight, failure);
        }
    }
    Err(worst.1)
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A port in the ephemeral range can, when nobody listens, be connected to itself: nobody listens.
    if stream.local_addr().is_ok_and(|own| own == address) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    // A peer that has gone again already shows itself at the first byte.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(errno: Errno) -> Failure {
        of_io(&io::Error::from_raw_os_error(errno.raw_os_error()))
    }

    #[test]
    fn whose_fault_it_is() {
        for (errno, class) in [
            (Errno::CONNREFUSED, Class::Refused),
            (Errno::CONNRESET, Class::Reset),
            (Errno::CONNABORTED, Class::Reset),
            (Errno::PIPE, Class::Reset),
            (Errno::TIMEDOUT, Class::Timeout),
            (Errno::HOSTUNREACH, Class::Error),
            (Errno::NETUNREACH, Class::Error),
            (Errno::ACCESS, Class::Error),
            (Errno::MFILE, Class::Local),
            (Errno::NFILE, Class::Local),
            (Errno::ADDRNOTAVAIL, Class::Local),
            (Errno::NOBUFS, Class::Local),
            (Errno::NOMEM, Class::Local),
        ] {
            assert_eq!(os(errno).class, class, "{errno:?}");
        }
        assert_eq!(os(Errno::HOSTUNREACH).note, "no route to host");
        let inner = io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        assert_eq!(of_io(&io::Error::other(inner)).class, Class::Local);
        let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::HandshakeNotComplete);
        assert_eq!(of_io(&tls).class, Class::Tls);
        assert_eq!(of_io(&io::ErrorKind::UnexpectedEof.into()).class, Class::Reset);
    }

    #[test]
    fn names_fail_for_the_target_or_for_us() {
        let said = |text: &str| io::Error::other(format!("failed to lookup address information: {text}"));
        let config = Some("search local\nnameserver 10.0.0.2\n");
        let unknown = of_lookup(&said("Name or service not known"), config);
        assert_eq!((unknown.class, unknown.note.as_str()), (Class::Dns, "name not resolved: Name or service not known"));
        assert_eq!(of_lookup(&said("Temporary failure in name resolution"), config).class, Class::Dns);
        assert_eq!(of_lookup(&said("Temporary failure in name resolution"), None).class, Class::Local);
        assert_eq!(of_lookup(&said("Temporary failure in name resolution"), Some("# empty")).class, Class::Local);
        assert_eq!(of_lookup(&io::Error::from_raw_os_error(Errno::MFILE.raw_os_error()), config).class, Class::Local);
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_is_not_the_targets_silence() {
        let failure = dial("no-such-host.invalid", 80, Span::secs(1), &Resolving::default()).await.unwrap_err();
        assert!(matches!(failure.class, Class::Dns | Class::Local), "{failure:?}");
    }

    #[tokio::test]
    async fn the_second_address_is_tried() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Where `localhost` is ::1 as well, nobody listens there.
        assert!(dial("localhost", port, Span::secs(1), &Resolving::default()).await.is_ok());
        assert!(dial("[127.0.0.1]", port, Span::secs(1), &Resolving::default()).await.is_ok());
    }
}
