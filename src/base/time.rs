//! Instants and durations. One unit inside: nanoseconds.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::units::BadUnit;

/// An instant: nanoseconds since the run started, on the clock of the run
/// (CLOCK_MONOTONIC within one boot; a new boot continues after the last entry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct At(pub u64);

impl At {
    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: At) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Signed nanoseconds from `earlier` to `self`.
    pub fn signed_since(self, earlier: At) -> i64 {
        self.0 as i64 - earlier.0 as i64
    }

    /// The instant `span` before this one, never before the start.
    pub fn minus(self, span: Span) -> At {
        At(self.0.saturating_sub(span.0))
    }
}

impl Add<Span> for At {
    type Output = At;
    fn add(self, span: Span) -> At {
        At(self.0.saturating_add(span.0))
    }
}

/// A duration in nanoseconds. In YAML and JSON a string with its unit: `250ms`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A duration of whole seconds.
    pub const fn secs(s: u64) -> Span {
        Span(s * 1_000_000_000)
    }

    /// A duration of whole milliseconds.
    pub const fn millis(ms: u64) -> Span {
        Span(ms * 1_000_000)
    }

    /// A duration of whole microseconds.
    pub const fn micros(us: u64) -> Span {
        Span(us * 1_000)
    }

    /// The duration in seconds, as a fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The duration in whole microseconds, rounded down.
    pub fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// The duration in whole milliseconds, rounded down.
    pub fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The same duration for the standard library.
    pub fn std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0)
    }

    /// `self` times a whole number, saturating.
    pub fn times(self, n: u64) -> Span {
        Span(self.0.saturating_mul(n))
    }

    /// The duration as people read it, with three significant digits: `7.31 s`, `850 µs`, `2 min 5 s`.
    pub fn human(self) -> String {
        let ns = self.0 as f64;
        let (value, unit) = match self.0 {
            0 => return "0 s".into(),
            n if n < 1_000 => return format!("{n} ns"),
            n if n < 999_500 => (ns / 1e3, "µs"),
            n if n < 999_500_000 => (ns / 1e6, "ms"),
            n if n < 119_500_000_000 => (ns / 1e9, "s"),
            n => {
                // Rounded after the division: adding first overflows near the largest of all.
                let s = n / 1_000_000_000 + u64::from(n % 1_000_000_000 >= 500_000_000);
                let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
                return match (h, m, s) {
                    (0, m, 0) => format!("{m} min"),
                    (0, m, s) => format!("{m} min {s} s"),
                    (h, 0, _) => format!("{h} h"),
                    (h, m, _) => format!("{h} h {m} min"),
                };
            }
        };
        let digits = if value >= 99.95 {
            0
        } else if value >= 9.995 {
            1
        } else {
            2
        };
        let text = format!("{value:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text };
        format!("{text} {unit}")
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Span {
    /// Exact, in the language's own notation: `1h30m`, `250ms`, `1s500ms`; parses back to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, name) in UNITS {
            if rest >= unit {
                write!(f, "{}{}", rest / unit, name)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

const UNITS: [(u64, &str); 7] = [
    (86_400_000_000_000, "d"),
    (3_600_000_000_000, "h"),
    (60_000_000_000, "m"),
    (1_000_000_000, "s"),
    (1_000_000, "ms"),
    (1_000, "us"),
    (1, "ns"),
];

impl FromStr for Span {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Span, BadUnit> {
        let bad = |help: String| BadUnit::new("a duration", text, help);
        if text.is_empty() {
            return Err(bad("write for example `30s`, `250ms` or `1h30m`".into()));
        }
        if text.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(bad(format!("a duration needs its unit: `{text}s` or `{text}ms`?")));
        }
        let mut rest = text;
        let mut total: u64 = 0;
        let mut last = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let scale = UNITS
                .iter()
                .find(|(_, name)| *name == unit || (*name == "us" && unit == "µs"))
                .map(|(scale, _)| *scale)
                .ok_or_else(|| bad("units are d, h, m, s, ms, us, ns; for example `30s` or `1h30m`".into()))?;
            if scale >= last {
                return Err(bad("write larger units first, each once: `1h30m`".into()));
            }
            last = scale;
            let value: f64 = number.parse().map_err(|_| bad("write for example `30s`, `250ms` or `1h30m`".into()))?;
            let ns = value * scale as f64;
            if ns > 3.2e18 {
                return Err(bad("longer than a hundred years".into()));
            }
            total = total.saturating_add(ns.round() as u64);
            rest = tail;
        }
        Ok(Span(total))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "firedrill-duration",
            // Or a substitution, which is filled in before anything is read.
            "pattern": r"^((\d+(\.\d+)?(d|h|m|s|ms|us|ns))+|\$\{[^}]+\})$",
            "description": "a duration with its unit: `30s`, `250ms`, `1h30m`",
        })
    }
}

/// An instant that is known only to lie within bounds. `hi: None` means it has not come yet (right-censored).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Not before this.
    pub lo: At,
    /// Not after this; absent while it has not come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hi: Option<At>,
}

impl Interval {
    /// Both bounds known.
    pub fn new(lo: At, hi: At) -> Interval {
        Interval { lo, hi: Some(hi) }
    }

    /// An instant known exactly.
    pub fn exact(at: At) -> Interval {
        Interval::new(at, at)
    }
}

/// Raw clocks read at one moment; ties the run's clock to the machine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// Which boot of which machine.
    pub boot_id: String,
    /// CLOCK_MONOTONIC in nanoseconds.
    pub mono_ns: u64,
    /// CLOCK_BOOTTIME in nanoseconds.
    pub boottime_ns: u64,
    /// Wall time, RFC 3339 with nanoseconds: a label.
    pub wall: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print_back() {
        for (text, ns) in
            [("30s", 30_000_000_000), ("250ms", 250_000_000), ("1h30m", 5_400_000_000_000), ("1.5s", 1_500_000_000), ("0s", 0)]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, ns, "{text}");
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }

    #[test]
    fn a_bare_number_names_the_unit_it_lacks() {
        let error = "30".parse::<Span>().unwrap_err();
        assert!(error.help().contains("`30s`"), "{error}");
        for bad in ["", "s", "5x", "1s1h", "1.2.3s", "-3s", "1s 2ms"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_duration_can_be_read_by_people(ns in proptest::prop_oneof![proptest::prelude::any::<u64>(), u64::MAX - 1_000_000_000..=u64::MAX]) {
            let text = Span(ns).human();
            proptest::prop_assert!(text.starts_with(|c: char| c.is_ascii_digit()), "{text}");
            if let Some((hours, _)) = text.split_once(" h") {
                // Within the rounding of a minute.
                proptest::prop_assert!(hours.parse::<u64>().unwrap().abs_diff(ns / 3_600_000_000_000) <= 1, "{text}");
            }
        }
    }

    #[test]
    fn people_read_three_significant_digits() {
        for (ns, text) in [
            (7_312_345_678, "7.31 s"),
            (850_000, "850 µs"),
            (12_345_678, "12.3 ms"),
            (125_000_000_000, "2 min 5 s"),
            (10_000_000_000, "10 s"),
            (0, "0 s"),
            (999_600_000, "1 s"),
        ] {
            assert_eq!(Span(ns).human(), text);
        }
    }
}
