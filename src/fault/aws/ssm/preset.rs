//! The documents of AWS's own fault injection, with words of ours for their parameters. Source: the FIS user guide, "Use Systems Manager SSM
//! documents with AWS FIS".

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::{Given, Scalar};
use crate::base::{Problem, Span};

/// The longest that a preset may last: AWS's limit of a fault.
const LONGEST: Span = Span::secs(12 * 3600);

/// A ready document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// `AWSFIS-Run-CPU-Stress`: `load`, `workers`.
    Cpu,
    /// `AWSFIS-Run-Memory-Stress`: `use`, `workers`.
    Memory,
    /// `AWSFIS-Run-IO-Stress`: `use`, `workers`.
    Io,
    /// `AWSFIS-Run-Disk-Fill`: `to`.
    DiskFill,
    /// `AWSFIS-Run-Network-Latency`: `delay`, `interface`.
    Latency,
    /// `AWSFIS-Run-Network-Packet-Loss`: `loss`, `interface`.
    Loss,
    /// `AWSFIS-Run-Network-Blackhole-Port`: `port`, `protocol`, `direction`.
    Blackhole,
    /// `AWSFIS-Run-Kill-Process`: `process`, `signal`.
    KillProcess,
}

/// What a word of ours may be.
#[derive(Debug, Clone, Copy)]
enum Sort {
    /// A share, with its least and most.
    Share(u32, u32),
    /// A whole number, with its least and most.
    Whole(u32, u32),
    /// A time, in seconds.
    Seconds,
    /// A time, in milliseconds.
    Millis,
    /// Yes or no, as the documents write it.
    Flag,
    /// A name.
    Name,
    /// One of these, with what the document calls it.
    OneOf(&'static [(&'static str, &'static str)]),
}

/// A word of ours.
struct Word {
    ours: &'static str,
    theirs: &'static str,
    sort: Sort,
    required: bool,
}

const fn word(ours: &'static str, theirs: &'static str, sort: Sort) -> Word {
    Word { ours, theirs, sort, required: false }
}

const fn needed(ours: &'static str, theirs: &'static str, sort: Sort) -> Word {
    Word { ours, theirs, sort, required: true }
}

const DURATION: Word = word("duration", "DurationSeconds", Sort::Seconds);
const INSTALL: Word = word("install", "InstallDependencies", Sort::Flag);
const INTERFACE: Word = word("interface", "Interface", Sort::Name);

impl Preset {
    /// The document's name.
    pub fn document(self) -> &'static str {
        match self {
            Preset::Cpu => "AWSFIS-Run-CPU-Stress",
            Preset::Memory => "AWSFIS-Run-Memory-Stress",
            Preset::Io => "AWSFIS-Run-IO-Stress",
            Preset::DiskFill => "AWSFIS-Run-Disk-Fill",
            Preset::Latency => "AWSFIS-Run-Network-Latency",
            Preset::Loss => "AWSFIS-Run-Network-Packet-Loss",
            Preset::Blackhole => "AWSFIS-Run-Network-Blackhole-Port",
            Preset::KillProcess => "AWSFIS-Run-Kill-Process",
        }
    }

    /// Whether its document puts everything back when its time is over.
    pub fn ends_by_itself(self) -> bool {
        self != Preset::KillProcess
    }

    /// What cancelling does not stop at once.
    pub fn after_cancel(self) -> &'static str {
        match self {
            Preset::Cpu | Preset::Memory | Preset::Io => "stress-ng ends with the command, and by itself when its duration is over",
            Preset::DiskFill => {
                "what was filled is freed by the document's own rollback on the host, at the latest when its duration is over; on a disk that is full the agent may not be able to cancel"
            }
            Preset::Latency | Preset::Loss | Preset::Blackhole => {
                "rules of tc and iptables are removed by the document's own rollback on the host, at the latest when its duration is over"
            }
            Preset::KillProcess => "a process that was killed stays so until somebody starts it",
        }
    }

    fn words(self) -> Vec<Word> {
        let workers = |theirs| word("workers", theirs, Sort::Whole(0, 1024));
        let mut words = match self {
            Preset::Cpu => vec![word("load", "LoadPercent", Sort::Share(0, 100)), workers("CPU")],
            Preset::Memory => vec![needed("use", "Percent", Sort::Share(1, 100)), workers("Workers")],
            Preset::Io => vec![word("use", "Percent", Sort::Share(1, 100)), workers("Workers")],
            Preset::DiskFill => vec![word("to", "Percent", Sort::Share(1, 100))],
            Preset::Latency => vec![word("delay", "DelayMilliseconds", Sort::Millis), INTERFACE],
            Preset::Loss => vec![word("loss", "LossPercent", Sort::Share(1, 100)), INTERFACE],
            Preset::Blackhole => vec![
                needed("port", "Port", Sort::Whole(1, 65_535)),
                needed("protocol", "Protocol", Sort::OneOf(&[("tcp", "tcp"), ("udp", "udp")])),
                word("direction", "TrafficType", Sort::OneOf(&[("in", "ingress"), ("out", "egress")])),
            ],
            Preset::KillProcess => vec![
                needed("process", "ProcessName", Sort::Name),
                word("signal", "Signal", Sort::OneOf(&[("TERM", "SIGTERM"), ("KILL", "SIGKILL")])),
            ],
        };
        if self.ends_by_itself() {
            words.push(DURATION);
        }
        words.push(INSTALL);
        words
    }

    /// What is wrong with its parameters.
    pub fn problems(self, given: &IndexMap<String, Given>, out: &mut Vec<Problem>) {
        let words = self.words();
        let known: Vec<&str> = words.iter().map(|word| word.ours).collect();
        for (name, value) in given {
            let at = format!("/parameters/{name}");
            match words.iter().find(|word| word.ours == name) {
                None => out.push(Problem::new(at, format!("this preset has no `{name}`")).help(format!("it has {}", known.join(", ")))),
                Some(word) => {
                    out.extend(word.sort.read(value).err().map(|why| Problem::new(at, format!("`{}` {why}", value.texts().join(", ")))))
                }
            }
        }
        for word in words.iter().filter(|word| word.required && !given.contains_key(word.ours)) {
            out.push(
                Problem::new("/parameters", format!("`{}` is missing", word.ours))
                    .help(format!("add `parameters: {{ {}: … }}`", word.ours)),
            );
        }
    }

    /// The parameters as the document calls them; without a `duration` it lasts as long as is said here.
    pub fn parameters(self, given: &IndexMap<String, Given>, lasts: Span) -> BTreeMap<String, Vec<String>> {
        let mut out = BTreeMap::new();
        if self.ends_by_itself() {
            let seconds = lasts.min(LONGEST).0.div_ceil(1_000_000_000).max(1);
            out.insert(DURATION.theirs.to_owned(), vec![seconds.to_string()]);
        }
        for word in self.words() {
            if let Some(Ok(value)) = given.get(word.ours).map(|value| word.sort.read(value)) {
                out.insert(word.theirs.to_owned(), vec![value]);
            }
        }
        out
    }
}

impl Sort {
    /// The value as the document takes it, or why it is none.
    fn read(self, given: &Given) -> Result<String, String> {
        let Given::One(value) = given else { return Err("must be one value".into()) };
        let text = value.to_string();
        let within = |text: &str, least: u32, most: u32| {
            let number = text.parse::<u32>().ok().filter(|n| (least..=most).contains(n));
            number.map(|n| n.to_string()).ok_or_else(|| format!("is no whole number from {least} to {most}"))
        };
        let span = || text.parse::<Span>().map_err(|_| "is no time: write `30s`".to_owned());
        match self {
            Sort::Share(least, most) => within(text.strip_suffix('%').unwrap_or(&text), least, most).map_err(|why| why + " per cent"),
            Sort::Whole(least, most) => within(&text, least, most),
            Sort::Seconds => {
                let span = span()?;
                let good = span >= Span::secs(1) && span <= LONGEST && span.0 % 1_000_000_000 == 0;
                if good { Ok((span.0 / 1_000_000_000).to_string()) } else { Err(format!("is no time in whole seconds, at most {LONGEST}")) }
            }
            Sort::Millis => {
                let span = span()?;
                if span.as_millis() > 0 { Ok(span.as_millis().to_string()) } else { Err("is less than a millisecond".into()) }
            }
            Sort::Flag => match value {
                Scalar::Flag(true) => Ok("True".into()),
                Scalar::Flag(false) => Ok("False".into()),
                _ => Err("is neither true nor false".into()),
            },
            Sort::Name => {
                let good = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@:".contains(&b));
                if good { Ok(text) } else { Err("is no name: letters, digits and `._-@:`".into()) }
            }
            Sort::OneOf(words) => {
                let found = words.iter().find(|(ours, theirs)| *ours == text || *theirs == text);
                let all: Vec<&str> = words.iter().map(|(ours, _)| *ours).collect();
                found.map(|(_, theirs)| (*theirs).to_owned()).ok_or_else(|| format!("is none of {}", all.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn given(value: Value) -> IndexMap<String, Given> {
        serde_json::from_value(value).unwrap()
    }

    fn sent(preset: Preset, value: Value) -> Value {
        let mut problems = Vec::new();
        preset.problems(&given(value.clone()), &mut problems);
        assert!(problems.is_empty(), "{preset:?}: {problems:?}");
        let parameters = preset.parameters(&given(value), Span::secs(90));
        json!(parameters.into_iter().map(|(name, values)| (name, values[0].clone())).collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn each_preset_is_said_in_the_words_of_its_document() {
        let cases = [
            (
                Preset::Cpu,
                json!({ "load": "80%", "workers": 2, "install": false }),
                json!({ "DurationSeconds": "90", "LoadPercent": "80", "CPU": "2", "InstallDependencies": "False" }),
            ),
            (Preset::Memory, json!({ "use": "70%", "duration": "5m" }), json!({ "DurationSeconds": "300", "Percent": "70" })),
            (Preset::Io, json!({ "use": 50, "workers": 4 }), json!({ "DurationSeconds": "90", "Percent": "50", "Workers": "4" })),
            (Preset::DiskFill, json!({ "to": "95%" }), json!({ "DurationSeconds": "90", "Percent": "95" })),
            (
                Preset::Latency,
                json!({ "delay": "250ms", "interface": "ens5" }),
                json!({ "DurationSeconds": "90", "DelayMilliseconds": "250", "Interface": "ens5" }),
            ),
            (Preset::Loss, json!({ "loss": "15%" }), json!({ "DurationSeconds": "90", "LossPercent": "15" })),
            (
                Preset::Blackhole,
                json!({ "port": 5432, "protocol": "tcp", "direction": "out" }),
                json!({ "DurationSeconds": "90", "Port": "5432", "Protocol": "tcp", "TrafficType": "egress" }),
            ),
            (Preset::KillProcess, json!({ "process": "java", "signal": "KILL" }), json!({ "ProcessName": "java", "Signal": "SIGKILL" })),
        ];
        for (preset, value, parameters) in cases {
            assert_eq!(sent(preset, value), parameters, "{preset:?}");
        }
    }

    #[test]
    fn what_a_preset_does_not_take_is_named() {
        let of = |preset: Preset, value: Value| {
            let mut problems = Vec::new();
            preset.problems(&given(value), &mut problems);
            problems.into_iter().map(|problem| problem.at + ": " + &problem.text).collect::<Vec<_>>()
        };
        assert_eq!(of(Preset::Cpu, json!({ "lod": 1 })), ["/parameters/lod: this preset has no `lod`"]);
        assert_eq!(of(Preset::Cpu, json!({ "load": "120%" })), ["/parameters/load: `120%` is no whole number from 0 to 100 per cent"]);
        assert_eq!(of(Preset::Memory, json!({})), ["/parameters: `use` is missing"]);
        assert_eq!(of(Preset::Latency, json!({ "delay": 250 })), ["/parameters/delay: `250` is no time: write `30s`"]);
        assert_eq!(of(Preset::Blackhole, json!({ "port": 1, "protocol": "icmp" })), ["/parameters/protocol: `icmp` is none of tcp, udp"]);
        assert_eq!(of(Preset::KillProcess, json!({ "process": "a b", "duration": "1m" })).len(), 2);
        assert_eq!(of(Preset::Loss, json!({ "loss": [1, 2] })), ["/parameters/loss: `1, 2` must be one value"]);
    }
}
