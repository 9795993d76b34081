//! Quantities that carry their unit in the text: rates, percentages, sizes.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Span;

/// A value whose unit is missing or unknown. The help line shows how to write it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct BadUnit {
    what: &'static str,
    text: String,
    help: String,
}

impl BadUnit {
    pub(super) fn new(what: &'static str, text: &str, help: String) -> BadUnit {
        BadUnit { what, text: text.to_owned(), help }
    }

    /// One line saying what to write instead.
    pub fn help(&self) -> &str {
        &self.help
    }
}

/// How often something happens, per second. In YAML `20/s` or `30/m`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// A rate of `n` a second; `n` must be above zero and finite.
    pub fn per_second(n: f64) -> Option<Rate> {
        (n.is_finite() && n > 0.0).then_some(Rate(n))
    }

    /// Times a second.
    pub fn hz(self) -> f64 {
        self.0
    }

    /// The time between two planned occurrences, at least 1 ns.
    pub fn interval(self) -> Span {
        Span(((1e9 / self.0).round() as u64).max(1))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1.0 && (self.0 * 60.0 - (self.0 * 60.0).round()).abs() < 1e-9 {
            write!(f, "{}/m", (self.0 * 60.0).round())
        } else {
            write!(f, "{}/s", self.0)
        }
    }
}

impl FromStr for Rate {
    type Err = BadUnit;
    fn from_str(text: &str) -> Result<Rate, BadUnit> {
        let bad = |help: String| BadUnit::new("a rate", text, help);
        let (number, per) = match text.rsplit_once('/') {
            Some((n, "s")) => (n, 1.0),
            Some((n, "m")) => (n, 60.0),
            Some((n, "h")) => (n, 3600.0),
            _ if text.parse::<f64>().is_ok() => return Err(bad(format!("a rate needs its unit: `{text}/s` or `{text}/m`?"))),
            _ => return Err(bad("write for example `20/s` or `30/m`".into())),
        };
        let value: f64 = number.parse().map_err(|_| bad("write for example `20/s` or `30/m`".into()))?;
        Rate::per_second(value / per).ok_or_else(|| bad("a rate must be above zero".into()))
    }
}

/// A share, kept as a fraction of one. In YAML `99.9%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// From a fraction of one, 0 ≤ `f` ≤ 1.
    pub fn of_fraction(f: f64) -> Option<Percent> {
        (0.0..=1.0).contains(&f).then_some(Percent(f))
    }

    /// The fraction of one, between 0 and 1.
    pub fn fraction(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", ((self.0 * 100.0) * 1e9).round() / 1e9)
    }
}

impl FromStr for Percent {
    type Err = BadUnit;
    fn from_str(text: &str) -> Result<Percent, BadUnit> {
        let bad = |help: String| BadUnit::new("a percentage", text, help);
        let Some(number) = text.strip_suffix('%') else {
            return Err(bad(if text.parse::<f64>().is_ok() {
                format!("a percentage needs its sign: `{text}%`?")
            } else {
                "write for example `99.9%`".into()
            }));
        };
        let value: f64 = number.trim().parse().map_err(|_| bad("write for example `99.9%`".into()))?;
        Percent::of_fraction(value / 100.0).ok_or_else(|| bad("a percentage lies between 0% and 100%".into()))
    }
}

/// A size in bytes. In YAML `10MiB`, `4kB`, `512B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const SIZES: [(u64, &str); 9] = [
    (1 << 40, "TiB"),
    (1 << 30, "GiB"),
    (1 << 20, "MiB"),
    (1 << 10, "KiB"),
    (1_000_000_000_000, "TB"),
    (1_000_000_000, "GB"),
    (1_000_000, "MB"),
    (1_000, "kB"),
    (1, "B"),
];

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = SIZES.iter().find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit)).unwrap_or(&(1, "B"));
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl FromStr for Bytes {
    type Err = BadUnit;
    fn from_str(text: &str) -> Result<Bytes, BadUnit> {
        let bad = |help: String| BadUnit::new("a size", text, help);
        if text.parse::<f64>().is_ok() {
            return Err(bad(format!("a size needs its unit: `{text}MiB`?")));
        }
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let scale = SIZES.iter().find(|(_, name)| *name == unit).map(|(scale, _)| *scale);
        match (number.parse::<f64>(), scale) {
            (Ok(n), Some(scale)) if n * scale as f64 <= u64::MAX as f64 => Ok(Bytes((n * scale as f64).round() as u64)),
            _ => Err(bad("units are B, kB, MB, GB, KiB, MiB, GiB; for example `10MiB`".into())),
        }
    }
}

macro_rules! text_with_unit {
    ($type:ty, $name:literal, $format:literal, $pattern:literal, $about:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "pattern": $pattern, "description": $about })
            }
        }
    };
}

text_with_unit!(Rate, "Rate", "firedrill-rate", r"^\d+(\.\d+)?/(s|m|h)$", "how often: `20/s`, `30/m`");
text_with_unit!(Percent, "Percent", "firedrill-percent", r"^\d+(\.\d+)?%$", "a share with its sign: `99.9%`");
text_with_unit!(Bytes, "Bytes", "firedrill-bytes", r"^\d+(\.\d+)?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$", "a size with its unit: `10MiB`");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_what_they_parsed() {
        for text in ["20/s", "30/m", "0.5/s"] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
        }
        for text in ["99.9%", "0%", "100%", "99.95%"] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), text);
        }
        for text in ["10MiB", "4kB", "512B", "1GiB"] {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_missing_unit_is_shown_with_one() {
        assert!("20".parse::<Rate>().unwrap_err().help().contains("`20/s`"));
        assert!("99.9".parse::<Percent>().unwrap_err().help().contains("`99.9%`"));
        assert!("10".parse::<Bytes>().unwrap_err().help().contains("`10MiB`"));
        for bad in ["0/s", "-1/s", "x/s", "1/y"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        assert!("101%".parse::<Percent>().is_err());
    }
}
