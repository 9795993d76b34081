//! The copies of firedrill that runners have left in the cache of this account: those that nobody has used for long go when another one comes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::owing;
use crate::base::Span;
use crate::sys::{clock, process};

/// A copy that was not used for so long is an old one.
const OLD: Span = Span::secs(7 * 24 * 3600);
/// What stands before the digest.
const PREFIX: &str = "firedrill-";

/// Whether a name is that of a copy; half-made ones have the number of a process behind it.
fn is_copy(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let (digest, process) = rest.split_once('.').unwrap_or((rest, "0"));
    digest.len() == 64
        && digest.bytes().all(|b| b.is_ascii_hexdigit())
        && !process.is_empty()
        && process.bytes().all(|b| b.is_ascii_digit())
}

/// The old copies beside `exe`, where that is a copy; never one of those that are in use, by name.
fn old(exe: &Path, in_use: &BTreeSet<String>, now: SystemTime) -> Vec<PathBuf> {
    let name_of = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned).unwrap_or_default();
    let own = name_of(exe);
    let Some(dir) = exe.parent().filter(|_| is_copy(&own)) else { return Vec::new() };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.metadata().is_ok_and(|meta| meta.is_file()))
        .map(|entry| entry.path())
        .filter(|path| {
            let name = name_of(path);
            // A time that lies ahead is no age.
            let age = fs::metadata(path).and_then(|meta| meta.modified()).ok().and_then(|used| now.duration_since(used).ok());
            is_copy(&name) && name != own && !in_use.contains(&name) && age.is_some_and(|age| age > OLD.std())
        })
        .collect()
}

/// Removes them. Where something is still owed on this machine they all stay: a line by hand may name one.
pub(super) fn tidy(exe: &Path) {
    if owing(None).is_some() {
        return;
    }
    let in_use: BTreeSet<String> = process::all().keys().filter_map(|pid| process::exe(*pid)).collect();
    for path in old(exe, &in_use, SystemTime::from(clock::now())) {
        // What cannot be removed costs room and nothing else.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_copies_that_nobody_runs_go() {
        let dir = tempfile::tempdir().unwrap();
        let name = |letter: &str| format!("firedrill-{}", letter.repeat(64));
        let week = OLD.std();
        let now = SystemTime::from(clock::now());
        let make = |name: &str, age: std::time::Duration| {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(now - age).unwrap();
        };
        let (own, gone, runs, young) = (name("a"), name("b"), name("c"), name("d"));
        let half = format!("{}.4121", name("e"));
        for old in [&own, &gone, &runs, &half] {
            make(old, week * 2);
        }
        make(&young, week / 2);
        make(&name("f"), week * 2);
        fs::File::open(dir.path().join(name("f"))).unwrap().set_modified(now + week).unwrap();
        for other in ["firedrill", "firedrill-notes", "firedrill-0.1.old", "kept.txt"] {
            make(other, week * 9);
        }
        let mut found = old(&dir.path().join(&own), &BTreeSet::from([runs]), now);
        found.sort();
        assert_eq!(found, [dir.path().join(&gone), dir.path().join(&half)]);
        assert!(old(&dir.path().join("firedrill"), &BTreeSet::new(), now).is_empty(), "one that was installed removes nothing");
    }
}
