//! `firedrill prompt`, `hint`, `pause`, `resume`, `reveal`: what those who lead ask of a drill that runs; `stop --real` and `watch`: what anybody may.

use std::path::{Path, PathBuf};

use super::args::{Cue, Leading, Stop, Watch};
use super::asking::Refusal;
use super::exit::Exit;
use super::out::{Voice, print, say};
use super::people::{drills, listening, on_clock};
use super::runtime;
use crate::base::{Id, Span, one_line};
use crate::engine::cues::Ask;
use crate::engine::lead::{Asking, ask};
use crate::engine::look::Look;
use crate::engine::people::Heard;
use crate::sys::clock;

/// How long a drill may take to answer.
const ANSWER: Span = Span::secs(5);
/// How often somebody who follows a drill looks.
const LOOK: Span = Span::millis(500);

/// `firedrill prompt`.
pub fn prompt(args: &Cue, voice: Voice) -> Exit {
    cue(args, "is said", |id| Ask::Prompt { id }, voice)
}

/// `firedrill hint`.
pub fn hint(args: &Cue, voice: Voice) -> Exit {
    cue(args, "is given", |id| Ask::Hint { id }, voice)
}

/// `firedrill pause`.
pub fn pause(args: &Leading, voice: Voice) -> Exit {
    lead(args.run.as_deref(), args.role.clone(), Ask::Pause {}, "the clock of people stands still; the system's do not", voice)
}

/// `firedrill resume`.
pub fn resume(args: &Leading, voice: Voice) -> Exit {
    lead(args.run.as_deref(), args.role.clone(), Ask::Resume {}, "the clock of people goes on", voice)
}

/// `firedrill reveal`.
pub fn reveal(args: &Leading, voice: Voice) -> Exit {
    lead(args.run.as_deref(), args.role.clone(), Ask::Reveal {}, "everybody may know now what it is", voice)
}

/// A run's id begins with a digit, and what a scenario names with a letter: they may come in either order.
fn cue(args: &Cue, done: &str, ask: impl Fn(String) -> Ask, voice: Voice) -> Exit {
    let (id, run) = match &args.leading.run {
        Some(other) if args.id.starts_with(|c: char| c.is_ascii_digit()) && other.parse::<Id>().is_ok() => (other, Some(args.id.as_str())),
        run => (&args.id, run.as_deref()),
    };
    lead(run, args.leading.role.clone(), ask(id.clone()), &format!("{} {done}", one_line(id, 64)), voice)
}

fn lead(run: Option<&str>, role: Option<String>, wanted: Ask, done: &str, voice: Voice) -> Exit {
    let (run, dir) = match listening(run) {
        Ok(found) => found,
        Err(refusal) => return refusal.say(&voice),
    };
    match talk(&dir, &Asking { role, ask: wanted }) {
        Ok(Heard { error: None, at, .. }) => {
            say(&format!("{run}: {done}, at {}", on_clock(at.unwrap_or_default())));
            Exit::Ok
        }
        Ok(Heard { error: Some(why), .. }) => {
            voice.error(&why, Some("nothing was done; the drill goes on"));
            Exit::Refused
        }
        Err(error) => silent(&run, &error).say(&voice),
    }
}

fn talk(dir: &Path, asking: &Asking) -> std::io::Result<Heard> {
    runtime()?.block_on(ask(dir, asking, ANSWER))
}

fn silent(run: &str, error: &std::io::Error) -> Refusal {
    Refusal { why: format!("{run} does not listen: {error}"), help: "it may have ended: `firedrill runs` lists the runs".to_owned() }
}

/// `firedrill stop --real`: from any account; where no run is named, every drill that listens ends.
pub fn stop(args: &Stop, voice: Voice) -> Exit {
    let found: Vec<(String, PathBuf)> = match &args.run {
        None => drills(),
        Some(run) => match listening(Some(run)) {
            Ok(found) => vec![found],
            Err(refusal) => return refusal.say(&voice),
        },
    };
    let machine = "`firedrill lever engage --reason TEXT` stops every drill of this machine";
    if found.is_empty() {
        voice.error("no drill on this machine listens to people", Some(machine));
        return Exit::CouldNotStart;
    }
    let asking = Asking { role: args.role.clone(), ask: Ask::Stop { reason: args.reason.clone() } };
    let mut worst = Exit::Ok;
    for (run, dir) in found {
        match talk(&dir, &asking) {
            Ok(Heard { error: None, .. }) => say(&format!("{run}: the drill ends, and everything is undone")),
            Ok(Heard { error: Some(why), .. }) => say(&format!("{run}: {why}")),
            Err(error) => {
                voice.error(&silent(&run, &error).why, Some(machine));
                worst = Exit::CouldNotStart;
            }
        }
    }
    worst
}

/// `firedrill watch`: what everybody may know, from any account.
pub fn watch(args: &Watch, voice: Voice) -> Exit {
    let (run, dir) = match listening(args.run.as_deref()) {
        Ok(found) => found,
        Err(refusal) => return refusal.say(&voice),
    };
    let asking = Asking { role: args.role.clone(), ask: Ask::Look {} };
    let Ok(runtime) = runtime() else { return Exit::Bug };
    let mut shown: Option<(Look, u64)> = None;
    loop {
        let heard = match runtime.block_on(ask(&dir, &asking, ANSWER)) {
            Ok(Heard { look: Some(look), at, .. }) => (look, at.unwrap_or_default()),
            Ok(Heard { error: Some(why), .. }) if shown.is_none() => {
                voice.error(&why, Some("`firedrill watch` shows a drill while it runs"));
                return Exit::Refused;
            }
            Err(error) if shown.is_none() => return silent(&run, &error).say(&voice),
            // It was there, and is not any more.
            Ok(_) | Err(_) => {
                print("the drill is over");
                return Exit::Ok;
            }
        };
        let (look, at) = heard;
        let before = shown.as_ref().map(|(look, last)| (look, *last));
        news(&run, before, &look, &on_clock(at)).iter().for_each(|line| print(line));
        let last = look.lines.last().map_or(0, |line| line.seq);
        shown = Some((look, last));
        if args.once {
            return Exit::Ok;
        }
        runtime.block_on(clock::sleep(LOOK));
    }
}

/// What is new since the last look.
fn news(run: &str, before: Option<(&Look, u64)>, look: &Look, now: &str) -> Vec<String> {
    let mut out = Vec::new();
    // Whatever a run says of itself may have been written by anybody.
    let plain = |text: &str| one_line(text, 600);
    if before.is_none() {
        out.push(format!("{}   run {run}", plain(&look.shown_as)));
        if look.hidden {
            out.push("what it is about is told when it is over, or revealed".to_owned());
        }
        out.push(format!("this is real?   firedrill stop --real {run}"));
        out.push(String::new());
    }
    let last = before.map(|(_, last)| last);
    for line in look.lines.iter().filter(|line| last.is_none_or(|last| line.seq > last)) {
        out.push(format!("  {}  {:<10}{}", on_clock(line.at), plain(&line.what), plain(&line.text)));
    }
    if look.ending && before.is_none_or(|(before, _)| !before.ending) {
        out.push(format!("  {now}  {:<10}the drill comes to its end", "end"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::At;
    use crate::engine::look::Told;

    #[test]
    fn whoever_follows_sees_each_line_once_and_nothing_that_steers() {
        let told = |seq: u64, text: &str| Told { seq, at: At(seq * 1_000_000_000), what: "hint".into(), text: text.into() };
        let mut look = Look { shown_as: "Ex\u{1b}[2J".into(), hidden: true, paused: false, ending: false, lines: vec![told(1, "a")] };
        let first = news("01R", None, &look, "00:01");
        assert_eq!(first[0], "Ex [2J   run 01R");
        assert!(first[1].contains("told when it is over") && first[4] == "  00:01  hint      a", "{first:?}");
        let before = look.clone();
        look.lines.push(told(3, "b\u{202e}"));
        look.ending = true;
        assert_eq!(
            news("01R", Some((&before, 1)), &look, "00:09"),
            ["  00:03  hint      b", "  00:09  end       the drill comes to its end"]
        );
        assert!(news("01R", Some((&look, 3)), &look, "00:10").is_empty());
    }
}
