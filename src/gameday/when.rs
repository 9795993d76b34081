//! When a game day is: a time of day on the clock of a time zone. Where daylight saving makes a local time come not at all, or twice, it is refused
//! until it says which is meant.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::base::Span;

/// Knows time zones by their IANA names.
pub type Zones<'a> = dyn Fn(&str) -> Option<TimeZone> + 'a;

/// How much earlier a game day may begin unless it says otherwise.
const EARLY: Span = Span::secs(15 * 60);

/// When a game day begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appointment {
    /// The moment.
    pub begins: Timestamp,
    /// Whose clock it goes by.
    pub zone: TimeZone,
}

/// Why a time was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong.
    pub what: String,
    /// In a few words.
    pub label: String,
    /// What to write.
    pub help: String,
}

impl Appointment {
    /// Reads `2026-12-03 10:00 Europe/Berlin`; where that comes twice, `2026-10-25 02:30 +01:00 Europe/Berlin`.
    ///
    /// # Errors
    /// It is no time, the zone is unknown, or that time does not come exactly once.
    pub fn of(text: &str, zones: &Zones<'_>) -> Result<Appointment, Refused> {
        let refused = |what: String, label: &str, help: String| Refused { what, label: label.into(), help };
        let form = || "write for example `\"2026-12-03 10:00 Europe/Berlin\"`".to_owned();
        let parts: Vec<&str> = text.split_whitespace().collect();
        let (date, clock, offset, name) = match parts.as_slice() {
            [date, clock, name] => (*date, *clock, None, *name),
            [date, clock, offset, name] => (*date, *clock, Some(*offset), *name),
            _ => return Err(refused(format!("`{text}` is not a date, a time of day and a time zone"), "not a time", form())),
        };
        let exact = date.len() == 10 && clock.len() == 5;
        let local = exact.then(|| format!("{date}T{clock}").parse::<DateTime>().ok()).flatten();
        let Some(local) = local else {
            return Err(refused(format!("`{date} {clock}` is not a date and a time of day"), "not a time", form()));
        };
        let zone = zones(name).ok_or_else(|| {
            let help = "write an IANA name such as `Europe/Berlin` or `UTC`; the package `tzdata` brings them".to_owned();
            refused(format!("`{name}` is no time zone that this machine knows"), "unknown time zone", help)
        })?;
        let ambiguous = zone.to_ambiguous_timestamp(local);
        let begins = match (ambiguous.offset(), offset) {
            (AmbiguousOffset::Gap { before, after }, _) => {
                let help = format!("clocks are put from {before} to {after} there: choose a time before or after that");
                return Err(refused(format!("{local} does not exist in {name}"), "clocks skip it", help));
            }
            (AmbiguousOffset::Fold { before, after }, None) => {
                let help = format!(
                    "say which: `\"{date} {clock} {before}:00 {name}\"` is the first, `\"{date} {clock} {after}:00 {name}\"` the second"
                );
                return Err(refused(format!("{local} comes twice in {name}"), "clocks are put back over it", help));
            }
            (_, None) => ambiguous.compatible().ok(),
            (_, Some(offset)) => {
                let said = format!("{date}T{clock}:00{offset}").parse::<Timestamp>().ok();
                let fits = said.is_some_and(|said| zone.to_datetime(said) == local);
                if !fits {
                    return Err(refused(format!("{name} is not at {offset} then"), "another offset", "leave the offset out".into()));
                }
                said
            }
        };
        let begins = begins.ok_or_else(|| refused(format!("{local} lies beyond what calendars can tell"), "too far", form()))?;
        Ok(Appointment { begins, zone })
    }

    /// From when to when drills may begin.
    pub fn window(&self, lasts: Span, early: Option<Span>) -> (Timestamp, Timestamp) {
        let early = early.unwrap_or(EARLY);
        (self.begins.checked_sub(signed(early)).unwrap_or(Timestamp::MIN), self.begins.checked_add(signed(lasts)).unwrap_or(Timestamp::MAX))
    }

    /// A moment on its clock, for people.
    pub fn shown(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// The same without the date.
    pub fn clock(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%H:%M").to_string()
    }
}

/// A span as the calendar counts it.
pub(super) fn signed(span: Span) -> SignedDuration {
    SignedDuration::from_nanos(i64::try_from(span.0).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<String, String> {
        let zones = |name: &str| TimeZone::get(name).ok();
        Appointment::of(text, &zones).map(|when| when.begins.to_string()).map_err(|refused| format!("{}; {}", refused.what, refused.help))
    }

    #[test]
    fn a_time_that_comes_not_once_is_refused() {
        assert_eq!(of("2026-12-03 10:00 Europe/Berlin").unwrap(), "2026-12-03T09:00:00Z");
        assert_eq!(of("2026-07-03 10:00 Europe/Berlin").unwrap(), "2026-07-03T08:00:00Z");
        assert!(of("2027-03-28 02:30 Europe/Berlin").unwrap_err().contains("does not exist"));
        let twice = of("2026-10-25 02:30 Europe/Berlin").unwrap_err();
        assert!(twice.contains("comes twice"), "{twice}");
        // What it tells to write is understood.
        let told: Vec<&str> = twice.split('`').filter(|part| part.starts_with('"')).map(|part| part.trim_matches('"')).collect();
        assert_eq!(told.iter().map(|text| of(text).unwrap()).collect::<Vec<_>>(), ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]);
        assert!(of("2026-12-03 10:00 +05:00 Europe/Berlin").unwrap_err().contains("not at +05:00"));
        for wrong in ["", "tomorrow", "2026-12-03 10:00", "2026-13-03 10:00 UTC", "2026-12-03 1:00 UTC", "2026-12-03 10:00 Mars/Base"] {
            of(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_window_goes_by_the_clock_of_time_that_passes() {
        let zones = |name: &str| TimeZone::get(name).ok();
        let when = Appointment::of("2027-03-28 01:30 Europe/Berlin", &zones).unwrap();
        let (from, to) = when.window(Span::secs(3_600), None);
        assert_eq!((when.clock(from), when.clock(to)), ("01:15".into(), "03:30".into()));
    }
}
