//! Windows and freezes on the clock of their own time zone. Where daylight saving makes a local time come twice or not at all, the stricter
//! reading holds: a window opens at the later of two moments and closes at the earlier, a freeze the other way round.

use indexmap::IndexMap;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::model::{Day, Freeze, Policy, Window};
use super::read::Zones;
use crate::base::{Id, Span};
use crate::scenario::Finding;

/// How far ahead the next opening is looked for.
const HORIZON_DAYS: i64 = 400;

/// From the first moment to before the second.
pub type Interval = (Timestamp, Timestamp);

/// The windows and freezes of a policy.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    windows: IndexMap<String, Hours>,
    freezes: IndexMap<Id, Interval>,
}

#[derive(Debug, Clone)]
struct Hours {
    days: Option<Vec<Day>>,
    from: Time,
    to: Time,
    /// It closes on the day after the one on which it opens.
    overnight: bool,
    zone: TimeZone,
}

impl Calendar {
    /// The calendar of a policy; what cannot be read is left out and reported.
    pub(super) fn of(policy: &Policy, zones: &Zones<'_>, findings: &mut Vec<Finding>) -> Calendar {
        let mut calendar = Calendar::default();
        for (id, window) in &policy.windows {
            if let Some(hours) = hours(window, &format!("/windows/{id}"), zones, findings) {
                calendar.windows.insert(id.to_string(), hours);
            }
        }
        for (id, freeze) in &policy.freezes {
            if let Some(interval) = frozen(freeze, &format!("/freezes/{id}"), zones, findings) {
                calendar.freezes.insert(id.clone(), interval);
            }
        }
        calendar
    }

    /// When a freeze holds.
    pub fn freeze(&self, id: &Id) -> Option<Interval> {
        self.freezes.get(id).copied()
    }

    /// When any of these windows is open, from shortly before `now` on; what touches is one.
    pub fn openings(&self, names: &[String], now: Timestamp) -> Vec<Interval> {
        // Each window once, however often it is named.
        let named = self.windows.iter().filter(|(name, _)| names.contains(name));
        let mut all: Vec<Interval> = named.flat_map(|(_, hours)| hours.openings(now)).collect();
        all.sort_unstable();
        let mut merged: Vec<Interval> = Vec::new();
        for (from, to) in all {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        merged
    }

    /// The time zone of a window, for people.
    pub fn zone_of(&self, names: &[String]) -> TimeZone {
        names.iter().find_map(|name| self.windows.get(name)).map_or(TimeZone::UTC, |hours| hours.zone.clone())
    }
}

impl Hours {
    fn openings(&self, now: Timestamp) -> Vec<Interval> {
        let today = now.to_zoned(self.zone.clone()).date();
        (-2..HORIZON_DAYS).filter_map(|n| self.opening(today.checked_add(n.days()).ok()?)).collect()
    }

    /// The opening that begins on a day.
    fn opening(&self, day: Date) -> Option<Interval> {
        if self.days.as_ref().is_some_and(|days| !days.contains(&day_of(day.weekday()))) {
            return None;
        }
        let last = if self.overnight { day.tomorrow().ok()? } else { day };
        let from = self.zone.to_ambiguous_timestamp(day.to_datetime(self.from)).later().ok()?;
        let to = self.zone.to_ambiguous_timestamp(last.to_datetime(self.to)).earlier().ok()?;
        (from < to).then_some((from, to))
    }
}

fn day_of(day: Weekday) -> Day {
    match day {
        Weekday::Monday => Day::Mon,
        Weekday::Tuesday => Day::Tue,
        Weekday::Wednesday => Day::Wed,
        Weekday::Thursday => Day::Thu,
        Weekday::Friday => Day::Fri,
        Weekday::Saturday => Day::Sat,
        Weekday::Sunday => Day::Sun,
    }
}

fn hours(window: &Window, at: &str, zones: &Zones<'_>, findings: &mut Vec<Finding>) -> Option<Hours> {
    let from = time(&window.from, &format!("{at}/from"), findings);
    // The end of a day is the beginning of the next.
    let to = if window.to == "24:00" { Some(Time::midnight()) } else { time(&window.to, &format!("{at}/to"), findings) };
    let zone = zone(&window.zone, &format!("{at}/zone"), zones, findings);
    let (from, to) = (from?, to?);
    if from == to && window.to != "24:00" {
        let finding = Finding::error(format!("{at}/to"), "the window opens and closes at the same time", "the same");
        findings.push(finding.also(format!("{at}/from"), "opens here").help("for the whole day write `from: \"00:00\", to: \"24:00\"`"));
        return None;
    }
    Some(Hours { days: window.days.clone(), from, to, overnight: to <= from, zone: zone? })
}

fn frozen(freeze: &Freeze, at: &str, zones: &Zones<'_>, findings: &mut Vec<Finding>) -> Option<Interval> {
    let from = moment(&freeze.from, &format!("{at}/from"), false, findings);
    let to = moment(&freeze.to, &format!("{at}/to"), true, findings);
    let zone = zone(&freeze.zone, &format!("{at}/zone"), zones, findings)?;
    let (from, to) = (from?, to?);
    let interval = (zone.to_ambiguous_timestamp(from).earlier().ok(), zone.to_ambiguous_timestamp(to).later().ok());
    let (Some(begin), Some(end)) = interval else {
        findings.push(Finding::error(at, "the freeze lies beyond what calendars can tell", "").on_key());
        return None;
    };
    let interval = (begin, end);
    if interval.0 >= interval.1 {
        let finding = Finding::error(format!("{at}/to"), "the freeze ends before it begins", "ends here");
        findings.push(finding.also(format!("{at}/from"), "begins here"));
        return None;
    }
    Some(interval)
}

/// `HH:MM`, strictly.
fn time(text: &str, at: &str, findings: &mut Vec<Finding>) -> Option<Time> {
    let part = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
    let found = text
        .split_once(':')
        .and_then(|(hour, minute)| Time::new(i8::try_from(part(hour)?).ok()?, i8::try_from(part(minute)?).ok()?, 0, 0).ok());
    if found.is_none() {
        let finding = Finding::error(at, format!("`{text}` is not a time of day"), "not a time");
        findings.push(finding.help("write hours and minutes with two digits each, for example `\"09:00\"`"));
    }
    found
}

/// A date, or a date and a time. A bare date at the end means the end of that day.
fn moment(text: &str, at: &str, end: bool, findings: &mut Vec<Finding>) -> Option<DateTime> {
    let (date, clock) = match text.split_once([' ', 'T']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    // Exactly ten characters: other notations of dates are easily misread.
    let date = (date.len() == 10).then(|| date.parse::<Date>().ok()).flatten();
    let Some(date) = date else {
        let finding = Finding::error(at, format!("`{text}` is not a date"), "not a date");
        findings.push(finding.help("write for example `2026-12-20` or `2026-12-20 18:00`"));
        return None;
    };
    match clock {
        Some(clock) => Some(date.to_datetime(time(clock, at, findings)?)),
        // The last day of all has no end.
        None if end => Some(date.tomorrow().map_or(DateTime::MAX, |next| next.to_datetime(Time::midnight()))),
        None => Some(date.to_datetime(Time::midnight())),
    }
}

fn zone(name: &str, at: &str, zones: &Zones<'_>, findings: &mut Vec<Finding>) -> Option<TimeZone> {
    let found = zones(name);
    if found.is_none() {
        let finding = Finding::error(at, format!("`{name}` is no time zone that this machine knows"), "unknown time zone");
        findings.push(finding.help("write an IANA name such as `Europe/Berlin` or `UTC`; the package `tzdata` brings them"));
    }
    found
}

/// The moment a drill that begins at `from` has ended, at the latest.
pub(super) fn end_of(from: Timestamp, takes: Span) -> Timestamp {
    let takes = SignedDuration::from_nanos(i64::try_from(takes.0).unwrap_or(i64::MAX));
    from.checked_add(takes).unwrap_or(Timestamp::MAX)
}

/// The opening that a whole drill fits into.
pub(super) fn fits(openings: &[Interval], from: Timestamp, takes: Span) -> bool {
    let before = openings.partition_point(|(open, _)| *open <= from);
    before.checked_sub(1).and_then(|n| openings.get(n)).is_some_and(|(_, close)| from < *close && end_of(from, takes) <= *close)
}

/// Whether a drill and a freeze have a moment in common.
pub(super) fn meets((begin, end): Interval, from: Timestamp, takes: Span) -> bool {
    from < end && begin < end_of(from, takes).max(from + SignedDuration::from_nanos(1))
}

/// The first moment from now on at which a drill of that length meets every window and no freeze.
pub(super) fn next(windows: &[Vec<Interval>], freezes: &[Interval], now: Timestamp, takes: Span) -> Option<Timestamp> {
    let opens = windows.iter().flatten().map(|(open, _)| *open);
    let mut candidates: Vec<Timestamp> = opens.chain(freezes.iter().map(|(_, end)| *end)).filter(|at| *at > now).collect();
    candidates.push(now);
    candidates.sort_unstable();
    candidates.dedup();
    candidates
        .into_iter()
        .find(|at| windows.iter().all(|openings| fits(openings, *at, takes)) && !freezes.iter().any(|freeze| meets(*freeze, *at, takes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zones(name: &str) -> Option<TimeZone> {
        TimeZone::get(name).ok()
    }

    fn hours_of(from: &str, to: &str, zone: &str) -> Hours {
        let window = Window { days: None, from: from.into(), to: to.into(), zone: zone.into() };
        let mut findings = Vec::new();
        hours(&window, "", &zones, &mut findings).unwrap_or_else(|| panic!("{findings:?}"))
    }

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// In Berlin 2027-03-28 has no 02:00–03:00, and 2026-10-25 has it twice.
    #[test]
    fn the_missing_hour_and_the_doubled_one() {
        let of = |from, to, day| hours_of(from, to, "Europe/Berlin").opening(date(day));
        assert_eq!(
            of("01:00", "04:00", "2027-03-28"),
            Some((at("2027-03-28T00:00:00Z"), at("2027-03-28T02:00:00Z"))),
            "two hours, not three"
        );
        assert_eq!(of("01:00", "04:00", "2026-10-25"), Some((at("2026-10-24T23:00:00Z"), at("2026-10-25T03:00:00Z"))), "four hours");
        assert_eq!(of("02:30", "05:00", "2027-03-28"), Some((at("2027-03-28T01:30:00Z"), at("2027-03-28T03:00:00Z"))), "opens at 03:30");
        assert_eq!(of("01:00", "02:30", "2027-03-28"), Some((at("2027-03-28T00:00:00Z"), at("2027-03-28T00:30:00Z"))), "closes early");
        assert_eq!(of("02:30", "05:00", "2026-10-25"), Some((at("2026-10-25T01:30:00Z"), at("2026-10-25T04:00:00Z"))), "the second 02:30");
        assert_eq!(of("01:00", "02:30", "2026-10-25"), Some((at("2026-10-24T23:00:00Z"), at("2026-10-25T00:30:00Z"))), "the first 02:30");
        assert_eq!(of("02:10", "02:50", "2027-03-28"), None, "there is no such hour");
        assert_eq!(of("02:10", "02:50", "2026-10-25"), None, "which of the two hours is meant is not known");
    }

    #[test]
    fn a_freeze_takes_all_of_a_doubled_hour() {
        let freeze = |from: &str, to: &str| {
            let freeze = Freeze { from: from.into(), to: to.into(), zone: "Europe/Berlin".into(), environments: None, why: None };
            frozen(&freeze, "", &zones, &mut Vec::new()).unwrap()
        };
        assert_eq!(freeze("2026-10-25 02:30", "2026-10-25 02:45"), (at("2026-10-25T00:30:00Z"), at("2026-10-25T01:45:00Z")));
        assert_eq!(freeze("2026-12-20", "2026-12-20"), (at("2026-12-19T23:00:00Z"), at("2026-12-20T23:00:00Z")), "a whole day");
        assert_eq!(freeze("2026-12-20T18:00", "2026-12-21 06:00"), (at("2026-12-20T17:00:00Z"), at("2026-12-21T05:00:00Z")));
    }

    #[test]
    fn overnight_and_round_the_clock() {
        let night = hours_of("22:00", "04:00", "UTC");
        assert_eq!(night.opening(date("2026-06-01")), Some((at("2026-06-01T22:00:00Z"), at("2026-06-02T04:00:00Z"))));
        let mut calendar = Calendar::default();
        calendar.windows.insert("always".into(), hours_of("00:00", "24:00", "Europe/Berlin"));
        let openings = calendar.openings(&["always".to_owned()], at("2026-10-01T12:00:00Z"));
        assert_eq!(openings.len(), 1, "days that touch are one opening, also across both changes: {openings:?}");
        assert!(fits(&openings, at("2026-10-25T00:59:00Z"), Span::secs(7200)));
    }

    #[test]
    fn the_next_opening_is_one_that_a_whole_drill_fits_into() {
        let mut calendar = Calendar::default();
        let mut office = hours_of("09:00", "16:00", "UTC");
        office.days = Some(vec![Day::Mon, Day::Tue]);
        calendar.windows.insert("office".into(), office);
        // 2026-06-01 is a Monday.
        let openings = |now| vec![calendar.openings(&["office".to_owned()], now)];
        let hour = Span::secs(3600);
        let next_of = |now: &str, freezes: &[Interval], takes| next(&openings(at(now)), freezes, at(now), takes);
        assert_eq!(next_of("2026-06-01T10:00:00Z", &[], hour), Some(at("2026-06-01T10:00:00Z")), "now");
        assert_eq!(next_of("2026-06-01T15:30:00Z", &[], hour), Some(at("2026-06-02T09:00:00Z")), "it would not be over in time");
        assert_eq!(next_of("2026-06-02T16:00:00Z", &[], hour), Some(at("2026-06-08T09:00:00Z")), "the end is outside");
        let freeze = (at("2026-06-02T00:00:00Z"), at("2026-06-08T12:00:00Z"));
        assert_eq!(next_of("2026-06-01T15:30:00Z", &[freeze], hour), Some(at("2026-06-08T12:00:00Z")), "after the freeze");
        assert_eq!(next_of("2026-06-01T15:30:00Z", &[], Span::secs(8 * 3600)), None, "no window is long enough");
    }

    #[test]
    fn the_largest_policy_is_answered_soon() {
        let mut calendar = Calendar::default();
        for n in 0..64 {
            calendar.windows.insert(format!("w{n}"), hours_of(&format!("{:02}:{:02}", n % 24, n % 60), "23:59", "Europe/Berlin"));
        }
        let names: Vec<String> = (0..20_000).map(|n| format!("w{}", n % 64)).collect();
        let now = at("2026-06-01T10:00:00Z");
        let began = crate::sys::clock::mono_ns();
        let windows: Vec<Vec<Interval>> = (0..2).map(|_| calendar.openings(&names, now)).collect();
        let freezes: Vec<Interval> = (0..64).map(|n| (now, now + SignedDuration::from_hours(n * 24))).collect();
        assert_eq!(next(&windows, &freezes, now, Span::secs(30 * 86_400)), None, "none is that long");
        assert!(crate::sys::clock::mono_ns() - began < 20_000_000_000);
    }

    const ZONES: [&str; 6] =
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "Pacific/Apia"];

    /// A change of the clocks of a zone; any moment where it has none.
    fn change(zone: &TimeZone, n: usize) -> Timestamp {
        let since = at("2005-01-01T00:00:00Z");
        zone.following(since).nth(n % 30).map_or(since, |change| change.timestamp())
    }

    fn minute_of(wall: &jiff::Zoned) -> i64 {
        i64::from(wall.hour()) * 60 + i64::from(wall.minute())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Whoever is inside reads a local time between the two that were written, whatever the clocks of that zone do meanwhile: asked around
        /// changes of the clocks, of windows that open around them.
        #[test]
        fn inside_a_window_the_clock_on_the_wall_agrees(
            zone in 0..ZONES.len(), n in 0_usize..30, open in -200_i64..200, length in 1_i64..300, minute in -400_i64..400,
        ) {
            let change = change(&zones(ZONES[zone]).unwrap(), n);
            let from = (minute_of(&change.to_zoned(zones(ZONES[zone]).unwrap())) + open).rem_euclid(1440);
            let to = (from + length) % 1440;
            let clock = |m: i64| format!("{:02}:{:02}", m / 60, m % 60);
            let hours = hours_of(&clock(from), &clock(to), ZONES[zone]);
            let now = change + SignedDuration::from_mins(minute);
            let wall = now.to_zoned(hours.zone.clone());
            let read = minute_of(&wall);
            let by_the_wall = if from < to { (from..to).contains(&read) } else { read >= from || read < to };
            let mut calendar = Calendar::default();
            calendar.windows.insert("w".into(), hours);
            let openings = calendar.openings(&["w".to_owned()], now);
            prop_assert!(!fits(&openings, now, Span::ZERO) || by_the_wall, "{} is inside {openings:?}", wall);
            // Four days later nothing changes, and it is the same question.
            let calm = now + SignedDuration::from_hours(96);
            let wall = calm.to_zoned(zones(ZONES[zone]).unwrap());
            let read = minute_of(&wall);
            let by_the_wall = if from < to { (from..to).contains(&read) } else { read >= from || read < to };
            prop_assert_eq!(fits(&openings, calm, Span::ZERO), by_the_wall, "{}", wall);
        }

        /// Whoever reads a local time within a freeze is frozen.
        #[test]
        fn within_a_freeze_nothing_is_missed(
            zone in 0..ZONES.len(), n in 0_usize..30, from in -200_i64..200, length in 1_i64..300, minute in -400_i64..400,
        ) {
            let zone_of = zones(ZONES[zone]).unwrap();
            let change = change(&zone_of, n);
            let begin = change.to_zoned(zone_of.clone()).datetime().checked_add(from.minutes()).unwrap();
            let end = begin.checked_add(length.minutes()).unwrap();
            let text = |moment: DateTime| moment.strftime("%Y-%m-%d %H:%M").to_string();
            let freeze = Freeze { from: text(begin), to: text(end), zone: ZONES[zone].into(), environments: None, why: None };
            let interval = frozen(&freeze, "", &zones, &mut Vec::new()).unwrap();
            let now = change + SignedDuration::from_mins(minute);
            let wall = now.to_zoned(zone_of).datetime();
            prop_assert!(!(begin <= wall && wall < end) || meets(interval, now, Span::ZERO), "{wall} is not frozen by {freeze:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// What is called the next opening is one, and nothing before it is.
        #[test]
        fn the_next_opening_is_the_first(from in 0_u16..1439, length in 30_u16..600, minute in 0_i64..(365 * 1440), takes in 0_u64..7200, gap in 0_i64..5000) {
            let clock = |m: u16| format!("{:02}:{:02}", m / 60 % 24, m % 60);
            let mut calendar = Calendar::default();
            calendar.windows.insert("w".into(), hours_of(&clock(from), &clock(from + length), "Europe/Berlin"));
            let now = at("2026-03-01T00:00:00Z") + SignedDuration::from_mins(minute);
            let freeze = (now - SignedDuration::from_mins(60), now + SignedDuration::from_mins(gap));
            let windows = [calendar.openings(&["w".to_owned()], now)];
            let takes = Span::secs(takes);
            let good = |moment| fits(&windows[0], moment, takes) && !meets(freeze, moment, takes);
            match next(&windows, &[freeze], now, takes) {
                Some(found) => {
                    prop_assert!(found >= now && good(found));
                    let mut earlier = now;
                    while earlier < found {
                        prop_assert!(!good(earlier), "{earlier} would do as well as {found}");
                        earlier += SignedDuration::from_mins(7);
                    }
                }
                None => prop_assert!(takes > Span::secs(u64::from(length) * 60 - 3600.min(u64::from(length) * 60))),
            }
        }
    }
}
