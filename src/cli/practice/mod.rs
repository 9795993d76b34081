//! `firedrill practice`: a drill that one person can do now, blind, against a shop that comes with firedrill.

mod console;
mod debrief;
mod drills;
pub(super) mod page;
mod spoken;
mod words;

use std::path::{Path, PathBuf};

use super::args::Practice;
use super::exit::Exit;
use super::known::known;
use super::load::{Loaded, load_bytes};
use super::out::{Voice, print, say, terminal_size};
use super::policy::allow;
use super::run::{drill_before, shown};
use super::store;
use crate::measure;
use crate::plan::Mode;
use crate::sys::{ports, terminal};
use console::Console;
use drills::{DRILLS, Pick, Ports, shelf};

/// Runs a practice.
pub fn practice(args: &Practice, voice: Voice) -> Exit {
    if args.list {
        print(&list());
        return Exit::Ok;
    }
    let seed = args.seed.unwrap_or_else(any_seed);
    let Some(pick) = Pick::of(seed, args.drill) else {
        voice.error(&format!("there is no drill {}", args.drill.unwrap_or_default()), Some(&format!("there are 1 to {}", DRILLS.len())));
        return Exit::Usage;
    };
    if !terminal::can_talk() {
        voice.error(
            "nobody sits at this terminal: a practice needs somebody to answer",
            Some("run it in a terminal; `firedrill demo` runs by itself"),
        );
        return Exit::Usage;
    }
    let ports: Ports = match ports::free() {
        Ok(ports) => ports,
        Err(error) => {
            voice.error(&format!("failed to find free ports on 127.0.0.1: {error}"), Some("a practice needs the loopback interface"));
            return Exit::CouldNotStart;
        }
    };
    let home = match lay_out(&args.runs.dir, &ports) {
        Ok(home) => home,
        Err((path, error)) => {
            voice.error(&format!("failed to write {}: {error}", path.display()), Some("choose another place with --runs DIR"));
            return Exit::CouldNotStart;
        }
    };
    let loaded = match load(&pick, &ports, &home, &voice).and_then(|loaded| allow(loaded, args.policy.named.as_deref(), &voice)) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let runs = std::path::absolute(&args.runs.dir).unwrap_or_else(|_| args.runs.dir.clone());
    let console = Console::new(pick, ports, home.join("runbooks/practice"), &runs, args.hints, voice);
    let (exit, dir) = drill_before(Box::new(console), loaded, &args.runs.dir, voice);
    if let Some(dir) = dir {
        tell(&pick, &dir, voice);
    }
    exit
}

/// The drills, without what they are about.
fn list() -> String {
    let mut text = String::from("drill  what is known of it\n");
    for number in 1..=DRILLS.len() {
        text += &format!("{number:>5}  Customers complain about checkout; about four minutes\n");
    }
    text + "They look alike at first, and are not. Where and when one hits differs each time; `--seed` repeats a practice."
}

/// A number of the machine's own, short enough to be typed again.
fn any_seed() -> u64 {
    let mut bytes = [0_u8; 4];
    // Without randomness the time serves as well: nobody guards a secret here.
    if rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::NONBLOCK).is_err() {
        return crate::sys::clock::wall_ms() % 1_000_000;
    }
    u64::from(u32::from_le_bytes(bytes)) % 1_000_000
}

/// Writes the runbooks for this shop where a second terminal can read them; the directory that paths of the scenario start from.
fn lay_out(runs: &Path, ports: &Ports) -> Result<PathBuf, (PathBuf, std::io::Error)> {
    let runs = std::path::absolute(runs).map_err(|error| (runs.to_owned(), error))?;
    let home = runs.parent().unwrap_or(&runs).join("practice");
    let books = home.join("runbooks/practice");
    for dir in [&books, &home.join("scenarios/practice")] {
        std::fs::create_dir_all(dir).map_err(|error| (dir.clone(), error))?;
    }
    for (name, text, _) in shelf(ports) {
        let path = books.join(format!("{name}.md"));
        std::fs::write(&path, text).map_err(|error| (path, error))?;
    }
    Ok(home)
}

fn load(pick: &Pick, ports: &Ports, home: &Path, voice: &Voice) -> Result<Loaded, Exit> {
    let name = PathBuf::from(format!("scenarios/practice/{}.yaml", pick.drill.name));
    let dir = home.join("scenarios/practice");
    load_bytes(pick.drill.scenario.as_bytes(), &name, &dir, &pick.vars(ports), Mode::Normal, known(), voice)
}

/// Prints the debrief of a run.
fn tell(pick: &Pick, dir: &Path, voice: Voice) {
    match store::read(dir) {
        Ok((plan, entries)) => {
            let facts = measure::facts(&plan, &entries);
            let width = terminal_size().map_or(voice.width, |(columns, _)| columns).saturating_sub(1).min(110);
            print(&debrief::text(pick, &plan, &entries, &facts, &shown(&dir.join("report.html")), width));
        }
        Err(error) => say(&format!("the debrief cannot be told: {error}")),
    }
}
