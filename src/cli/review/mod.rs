//! `firedrill review`: what all runs together say of how a team practises.

mod gather;
mod page;

use super::args::{Review as Args, ReviewFormat};
use super::exit::Exit;
use super::out::{Voice, print, say, terminal_size};
use super::score;
use crate::report::practices;
use crate::review;
use crate::score::catalogue::Layer;

/// `firedrill review`.
pub fn review(args: &Args, voice: Voice) -> Exit {
    if args.schema {
        print(&format!("{:#}", review::schema()));
        return Exit::Ok;
    }
    let asked = match args.explain.as_deref().map(|name| score::asked(name, voice)) {
        Some(None) => return Exit::Usage,
        Some(Some(practice)) if practice.layer != Layer::Programme || practice.rule.is_none() => {
            let help = format!("`firedrill score RUN --explain {}` tells what one run says of it", practice.label);
            voice.error(&format!("{} is not judged over runs", practice.label), Some(&help));
            return Exit::Usage;
        }
        Some(found) => found,
        None => None,
    };
    let gathered = match gather::gather(&args.runs.dir, voice) {
        Ok(gathered) => gathered,
        Err(exit) => return exit,
    };
    if gathered.rows.is_empty() {
        say(&format!("no runs under {}: nothing is known of how anybody practises", args.runs.dir.display()));
    }
    let made = review::review(&gathered.input(args.since));
    print(&match (asked.and_then(|practice| made.find(practice)), args.output) {
        (Some(judged), _) => {
            let width = terminal_size().map_or(100, |(columns, _)| columns.min(100));
            practices::wrapped(&review::page(&made, judged), width)
        }
        (None, ReviewFormat::Text) => review::text(&made, args.all),
        (None, ReviewFormat::Md) => review::markdown(&made),
        (None, ReviewFormat::Json) => format!("{:#}", review::json(&made)),
        (None, ReviewFormat::Html) => page::html(&made),
    });
    Exit::Ok
}
