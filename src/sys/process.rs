//! Processes of this machine, named so that a number that was given to somebody else is never hit: pid, start time and boot.
//! Everything is read from `/proc`; signals go through a pidfd.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

pub use rustix::process::Signal;

/// The environment variable that every process started by firedrill carries, and its children inherit: `<run>/<item>`.
pub const OWNER: &str = "FIREDRILL_OWNER";

/// One process, and no other that ever gets its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_time: u64,
    /// The boot it runs in.
    pub boot_id: String,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)
    }
}

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The first 15 bytes of the program's name.
    pub comm: String,
    /// `R`, `S`, `T` (stopped), `Z` (dead, not yet reaped) …
    pub state: char,
    /// The parent's pid.
    pub parent: u32,
    /// The process group.
    pub group: u32,
    /// The session.
    pub session: u32,
    /// Clock ticks since boot.
    pub start_time: u64,
}

impl Stat {
    fn dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether a signal keeps it from running.
    pub fn stopped(&self) -> bool {
        self.state == 'T'
    }

    /// The name stands in parentheses and may itself hold parentheses and spaces, so the last `)` ends it.
    fn parse(text: &str) -> Option<Stat> {
        let open = text.find('(')?;
        let close = text.rfind(')')?;
        let rest: Vec<&str> = text.get(close + 1..)?.split_ascii_whitespace().collect();
        Some(Stat {
            comm: text.get(open + 1..close)?.to_owned(),
            state: rest.first()?.chars().next()?,
            parent: rest.get(1)?.parse().ok()?,
            group: rest.get(2)?.parse().ok()?,
            session: rest.get(3)?.parse().ok()?,
            start_time: rest.get(19)?.parse().ok()?,
        })
    }
}

/// What `/proc` says of a pid now; `None` when there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    Stat::parse(&String::from_utf8_lossy(&text))
}

/// The living process that has this pid now. A zombie is dead.
pub fn find(pid: u32) -> Option<ProcessId> {
    let stat = stat(pid)?;
    (!stat.dead()).then(|| named(pid, &stat))
}

fn named(pid: u32, stat: &Stat) -> ProcessId {
    ProcessId { pid, start_time: stat.start_time, boot_id: super::clock::boot_id().to_owned() }
}

/// What `/proc` says of exactly this process; `None` when it is dead, a zombie, or another one has its number.
pub fn look(id: &ProcessId) -> Option<Stat> {
    stat(id.pid).filter(|stat| !stat.dead() && stat.start_time == id.start_time && id.boot_id == super::clock::boot_id())
}

/// Whether it lives. A zombie is dead, and so is everything of another boot.
pub fn alive(id: &ProcessId) -> bool {
    look(id).is_some()
}

/// Sends a signal to exactly this process. `Ok(false)`: it is gone.
///
/// # Errors
/// The kernel refuses, for example because it is another user's.
pub fn signal(id: &ProcessId, signal: Signal) -> io::Result<bool> {
    let Some(pid) = i32::try_from(id.pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
    let fd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    // The number may have been given to another process before the pidfd held it; from here on it cannot.
    if !alive(id) {
        return Ok(false);
    }
    match pidfd_send_signal(fd, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether we may signal it. `Ok` for one that is gone.
///
/// # Errors
/// The kernel refuses.
pub fn may_signal(id: &ProcessId) -> io::Result<()> {
    match i32::try_from(id.pid).ok().and_then(Pid::from_raw).map(rustix::process::test_kill_process) {
        None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
        Some(Err(error)) => Err(error.into()),
    }
}

/// Every living process.
pub fn all() -> BTreeMap<u32, Stat> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .filter(|(_, stat)| !stat.dead())
        .collect()
}

/// The living children of a process.
pub fn children(id: &ProcessId) -> Vec<ProcessId> {
    if !alive(id) {
        return Vec::new();
    }
    all().iter().filter(|(_, stat)| stat.parent == id.pid).map(|(pid, stat)| named(*pid, stat)).collect()
}

/// These processes and everything below them, parents first; the dead are left out.
pub fn tree(roots: &[ProcessId]) -> Vec<ProcessId> {
    let all = all();
    let roots: Vec<u32> =
        roots.iter().filter(|id| all.get(&id.pid).is_some_and(|stat| named(id.pid, stat) == **id)).map(|id| id.pid).collect();
    closure(&all, roots).into_iter().filter_map(|pid| Some(named(pid, all.get(&pid)?))).collect()
}

fn closure(all: &BTreeMap<u32, Stat>, roots: Vec<u32>) -> Vec<u32> {
    let mut seen: BTreeSet<u32> = roots.iter().copied().collect();
    let mut order = roots;
    let mut next = 0;
    while let Some(&parent) = order.get(next) {
        next += 1;
        for (pid, stat) in all {
            if stat.parent == parent && seen.insert(*pid) {
                order.push(*pid);
            }
        }
    }
    order
}

/// The value of an environment variable that a process was started with.
pub fn started_with(pid: u32, variable: &str) -> Option<String> {
    let environ = environ_of(pid)?;
    environ
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(variable.as_bytes())?.strip_prefix(b"="))
        .map(|value| String::from_utf8_lossy(value).into_owned())
}

/// Every living process whose environment names this owner.
pub fn marked(owner: &str) -> Vec<ProcessId> {
    all().iter().filter(|(pid, _)| is_marked(**pid, owner)).map(|(pid, stat)| named(*pid, stat)).collect()
}

fn is_marked(pid: u32, owner: &str) -> bool {
    let entry = format!("{OWNER}={owner}");
    environ_of(pid).is_some_and(|environ| environ.split(|byte| *byte == 0).any(|found| found == entry.as_bytes()))
}

/// The environment of a process. In the middle of an `exec` the kernel shows an empty one, and an empty command line: a process at that moment
/// is looked at again, for otherwise it would be taken for a stranger and left behind.
#[expect(clippy::disallowed_methods, reason = "a few hundred microseconds inside a look at /proc, which blocks anyway")]
fn environ_of(pid: u32) -> Option<Vec<u8>> {
    const LOOKS: usize = 50;
    for _ in 0..LOOKS {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let settled = || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
        // Kernel threads have neither for ever, and no image that they run.
        let has_image = || std::fs::read_link(format!("/proc/{pid}/exe")).is_ok();
        if !environ.is_empty() || settled() || !has_image() {
            return Some(environ);
        }
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    None
}

/// Everything that belongs to an owner, leader first: what carries the mark, the session of the recorded leader (programs that write
/// their title over their environment, as Redis and nginx do, carry no mark), and everything below those.
pub fn members(owner: &str, leader: Option<&ProcessId>) -> Vec<ProcessId> {
    let all = all();
    let session = leader.filter(|leader| {
        leader.boot_id == super::clock::boot_id() && all.get(&leader.pid).is_none_or(|now| now.start_time == leader.start_time)
    });
    let mut roots: Vec<u32> = session.iter().map(|leader| leader.pid).filter(|pid| all.contains_key(pid)).collect();
    for (pid, stat) in &all {
        let of_session = session.is_some_and(|leader| stat.session == leader.pid && stat.start_time >= leader.start_time);
        if (of_session || is_marked(*pid, owner)) && !roots.contains(pid) {
            roots.push(*pid);
        }
    }
    closure(&all, roots).into_iter().filter_map(|pid| Some(named(pid, all.get(&pid)?))).collect()
}

/// The processes that listen on a TCP port, as far as we may see their sockets.
pub fn listening_on(port: u16) -> Vec<ProcessId> {
    let mut sockets = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        sockets.extend(text.lines().skip(1).filter_map(|line| listener(line, port)).map(|inode| format!("socket:[{inode}]")));
    }
    if sockets.is_empty() {
        return Vec::new();
    }
    all().iter().filter(|(pid, _)| holds_any(**pid, &sockets)).map(|(pid, stat)| named(*pid, stat)).collect()
}

/// The inode of a listening socket of that port, from a line of `/proc/net/tcp`.
fn listener(line: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let local = fields.get(1)?.rsplit(':').next()?;
    (*fields.get(3)? == LISTEN && u16::from_str_radix(local, 16).ok()? == port).then(|| fields.get(9)?.parse().ok())?
}

fn holds_any(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.to_str().is_some_and(|to| sockets.contains(to))))
}

/// The living processes whose name, or the file name of whose program or script, is this.
pub fn by_name(name: &str) -> Vec<ProcessId> {
    all().iter().filter(|(pid, stat)| is_named(**pid, stat, name)).map(|(pid, stat)| named(*pid, stat)).collect()
}

fn is_named(pid: u32, stat: &Stat, name: &str) -> bool {
    if stat.comm == name || exe(pid).is_some_and(|program| program == name) {
        return true;
    }
    // The kernel keeps 15 bytes of a name; of a script with a longer one the arguments know the rest.
    let short = name.as_bytes().get(..15).is_some_and(|short| stat.comm.as_bytes() == short);
    short && arguments(pid).iter().take(2).any(|argument| Path::new(argument).file_name().is_some_and(|file| file == name))
}

/// The file name of the program that a process runs, when we may see it.
pub fn exe(pid: u32) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = Path::new(&path).file_name()?.to_str()?;
    Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
}

/// The arguments that a process shows.
pub fn arguments(pid: u32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    line.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

/// A process for people: `redis-server (pid 4121)`.
pub fn describe(id: &ProcessId) -> String {
    stat(id.pid).map_or_else(|| id.to_string(), |stat| format!("{} (pid {})", stat.comm, id.pid))
}

/// This process and all its ancestors.
pub fn ourselves() -> Vec<u32> {
    let mut line = vec![std::process::id()];
    while let Some(parent) = line.last().and_then(|pid| stat(*pid)).map(|stat| stat.parent).filter(|pid| *pid > 0 && !line.contains(pid)) {
        line.push(parent);
    }
    line
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "children of a test")]

    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read() {
        let line = "4121 (a) S (b ) T 1 4120 4119 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2 3";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.comm.as_str(), stat.state, stat.parent, stat.group, stat.session), ("a) S (b ", 'T', 1, 4120, 4119));
        assert_eq!(stat.start_time, 98765);
        assert!(Stat::parse("12 (x").is_none());
    }

    #[test]
    fn another_process_with_the_same_number_is_not_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = find(child.id()).unwrap();
        assert!(alive(&id));
        assert_eq!(children(&find(std::process::id()).unwrap()).iter().filter(|other| **other == id).count(), 1);
        let other = ProcessId { start_time: id.start_time + 1, ..id.clone() };
        assert!(!alive(&other) && !signal(&other, Signal::KILL).unwrap());
        let rebooted = ProcessId { boot_id: "another".into(), ..id.clone() };
        assert!(!alive(&rebooted) && !signal(&rebooted, Signal::KILL).unwrap());
        assert!(alive(&id));
        assert!(signal(&id, Signal::KILL).unwrap());
        // Not reaped yet: a zombie, and dead to us.
        for _ in 0..200 {
            if !alive(&id) {
                break;
            }
            crate::sys::clock::block(crate::base::Span::millis(10));
        }
        assert_eq!(stat(id.pid).unwrap().state, 'Z');
        assert!(!alive(&id) && find(id.pid).is_none());
        child.wait().unwrap();
        assert!(!signal(&id, Signal::KILL).unwrap());
    }

    #[test]
    fn marks_are_inherited_and_matched_exactly() {
        let owner = format!("test-{}/system/a", std::process::id());
        let mut child = Command::new("sh").args(["-c", "sleep 60 & sleep 60; :"]).env(OWNER, &owner).spawn().unwrap();
        let mut found = Vec::new();
        for _ in 0..200 {
            found = marked(&owner);
            if found.len() == 3 {
                break;
            }
            crate::sys::clock::block(crate::base::Span::millis(10));
        }
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(marked(owner.trim_end_matches('a')).is_empty());
        assert_eq!(members(&owner, None), found);
        assert_eq!(tree(&[find(child.id()).unwrap()]).len(), 3);
        assert_eq!(started_with(child.id(), OWNER).as_deref(), Some(owner.as_str()));
        for id in &found {
            signal(id, Signal::KILL).unwrap();
        }
        child.wait().unwrap();
    }

    #[test]
    fn the_holder_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening_on(port), vec![find(std::process::id()).unwrap()]);
        drop(listener);
        assert!(listening_on(port).is_empty());
    }

    #[test]
    fn a_long_name_is_found_by_its_program() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("a-very-long-program-name");
        std::fs::copy("/bin/sleep", &program).unwrap();
        // Busy while a child of another test, forked during the copy, has not yet reached its exec.
        let mut child = loop {
            match Command::new(&program).arg("60").spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => crate::sys::clock::block(crate::base::Span::millis(5)),
                other => break other.unwrap(),
            }
        };
        assert_eq!(by_name("a-very-long-program-name"), vec![find(child.id()).unwrap()]);
        assert!(by_name("a-very-long-program-other").is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
