//! `firedrill init`: watches a service for a while and writes a first scenario for it, so that a verdict on one's own service comes before the
//! reference. It must never disturb anything: the fault it writes is injected by `firedrill run` alone.

mod text;
mod watch;

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args;
use super::exit::Exit;
use super::known::known;
use super::load::load_bytes;
use super::out::{Voice, say};
use super::runtime;
use crate::base::Span;
use crate::plan::Mode;
use crate::sys::process::{self, ProcessId};
use crate::{fault, probe};
use text::Disturbed;

/// The shortest and the longest time to watch.
const WATCH: (Span, Span) = (Span::secs(1), Span::secs(600));

/// Why nothing was written.
struct Refused {
    exit: Exit,
    text: String,
    help: String,
}

impl Refused {
    fn usage(text: String, help: impl Into<String>) -> Refused {
        Refused { exit: Exit::Usage, text, help: help.into() }
    }

    fn not_there(text: String, help: impl Into<String>) -> Refused {
        Refused { exit: Exit::CouldNotStart, text, help: help.into() }
    }
}

/// Watches and writes.
pub fn init(args: &args::Init, voice: Voice) -> Exit {
    match watch_and_write(args, voice) {
        Ok(()) => Exit::Ok,
        Err(refused) => {
            voice.error(&refused.text, Some(&refused.help));
            refused.exit
        }
    }
}

fn watch_and_write(args: &args::Init, voice: Voice) -> Result<(), Refused> {
    // Everything that can be wrong without asking the service comes first: half a minute is long for a typing error.
    check_url(&args.url)?;
    check_time(args.watch_for)?;
    check_out(&args.out)?;
    let disturbed = disturbed(args)?;
    say(&format!("watching {} for {}, {} times a second; nothing is disturbed", args.url, args.watch_for.human(), watch::RATE));
    let runtime = runtime().map_err(|error| Refused::not_there(format!("failed to start: {error}"), "nothing was written"))?;
    let seen = runtime
        .block_on(watch::watch(&args.url, args.watch_for, voice))
        .map_err(|why| Refused::not_there(format!("failed to ask {}: {why}", args.url), "nothing was written"))?;
    let observed = seen.observed(&args.url, args.watch_for).map_err(|text| {
        let tried = format!("GET {} was tried every {} and given {} each time", args.url, watch::EVERY.human(), watch::LIMIT.human());
        Refused::not_there(text, format!("{tried}; give a URL that answers with a status from 200 to 299 while all is well"))
    })?;
    say(&format!("seen: {}", observed.summary()));
    let text = text::scenario_text(&observed, &disturbed, &shown(&args.out));
    // A file that we would refuse ourselves must not reach a newcomer.
    load_bytes(text.as_bytes(), &args.out, Path::new("."), &[], Mode::Normal, known(), &voice).map_err(|_| Refused {
        exit: Exit::Bug,
        text: "the scenario that was made of it is refused by firedrill itself".into(),
        help: "nothing was written; this is a bug".into(),
    })?;
    write_new(&args.out, &text)?;
    let file = shown(&args.out);
    say(&format!(
        "wrote {file}\nnext:  firedrill plan {file}   shows what would happen\n       firedrill run {file}    asks, then does it"
    ));
    Ok(())
}

fn check_url(url: &str) -> Result<(), Refused> {
    let help = "write for example `--url http://127.0.0.1:8080/health`";
    if url.contains("${") {
        return Err(Refused::usage(format!("`{url}` is not a URL: it holds a variable"), help));
    }
    let problems = probe::by_kind("http").map(|http| http.check(&json!({ "url": url }))).unwrap_or_default();
    match problems.into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(Refused::usage(problem.text, problem.help.unwrap_or_else(|| help.to_owned()))),
    }
}

fn check_time(watch_for: Span) -> Result<(), Refused> {
    if (WATCH.0..=WATCH.1).contains(&watch_for) {
        return Ok(());
    }
    Err(Refused::usage(
        format!("{watch_for} is no time to watch a service for"),
        format!("from {} to {}; for example `--for 30s`", WATCH.0, WATCH.1),
    ))
}

fn check_out(out: &Path) -> Result<(), Refused> {
    // Also a link that leads nowhere is in the way.
    if out.symlink_metadata().is_ok() {
        return Err(in_the_way(out));
    }
    let dir = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if dir.is_dir() {
        Ok(())
    } else {
        Err(Refused::usage(format!("{} is not a directory", shown(dir)), "make it first, or choose another `--out`"))
    }
}

fn in_the_way(out: &Path) -> Refused {
    Refused::usage(format!("{} exists already", shown(out)), "nothing is overwritten; choose another file with `--out`")
}

fn write_new(out: &Path, text: &str) -> Result<(), Refused> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => in_the_way(out),
        _ => Refused::not_there(format!("failed to write {}: {error}", shown(out)), "choose another file with `--out`"),
    };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(out).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// A path for people: one line.
fn shown(path: &Path) -> String {
    PathBuf::from(path).display().to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What is to be disturbed; refuses what the drill itself would refuse.
fn disturbed(args: &args::Init) -> Result<Disturbed, Refused> {
    let (disturbed, found, looked_for) = match (&args.pid_of, args.port) {
        (Some(name), _) => {
            (Disturbed::Name(name.clone()), process::by_name(name), format!("no process called `{}` runs", name.escape_debug()))
        }
        (None, Some(port)) => {
            (Disturbed::Port(port), process::listening_on(port), format!("nobody whose sockets we may see listens on port {port}"))
        }
        (None, None) => return Ok(Disturbed::Nothing),
    };
    if let Some(problem) = refused_by_the_fault(&disturbed) {
        return Err(Refused::usage(problem, "write for example `--pid-of my-server` or `--port 8080`"));
    }
    if found.is_empty() {
        let help = "it must run on this machine, under this account or as seen by root; without a process `init` writes a rehearsal";
        return Err(Refused::not_there(looked_for, help));
    }
    for id in &found {
        may_be_disturbed(id)?;
    }
    say(&format!("to be disturbed later: {}", found.iter().map(process::describe).collect::<Vec<_>>().join(", ")));
    Ok(disturbed)
}

/// What the fault would say of it in a file.
fn refused_by_the_fault(disturbed: &Disturbed) -> Option<String> {
    let spec = match disturbed {
        Disturbed::Name(name) if name.contains("${") => return Some(format!("`{name}` is not a name: it holds a variable")),
        Disturbed::Name(name) => json!({ "name": name }),
        Disturbed::Port(port) => json!({ "port": port }),
        Disturbed::Nothing => return None,
    };
    let problems = fault::by_kind("process.pause").map(|pause| pause.check(&spec)).unwrap_or_default();
    problems.into_iter().next().map(|problem| problem.help.map_or(problem.text.clone(), |help| format!("{}: {help}", problem.text)))
}

fn may_be_disturbed(id: &ProcessId) -> Result<(), Refused> {
    let name = process::describe(id);
    if id.pid == 1 || process::ourselves().contains(&id.pid) {
        let help = "a drill that holds itself still could not undo it; name the service's own process, for example by `--port`";
        return Err(Refused::not_there(format!("{name} is firedrill itself or its ancestor"), help));
    }
    process::may_signal(id).map_err(|error| {
        Refused::not_there(
            format!("failed to get the right to signal {name}: {error}"),
            "run as the account that the service runs under, or as root",
        )
    })
}
