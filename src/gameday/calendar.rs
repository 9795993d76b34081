//! A game day as an iCalendar file (RFC 5545): one appointment for the day and one for each item. Times are UTC, so that no reader has to know the zone.

use icalendar::{Calendar, Component, Event};
use jiff::Timestamp;

use super::agenda::Planned;
use super::model::GameDay;
use super::when::Appointment;
use crate::base::{Digest, digest_of, one_line};

/// The file's text. Who takes part is named by role; blind drills stand under what they are shown as. A day of the same title and owner is the same
/// appointment, so that a calendar that reads it again moves it instead of doubling it.
pub fn calendar(day: &GameDay, when: &Appointment, agenda: &[Planned<'_>], stamp: Timestamp) -> String {
    let mut calendar = Calendar::new();
    calendar.name(&day.title);
    let of = short(&digest_of(format!("{}\n{}", day.title, day.owner.as_deref().unwrap_or_default()).as_bytes()));
    let ends = agenda.last().map_or(when.begins, Planned::ends);
    let roles: Vec<&str> = day.participants.keys().map(|role| role.as_str()).collect();
    let mut about: Vec<String> = day.why.iter().cloned().collect();
    if !roles.is_empty() {
        about.push(format!("Roles: {}", roles.join(", ")));
    }
    about.extend(agenda.iter().map(|item| format!("{} {}", when.clock(item.begins), item.title)));
    let event = |uid: String, title: &str, about: &str, from: Timestamp, to: Timestamp| {
        let mut event = Event::new();
        event.uid(&uid).summary(&one_line(title, 200)).description(about);
        for (name, at) in [("DTSTAMP", stamp), ("DTSTART", from), ("DTEND", to)] {
            event.add_property(name, utc(at));
        }
        event.done()
    };
    calendar.push(event(format!("{of}@firedrill"), &day.title, &about.join("\n"), when.begins, ends));
    for item in agenda {
        let go = item.item.go.as_ref().map(|role| format!("Go or no-go: {role}")).unwrap_or_default();
        calendar.push(event(format!("{of}-{}@firedrill", item.number), &item.title, &go, item.begins, item.ends()));
    }
    calendar.done().to_string()
}

fn short(digest: &Digest) -> String {
    digest.to_string().trim_start_matches("sha256:").chars().take(16).collect()
}

fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}
