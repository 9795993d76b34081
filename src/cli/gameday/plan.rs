//! `firedrill gameday plan` and `export`: what will be, and when.

use super::super::args::{GamedayExport, GamedayPlan};
use super::super::exit::Exit;
use super::super::out::{Voice, print, say};
use super::{Whole, whole};
use crate::base::one_line;
use crate::gameday::calendar;
use crate::score::words::many;
use crate::sys::clock;

/// `firedrill gameday plan FILE`.
pub fn plan(args: &GamedayPlan, voice: Voice) -> Exit {
    let whole = match whole(&args.file, args.policy.named.as_deref(), voice) {
        Ok(whole) => whole,
        Err(exit) => return exit,
    };
    print(&text(&whole));
    if whole.lasts() < whole.takes() {
        let (lasts, takes) = (whole.lasts().human(), whole.takes().human());
        voice.warn(&format!("the agenda may take {takes}, and no drill begins after {lasts}: what is late is then left out"));
    }
    Exit::Ok
}

/// The agenda, for people.
pub(super) fn text(whole: &Whole) -> String {
    let (day, when) = (&whole.read.day, &whole.read.when);
    let agenda = whole.schedule();
    let drills = whole.drills.iter().flatten().count();
    let zone = when.zone.iana_name().unwrap_or("UTC");
    let mut lines = vec![
        format!("  {}", one_line(&day.title, 120)),
        format!("  {} {zone}   {}   at most {}", when.shown(when.begins), many(drills as u64, "drill"), whole.takes().human()),
    ];
    lines.extend(day.why.iter().map(|why| format!("  {}", one_line(why, 200))));
    lines.push(String::new());
    let wide = agenda.iter().map(|item| item.title.chars().count().min(60)).max().unwrap_or(0);
    for item in &agenda {
        let title = one_line(&item.title, 60);
        let mut about = vec![format!("at most {}", item.takes.human())];
        if item.item.run.is_none() {
            about = vec![item.takes.human()];
        }
        about.extend(item.item.run.iter().map(|file| one_line(file, 60)));
        about.extend(item.item.go.iter().map(|role| format!("go: {role}")));
        about.extend(item.item.skip_if.map(|skip| format!("unless the one before is {}", super::report::word(skip.previous))));
        about.extend(item.item.tabletop.then(|| "tabletop".to_owned()));
        about.extend(item.item.unattended.then(|| "unattended".to_owned()));
        lines.push(format!("  {}  {:>2}  {title:wide$}  {}", when.clock(item.begins), item.number, about.join("   ")));
    }
    lines.push(String::new());
    if !day.participants.is_empty() {
        let role = |(role, accounts): (&_, &Vec<String>)| format!("{role}: {}", one_line(&accounts.join(", "), 120));
        lines.push(format!(
            "  roster   {}",
            day.participants.iter().map(|(name, accounts)| role((name, accounts))).collect::<Vec<_>>().join("   ")
        ));
    }
    let (from, to) = when.window(whole.lasts(), day.early);
    lines.push(format!("  window   drills may begin from {} to {} {zone}", when.shown(from), when.shown(to)));
    lines.join("\n")
}

/// `firedrill gameday export FILE --ics OUT`.
pub fn export(args: &GamedayExport, voice: Voice) -> Exit {
    let whole = match whole(&args.file, None, voice) {
        Ok(whole) => whole,
        Err(exit) => return exit,
    };
    let text = calendar(&whole.read.day, &whole.read.when, &whole.schedule(), clock::now());
    if args.ics.as_os_str() == "-" {
        print(&text);
        return Exit::Ok;
    }
    match std::fs::write(&args.ics, text) {
        Ok(()) => {
            say(&format!("wrote {}", args.ics.display()));
            Exit::Ok
        }
        Err(error) => {
            voice.error(&format!("failed to write {}: {error}", args.ics.display()), Some("give another place, or `-` for stdout"));
            Exit::CouldNotStart
        }
    }
}
