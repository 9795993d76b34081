//! What faults touch, and who holds what on this machine. Within a run the engine keeps two faults apart; across runs, and users, each run announces
//! in the machine's registry what it is about to touch.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::journal::{JournalError, Registry};
use crate::sys::{account, clock};

/// Something a fault touches. Two faults may not touch one thing at one time; containment counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// The whole host.
    Host,
    /// A `system:` process, by id.
    System(String),
    /// A process.
    Process(u32),
    /// A proxy, by id.
    Proxy(String),
    /// A directory tree.
    Path(String),
    /// A network interface.
    Interface(String),
    /// The packets that a rule meets in a network namespace, in words. Rules of different words commute.
    Packets(String),
    /// The host's processor time.
    Processors,
    /// The host's memory.
    Memory,
    /// What a declared command touches, by the fault that runs it: only itself.
    Command(String),
    /// Something in an AWS account: an ARN, or the words that select it there.
    Aws(String),
    /// Something on another machine, by that machine's name in the scenario.
    Elsewhere(String, Box<Resource>),
    /// Nothing at all.
    Nothing,
}

impl Resource {
    /// Whether the two overlap.
    pub fn overlaps(&self, other: &Resource) -> bool {
        use Resource::{Elsewhere, Host, Nothing, Path};
        match (self, other) {
            (Nothing, _) | (_, Nothing) => false,
            (Elsewhere(a, one), Elsewhere(b, other)) => a == b && one.overlaps(other),
            (Elsewhere(..), _) | (_, Elsewhere(..)) => false,
            (Host, _) | (_, Host) => true,
            (Path(a), Path(b)) => std::path::Path::new(a).starts_with(b) || std::path::Path::new(b).starts_with(a),
            (a, b) => a == b,
        }
    }

    /// Whether it means the same to every run of the machine; the others are names within one scenario.
    fn is_of_the_machine(&self) -> bool {
        // What is on another machine is announced there.
        let within = matches!(self, Resource::System(_) | Resource::Proxy(_) | Resource::Command(_) | Resource::Elsewhere(..));
        !within && !matches!(self, Resource::Nothing)
    }

    /// Whether a reboot leaves it broken: processes, packet filters and what workers hold are gone with the kernel.
    fn outlives_a_boot(&self) -> bool {
        matches!(self, Resource::Path(_) | Resource::Host | Resource::Aws(_))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Host => write!(f, "the whole host"),
            Resource::System(id) => write!(f, "the system process {id}"),
            Resource::Process(pid) => write!(f, "process {pid}"),
            Resource::Proxy(id) => write!(f, "the proxy {id}"),
            Resource::Path(path) => write!(f, "the file system of {path}"),
            Resource::Interface(name) => write!(f, "the network interface {name}"),
            Resource::Packets(words) => write!(f, "{words}"),
            Resource::Processors => write!(f, "the host's processors"),
            Resource::Memory => write!(f, "the host's memory"),
            Resource::Command(id) => write!(f, "what the command of {id} touches"),
            Resource::Aws(what) => write!(f, "{what}"),
            Resource::Elsewhere(host, what) => write!(f, "{what} on {host}"),
            Resource::Nothing => write!(f, "nothing"),
        }
    }
}

/// What one run announces, as it stands in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Announced {
    /// Where the run is, for whoever has to clear it.
    run_dir: PathBuf,
    /// In which boot of the machine.
    boot_id: String,
    /// What each of its items holds.
    items: BTreeMap<String, Vec<Resource>>,
}

/// Somebody else who holds what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The run.
    pub run: String,
    /// Its directory, where that can be told.
    pub run_dir: Option<PathBuf>,
    /// Whose run it is.
    pub user: String,
    /// What is held.
    pub what: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is held by another drill, {} of {}", self.what, self.run, self.user)?;
        match &self.run_dir {
            Some(dir) => write!(f, " (help: when it is over, or dead: firedrill undo {})", dir.display()),
            None => Ok(()),
        }
    }
}

/// Why something cannot be claimed: reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Somebody has it.
    #[error("claim it: {0}")]
    Held(Holder),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] JournalError),
    /// It cannot be written down.
    #[error("write down what is claimed: {0}")]
    Words(#[from] serde_json::Error),
}

/// What this run holds on the machine.
#[derive(Debug)]
pub struct Claims {
    registry: Registry,
    run: String,
    run_dir: PathBuf,
    items: Mutex<BTreeMap<String, Vec<Resource>>>,
    private: bool,
}

impl Claims {
    /// Of a run that holds nothing yet.
    pub fn of(registry: Registry, run: &str, run_dir: &Path) -> Claims {
        Claims { registry, run: run.to_owned(), run_dir: run_dir.to_owned(), items: Mutex::default(), private: false }
    }

    /// The same for a run whose targets are hidden from other accounts. Their drills are refused whatever they want while this one holds something: nobody
    /// can look whether it is the same.
    #[must_use]
    pub fn private(self, private: bool) -> Claims {
        Claims { private, ..self }
    }

    /// Announces what an item is about to touch, and then looks whether somebody else has announced it. Who announces first and looks afterwards
    /// cannot be missed; two who do so at the same moment see each other, and both let go.
    ///
    /// # Errors
    /// Somebody else holds it, or the registry cannot be used; then nothing is held.
    pub fn take(&self, item: &str, wanted: &[Resource]) -> Result<(), ClaimError> {
        let wanted: Vec<Resource> = wanted.iter().filter(|one| one.is_of_the_machine()).cloned().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.change(|items| {
            items.insert(item.to_owned(), wanted.clone());
        })?;
        match self.holder(&wanted) {
            None => Ok(()),
            Some(holder) => {
                self.release(item);
                Err(ClaimError::Held(holder))
            }
        }
    }

    /// Lets go of what an item held.
    pub fn release(&self, item: &str) {
        // What stays announced is let go with the run, at the latest.
        let _ = self.change(|items| {
            items.remove(item);
        });
    }

    /// Who else holds any of this.
    pub fn holder(&self, wanted: &[Resource]) -> Option<Holder> {
        let boot = clock::boot_id();
        self.registry.announced().into_iter().filter(|other| other.run != self.run).find_map(|other| {
            let user = account::who(other.uid);
            let Ok(announced) = serde_json::from_str::<Announced>(&other.text) else {
                // Of another version, or damaged: what it holds is not known, so it may be this.
                let what = "something that cannot be read here".to_owned();
                return Some(Holder { run: other.run, run_dir: None, user, what });
            };
            let valid = |held: &&Resource| announced.boot_id == boot || held.outlives_a_boot();
            let held = announced.items.values().flatten().filter(valid);
            let common = held.clone().find(|held| wanted.iter().any(|one| one.overlaps(held)))?;
            Some(Holder { run: other.run, what: common.to_string(), run_dir: Some(announced.run_dir.clone()), user })
        })
    }

    fn change(&self, how: impl FnOnce(&mut BTreeMap<String, Vec<Resource>>)) -> Result<(), ClaimError> {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        let before = items.clone();
        how(&mut items);
        if *items == before {
            return Ok(());
        }
        let announced = Announced { run_dir: self.run_dir.clone(), boot_id: clock::boot_id().to_owned(), items: items.clone() };
        let written = match items.is_empty() {
            true => self.registry.withdraw(&self.run),
            false if self.private => self.registry.announce_privately(&self.run, &serde_json::to_string(&announced)?),
            false => self.registry.announce(&self.run, &serde_json::to_string(&announced)?),
        };
        if written.is_err() {
            *items = before;
        }
        Ok(written?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(dir: &Path) -> (Claims, Claims) {
        let registry = Registry::at(dir.join("registry"));
        let [a, b] = ["a", "b"].map(|run| {
            let run_dir = dir.join(run);
            std::fs::create_dir_all(&run_dir).unwrap();
            registry.add(run, &run_dir).unwrap();
            Claims::of(registry.clone(), run, &run_dir)
        });
        (a, b)
    }

    #[test]
    fn what_one_run_holds_no_other_can_take() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = two(dir.path());
        a.take("x", &[Resource::Process(7), Resource::System("db".into())]).unwrap();
        let why = b.take("y", &[Resource::Process(7)]).unwrap_err().to_string();
        assert!(why.starts_with("claim it: process 7 is held by another drill, a of ") && why.contains("firedrill undo"), "{why}");
        b.take("y", &[Resource::Process(8)]).unwrap();
        b.take("z", &[Resource::System("db".into())]).unwrap();
        assert!(a.take("y", &[Resource::Host]).is_err(), "the host contains everything");
        a.take("again", &[Resource::Process(7)]).unwrap();
        a.release("x");
        assert!(b.take("w", &[Resource::Process(7)]).is_err(), "another item of the run has it still");
        a.release("again");
        b.take("w", &[Resource::Process(7)]).unwrap();
    }

    #[test]
    fn what_was_refused_is_not_held() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = two(dir.path());
        a.take("x", &[Resource::Path("/srv".into())]).unwrap();
        assert!(b.take("y", &[Resource::Memory, Resource::Path("/srv/db".into())]).is_err());
        a.take("z", &[Resource::Memory]).unwrap();
    }

    #[test]
    fn a_run_that_is_forgotten_holds_nothing_and_another_boot_only_what_outlived_it() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = two(dir.path());
        a.take("x", &[Resource::Process(7), Resource::Path("/srv".into())]).unwrap();
        let registry = Registry::at(dir.path().join("registry"));
        let text = &registry.announced()[0].text;
        registry.announce("a", &text.replace(clock::boot_id(), "an earlier boot")).unwrap();
        b.take("y", &[Resource::Process(7)]).unwrap();
        assert!(b.take("z", &[Resource::Path("/srv".into())]).is_err());
        registry.remove("a");
        b.take("z", &[Resource::Path("/srv".into())]).unwrap();
    }

    #[test]
    fn what_cannot_be_read_may_be_anything() {
        let dir = tempfile::tempdir().unwrap();
        let (_, b) = two(dir.path());
        Registry::at(dir.path().join("registry")).announce("a", "{").unwrap();
        assert!(b.take("y", &[Resource::Process(7)]).unwrap_err().to_string().contains("cannot be read here"));
        b.take("z", &[Resource::Proxy("edge".into())]).unwrap();
    }

    /// However two runs interleave, never do both hold it.
    #[test]
    fn never_do_two_hold_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = two(dir.path());
        for _ in 0..200 {
            let (first, second) = std::thread::scope(|scope| {
                let one = scope.spawn(|| a.take("x", &[Resource::Memory]).is_ok());
                let other = scope.spawn(|| b.take("x", &[Resource::Memory]).is_ok());
                (one.join().unwrap(), other.join().unwrap())
            });
            assert!(!(first && second));
            a.release("x");
            b.release("x");
        }
    }
}
