//! Fills a file system with one file of firedrill's own.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, FallocateFlags, StatVfs, access, fallocate, statvfs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{Bytes, Percent, Problem};
use crate::fault::{Fault, FaultError, Permit, Prepared, Resource, Scene, Seen, shell};
use crate::sys::{Cx, clock};

/// Fills a file system.
#[derive(Debug)]
pub struct DiskFill;

/// Where and how much: one of `to` and `size`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FillSpec {
    /// A directory on the file system, never that of the run directory or of `/`. One hidden file is written there.
    pub path: String,
    /// How full it becomes, as `df` counts; at most `99%`.
    #[serde(default)]
    pub to: Option<Percent>,
    /// How much is taken; 1% is always left free.
    #[serde(default)]
    pub size: Option<Bytes>,
}

/// The file that takes the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillUndo {
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub size: u64,
}

/// How much is asked for at a time, so that a drill that is called off stops soon.
const PIECE: u64 = 64 << 20;
/// The share that is always left: a file system without any room breaks more than what is tested.
const RESERVE: f64 = 0.01;

/// Room on a file system in bytes, as `df` counts: what is kept for root is neither used nor available.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Room {
    used: u64,
    available: u64,
}

impl Room {
    fn of(stat: &StatVfs) -> Room {
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Room { used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)), available: bytes(stat.f_bavail) }
    }

    fn all(self) -> f64 {
        self.used as f64 + self.available as f64
    }

    fn share(self) -> String {
        format!("{:.1}% used", if self.all() > 0.0 { self.used as f64 / self.all() * 100.0 } else { 100.0 })
    }

    /// The size of the file that is asked for.
    fn wanted(self, spec: &FillSpec) -> Result<u64, String> {
        let most = (self.available as f64 - self.all() * RESERVE).max(0.0) as u64;
        let size = match (spec.size, spec.to) {
            (Some(size), _) => size.0,
            (None, to) => (to.map_or(0.0, Percent::fraction) * self.all() - self.used as f64).max(0.0) as u64,
        };
        match size {
            0 => Err(format!("it is full enough already: {}", self.share())),
            size if size > most => {
                Err(format!("{} do not fit: 1% must be left free, so at most {} can be asked for", mib(size), mib(most)))
            }
            size => Ok(size),
        }
    }
}

fn mib(bytes: u64) -> Bytes {
    if bytes < 1 << 20 { Bytes(bytes) } else { Bytes(bytes >> 20 << 20) }
}

fn room(dir: &Path) -> Result<Room, FaultError> {
    let stat = statvfs(dir)
        .map_err(|error| FaultError::Os { doing: format!("look at the file system of {}", dir.display()), source: error.into() });
    Ok(Room::of(&stat?))
}

/// The directory with every link resolved, when it may be filled.
fn directory(path: &str, cx: &Cx) -> Result<PathBuf, FaultError> {
    let asked = cx.base_dir.join(cx.fill(path));
    let os = |doing: String| move |source: io::Error| FaultError::Os { doing, source };
    let dir = asked.canonicalize().map_err(os(format!("find the directory {}", asked.display())))?;
    let meta = std::fs::metadata(&dir).map_err(os(format!("look at {}", dir.display())))?;
    if !meta.is_dir() {
        return Err(FaultError::Target(format!("{} is no directory", dir.display())));
    }
    let shared = [(Path::new("/"), "`/`"), (cx.run_dir.as_path(), "the run directory, where the undo is kept")];
    for (other, name) in shared {
        if there_or_above(other).is_some_and(|other| other.dev() == meta.dev()) {
            return Err(FaultError::Target(format!("{} is on the file system of {name}: that one is never filled", dir.display())));
        }
    }
    access(&dir, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| os(format!("get the right to write into {}", dir.display()))(error.into()))?;
    Ok(dir)
}

/// A directory, or what it is going to be made in: where one only looks, and on another machine, there is no run directory yet.
fn there_or_above(path: &Path) -> Option<std::fs::Metadata> {
    path.ancestors().find_map(|path| std::fs::metadata(path).ok())
}

impl FillUndo {
    fn dir(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }

    fn os(&self, doing: &str) -> impl FnOnce(io::Error) -> FaultError {
        let doing = format!("{doing} {}", self.file.display());
        move |source| FaultError::Os { doing, source }
    }
}

impl Fault for DiskFill {
    const KIND: &'static str = "disk.fill";
    const ABOUT: &'static str = "fills a file system with one file";
    const EXAMPLE: &'static str = "disk.fill: { path: /srv/data, to: 95% }\nfor: 30s\n";
    const UNDO: &'static str = "that one file is removed";
    const ELSEWHERE: bool = true;
    const READS_BACK: bool = true;
    type Spec = FillSpec;
    type Undo = FillUndo;

    fn check(&self, spec: &FillSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if spec.path.is_empty() {
            problems.push(Problem::new("/path", "it does not say where").help("write for example `path: /srv/data`"));
        }
        let help = "write exactly one of `to` and `size`";
        match (spec.to, spec.size) {
            (None, None) => problems.push(Problem::new("", "it does not say how much").help(help)),
            (Some(_), Some(_)) => problems.push(Problem::new("", "it says twice how much").help(help)),
            (Some(to), None) if to.fraction() > 1.0 - RESERVE || to.fraction() <= 0.0 => {
                problems.push(
                    Problem::new("/to", format!("{to} is not how full a file system may be made")).help("more than 0% and at most 99%"),
                );
            }
            (None, Some(Bytes(0))) => problems.push(Problem::new("/size", "nothing would be taken").help("for example `500MiB`")),
            _ => {}
        }
        problems
    }

    fn claims(&self, spec: &FillSpec) -> Vec<Resource> {
        vec![Resource::Path(spec.path.clone())]
    }

    fn by_hand(&self, undo: &FillUndo) -> String {
        format!("rm -f {}", shell::path(&undo.file))
    }

    async fn prepare(&self, spec: &FillSpec, scene: &Scene<'_>) -> Result<Prepared<FillUndo>, FaultError> {
        let dir = directory(&spec.path, scene.cx)?;
        let room = room(&dir)?;
        let size = room.wanted(spec).map_err(|why| FaultError::Target(format!("{}: {why}", dir.display())))?;
        let file = dir.join(format!(".firedrill-fill-{}-{}", scene.cx.run, clock::mono_ns()));
        Ok(Prepared {
            targets: vec![format!("the file system of {}", dir.display())],
            summary: format!("a file of {} in {} ({} now)", mib(size), dir.display(), room.share()),
            population: Some(1),
            claims: vec![Resource::Path(dir.display().to_string())],
            undo: FillUndo { file, size },
        })
    }

    async fn inject(&self, _: &FillSpec, undo: &FillUndo, _: Permit<'_>, _: &Cx) -> Result<(), FaultError> {
        // Made at once, without waiting: after that an undo finds the file, and what still grows is removed with it.
        let file = File::options().write(true).create_new(true).mode(0o600).open(&undo.file).map_err(undo.os("make"))?;
        let file = Arc::new(file);
        let mut done = 0;
        while done < undo.size {
            let piece = PIECE.min(undo.size - done);
            let growing = Arc::clone(&file);
            let grown = tokio::task::spawn_blocking(move || fallocate(&*growing, FallocateFlags::empty(), done, piece)).await;
            let grown = grown.map_err(io::Error::other).and_then(|grown| grown.map_err(io::Error::from));
            grown.map_err(undo.os("reserve room for"))?;
            done += piece;
        }
        Ok(())
    }

    async fn observe(&self, undo: &FillUndo, _: &Cx) -> Result<Seen, FaultError> {
        let held = match std::fs::symlink_metadata(&undo.file) {
            Ok(meta) => meta.blocks().saturating_mul(512),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(undo.os("look at")(error)),
        };
        let seen = format!("{} holds {} of {}; {}", undo.file.display(), mib(held), mib(undo.size), room(undo.dir())?.share());
        Ok(if held >= undo.size { Seen::Biting(seen) } else { Seen::NotBiting(seen) })
    }

    async fn undo(&self, undo: &FillUndo, _: &Cx) -> Result<(), FaultError> {
        match std::fs::remove_file(&undo.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(undo.os("remove")(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn verify(&self, undo: &FillUndo, _: &Cx) -> Result<bool, FaultError> {
        match std::fs::symlink_metadata(&undo.file) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(undo.os("look at")(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> FillSpec {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn exactly_one_measure_is_given_and_something_is_left() {
        let check = |text: &str| DiskFill.check(&spec(text)).into_iter().map(|problem| problem.at).collect::<Vec<_>>();
        assert!(check(r#"{"path":"/x","to":"99%"}"#).is_empty());
        assert!(check(r#"{"path":"/x","size":"1MiB"}"#).is_empty());
        assert_eq!(check(r#"{"path":"/x","to":"100%"}"#), ["/to"]);
        assert_eq!(check(r#"{"path":"/x","to":"0%"}"#), ["/to"]);
        assert_eq!(check(r#"{"path":"","size":"0B"}"#), ["/path", "/size"]);
        assert_eq!(check(r#"{"path":"/x"}"#), [""]);
        assert_eq!(check(r#"{"path":"/x","to":"90%","size":"1B"}"#), [""]);
    }

    #[test]
    fn the_disk_of_a_run_directory_that_is_not_there_yet_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let dev = |path: &Path| there_or_above(path).unwrap().dev();
        assert_eq!(dev(&dir.path().join("hosts/run.fill")), std::fs::metadata(dir.path()).unwrap().dev());
        assert_eq!(dev(Path::new("/proc/self/nothing/there")), std::fs::metadata("/proc/self").unwrap().dev());
    }

    #[test]
    fn the_file_is_as_large_as_is_missing_and_never_takes_the_reserve() {
        let room = Room { used: 400 << 20, available: 600 << 20 };
        assert_eq!(room.wanted(&spec(r#"{"path":"/x","to":"50%"}"#)), Ok(100 << 20));
        assert_eq!(room.wanted(&spec(r#"{"path":"/x","size":"590MiB"}"#)), Ok(590 << 20));
        let error = room.wanted(&spec(r#"{"path":"/x","size":"591MiB"}"#)).unwrap_err();
        assert!(error.contains("591MiB do not fit") && error.contains("at most 590MiB"), "{error}");
        assert!(room.wanted(&spec(r#"{"path":"/x","to":"40%"}"#)).unwrap_err().ends_with("40.0% used"));
    }
}
