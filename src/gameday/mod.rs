//! A game day: an agenda of drills with one roster, gates before each of them, breaks, one timeline and one report. What is written, when it is,
//! what its log comes to and how that reads. It must never know how a drill is run, judged or stored.

mod agenda;
mod calendar;
mod day;
mod log;
mod model;
mod read;
mod report;
mod when;

pub use agenda::{Planned, schedule};
pub use calendar::calendar;
pub use day::{Day, Stands, previous};
pub use log::{Happened, Log, Noted};
pub use model::{GameDay, Item, Previous, SkipIf};
pub use read::{Read, json_schema, read};
pub use report::{DayReport, Entry, Finding, Row, Said};
pub use when::{Appointment, Zones};
