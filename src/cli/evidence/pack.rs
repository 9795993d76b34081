//! `firedrill evidence pack`: the record of these runs word for word, and what this version makes of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::args::EvidencePack;
use super::super::calibrate::home_of;
use super::super::{named, store};
use super::{Exit, Failed, exit_of, judge, keygen, text, version};
use crate::cli::out::{Voice, print, say};
use crate::event::{Entry, Event};
use crate::evidence::{self, Asked, Files, MANIFEST, Manifest, RECORD, REGISTER, SIGNATURE, path_of};
use crate::journal::{self, RunLock};

/// Packs, verifies, and writes.
pub fn pack(args: &EvidencePack, voice: Voice) -> Result<Exit, Failed> {
    let dirs = dirs(args)?;
    let key = args.key.as_deref().map(|path| keygen::private(path, voice)).transpose()?;
    replaceable(&args.out)?;
    let mut files = Files::new();
    let Some(runs) = dirs.first().and_then(|dir| dir.parent()).map(Path::to_owned) else { return Ok(Exit::Usage) };
    let home = home_of(&runs);
    add_register(&home, &dirs, &mut files)?;
    for dir in &dirs {
        add_run(dir, &home, &mut files)?;
    }
    let manifest = Manifest::of(&version(), &files);
    let manifest = manifest.map_err(|said| Failed::Unfit { why: format!("these runs cannot be packed: {said}"), help: HELP })?;
    let listed = manifest.text();
    if let Some(key) = &key {
        files.insert(SIGNATURE.into(), key.sign(listed.as_bytes()).into_bytes());
    }
    files.insert(MANIFEST.into(), listed.into_bytes());
    let bytes = evidence::write(&files).map_err(|error| Failed::file("write", &args.out, error))?;
    let verdict = evidence::verify(&bytes, &Asked { version: version(), ..Asked::default() }, &judge);
    if !verdict.problems.is_empty() {
        print(&text(&verdict, bytes.len()));
        voice.error("what is in these run directories does not hold together; nothing was written", Some(HELP));
        return Ok(exit_of(&verdict));
    }
    verdict.doubts.iter().for_each(|doubt| voice.warn(&doubt.to_string()));
    write(&args.out, &bytes).map_err(|error| Failed::file("write", &args.out, error))?;
    print(&format!("{}  {} bytes, {}", args.out.display(), bytes.len(), crate::score::words::many(manifest.runs.len() as u64, "run")));
    match key {
        Some(key) => say(&format!("signed by {}", key.public())),
        None => say("not signed: `--key FILE` says who stands for it"),
    }
    say(&format!("register {}: noted elsewhere, it shows later that nothing was taken out (`verify --head`)", manifest.register.sum));
    Ok(Exit::Ok)
}

const HELP: &str = "somebody changed what a run left behind, or it was damaged; runs that hold can be packed without the others";

/// The directories of these runs, each once.
fn dirs(args: &EvidencePack) -> Result<Vec<PathBuf>, Failed> {
    let found: Result<Vec<PathBuf>, String> = args.run.iter().map(|run| store::find(&args.runs.dir, run)).collect();
    let absolute = |dir: PathBuf| std::path::absolute(&dir).unwrap_or(dir);
    let mut dirs: Vec<PathBuf> = found.map_err(Failed::Run)?.into_iter().map(absolute).collect();
    dirs.sort();
    dirs.dedup();
    let parent = dirs.first().and_then(|dir| dir.parent());
    if let Some(other) = dirs.iter().find(|dir| dir.parent() != parent) {
        let why = format!("{} does not lie beside the other runs: a bundle has one register", other.display());
        return Err(Failed::Unfit { why, help: "pack them into bundles of their own" });
    }
    if let Some(alive) = dirs.iter().find(|dir| RunLock::is_held(dir)) {
        let why = format!("somebody is at work on {}: its journal is not at its end", alive.display());
        return Err(Failed::Unfit { why, help: "wait until it has ended, or abort it: `firedrill abort`" });
    }
    Ok(dirs)
}

/// Nothing but an older bundle is written over.
fn replaceable(out: &Path) -> Result<(), Failed> {
    let mut start = Vec::new();
    match fs::File::open(out).and_then(|file| file.take(64).read_to_end(&mut start)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) if evidence::is_bundle(&start) => Ok(()),
        Ok(_) => Err(Failed::file("write", out, "it is there, and is no evidence bundle")),
        Err(error) => Err(Failed::file("write", out, error)),
    }
}

fn add_register(home: &Path, dirs: &[PathBuf], files: &mut Files) -> Result<(), Failed> {
    let path = home.join(REGISTER);
    let bytes = named::whole(&path, evidence::LARGEST)
        .map_err(|unread| Failed::Register(format!("failed to read the register of starts, {}: {}", path.display(), unread.why)))?;
    let register = journal::Register::parse(&String::from_utf8_lossy(&bytes));
    if let Some(line) = register.broken {
        let why = format!("the register of starts was changed: line {line} of {} does not continue the one before it", path.display());
        return Err(Failed::Register(why));
    }
    for id in dirs.iter().filter_map(|dir| dir.file_name()).map(|name| name.to_string_lossy()) {
        if !register.starts.iter().any(|start| start.run == id) {
            return Err(Failed::Register(format!("{id} is not in the register of starts beside it, {}", path.display())));
        }
    }
    files.insert(REGISTER.into(), bytes);
    Ok(())
}

/// The record of a run as it stands, and what follows from it; never the reports that lie beside it, which anybody may have changed.
fn add_run(dir: &Path, home: &Path, files: &mut Files) -> Result<(), Failed> {
    let id = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for name in RECORD {
        let path = dir.join(name);
        match named::whole(&path, evidence::LARGEST) {
            Ok(bytes) => drop(files.insert(path_of(&id, name), bytes)),
            Err(_) if !path.exists() => {}
            Err(unread) => return Err(Failed::file("read", &path, unread.why)),
        }
    }
    let (plan, entries) =
        store::read(dir).map_err(|error| Failed::Unfit { why: format!("failed to {error}"), help: "a damaged run is no evidence" })?;
    if let Some(bytes) = calibration(home, &entries) {
        files.insert(path_of(&id, "calibration.json"), bytes);
    }
    let made = judge(&plan, &entries).map_err(|why| Failed::Unfit { why, help: HELP })?;
    files.extend(made.into_iter().map(|(name, bytes)| (path_of(&id, name), bytes)));
    Ok(())
}

/// The calibration that lies beside the runs, where it is the one that this run knew.
fn calibration(home: &Path, entries: &[Entry]) -> Option<Vec<u8>> {
    let told = entries.iter().find_map(|entry| match &entry.event {
        Event::Calibrated(told) => Some(told.wall.as_str()),
        _ => None,
    })?;
    let bytes = named::whole(&home.join("calibration.json"), keygen::LARGEST).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    (value["wall"] == told).then_some(bytes)
}

/// Readable by its owner only, as everything of a run; whole or not at all.
fn write(out: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = out.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let done = written.and_then(|()| fs::rename(&partial, out));
    if done.is_err() {
        let _ = fs::remove_file(&partial);
    }
    done
}
