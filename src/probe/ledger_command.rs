//! `ledger.command`: numbered writes by a program, and other programs that list what is there: for every store that has no kind of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{FIELDS, answer, check_run, failure};
use super::error::Why;
use super::judge::Answer;
use super::kind::{Ask, Asked, CleanUp, Keys, Probe, ReadBack, Remove, Removed, Source, Typed, expect_one};
use super::ledger::{check_acknowledgement, check_authorities, check_ids, check_removal, check_writer, key_of, keys_in};
use crate::base::{Problem, Span};
use crate::event::Class;
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;
use crate::sys::exec::{Exec, ExecError, run};

/// The kind.
pub(super) struct LedgerCommand;

/// Largest list of keys that is read, in bytes.
const LARGEST: usize = 64 << 20;
/// Where the number of a write stands.
const KEY: &str = "${key}";
/// Stands for what all keys of a run and writer begin with.
const PREFIX: &str = "${key.prefix}";

/// What a scenario writes under `ledger.command:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerSpec {
    /// The write; `${key}` among its arguments is unique to each.
    write: WriteSpec,
    /// What an acknowledgement looks like. Default: exit 0. Whatever else comes of a write, it may have been applied.
    #[serde(default)]
    acknowledged_when: Expect,
    /// The programs that list the keys.
    readers: Vec<ReaderSpec>,
    /// The writer's name within the keys. Default `w1`.
    #[serde(default = "super::ledger::w1")]
    writer: String,
    /// The program that removes what this writer wrote in this run; `${key.prefix}` is what its keys begin with. Default: it stays.
    #[serde(default)]
    clean_up: Option<WriteSpec>,
    /// What is written stays, and nobody needs to be told so.
    #[serde(default)]
    keep: bool,
}

/// A program that writes, or removes what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WriteSpec {
    /// The program and its arguments; never a shell string.
    run: Vec<String>,
    /// Working directory; default: where the scenario is.
    #[serde(default)]
    cwd: Option<String>,
}

/// A program that lists every key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReaderSpec {
    /// The program and its arguments. It lists every key and exits with 0.
    run: Vec<String>,
    /// Working directory; default: where the scenario is.
    #[serde(default)]
    cwd: Option<String>,
    /// An RFC 9535 path to the keys, where the list is JSON. Default: one key a line.
    #[serde(default)]
    ids: Option<String>,
    /// Whether loss is judged here. A single reader always is the authority.
    #[serde(default)]
    authority: bool,
}

impl Probe for LedgerCommand {
    const KIND: &'static str = "ledger.command";
    const ABOUT: &'static str =
        "Runs a program for each numbered write, and others that list them all after recovery: measures what was lost.";
    const EXAMPLE: &'static str = concat!(
        "ledger.command:\n",
        "  write: { run: [./put.sh, \"${key}\"] }\n",
        "  readers: [ { run: [./list.sh], authority: true } ]\n",
        "rate: 5/s\ntimeout: 2s\n",
    );
    const FIELDS: &'static [(&'static str, &'static str)] = FIELDS;
    const LEDGER: bool = true;
    const RATE_HZ: f64 = 1.0;
    type Spec = LedgerSpec;

    fn check(&self, spec: &LedgerSpec) -> Vec<Problem> {
        let mut problems = check_run(&spec.write.run, "/write");
        match spec.write.run.iter().position(|word| word.contains(KEY)) {
            None => {
                let help = "put `${key}` among the arguments of the write";
                problems.push(Problem::new("/write/run", "a ledger without unique keys cannot be read back").help(help));
            }
            Some(0) => problems.push(Problem::new("/write/run/0", "a program's name has no key").help("put `${key}` among its arguments")),
            Some(_) => {}
        }
        problems.extend(check_writer(&spec.writer));
        problems.extend(check_acknowledgement(&spec.acknowledged_when, "a command", FIELDS));
        problems.extend(spec.check_clean_up());
        let authorities: Vec<bool> = spec.readers.iter().map(|reader| reader.authority).collect();
        problems.extend(check_authorities(&authorities));
        for (index, reader) in spec.readers.iter().enumerate() {
            let at = format!("/readers/{index}");
            problems.extend(check_run(&reader.run, &at));
            if let Some(word) = reader.run.iter().position(|word| word.contains(KEY)) {
                problems.push(Problem::new(format!("{at}/run/{word}"), "a reader lists every key, not one"));
            }
            problems.extend(reader.ids.as_deref().and_then(|ids| check_ids(ids, &format!("{at}/ids"))));
        }
        problems
    }

    fn good(&self, _: &LedgerSpec) -> Expect {
        expect_one("exit", Matcher::equals(0))
    }

    fn required(&self, spec: &LedgerSpec) -> Expect {
        if spec.acknowledged_when.is_empty() { self.good(spec) } else { spec.acknowledged_when.clone() }
    }

    fn open(&self, spec: LedgerSpec, _: &Cx) -> Result<Box<dyn Ask>, Why> {
        Ok(Box::new(Writes { write: spec.write, writer: spec.writer }))
    }

    fn read_back(&self, spec: LedgerSpec) -> Option<ReadBack> {
        let one = |reader: ReaderSpec| (reader.run.join(" "), reader.authority, Arc::new(reader) as Arc<dyn Source>);
        Some(ReadBack::of(spec.writer, spec.readers.into_iter().map(one)))
    }

    fn clean_up(&self, spec: LedgerSpec) -> Option<CleanUp> {
        let program = spec.clean_up?;
        let removers = vec![(program.run.join(" "), Arc::new(program) as Arc<dyn Remove>)];
        let one = |reader: ReaderSpec| (reader.run.join(" "), Arc::new(reader) as Arc<dyn Source>);
        Some(CleanUp { writer: spec.writer, removers, sources: spec.readers.into_iter().map(one).collect() })
    }
}

impl LedgerSpec {
    fn check_clean_up(&self) -> Vec<Problem> {
        let Some(program) = &self.clean_up else { return Vec::new() };
        let mut problems = check_run(&program.run, "/clean_up");
        problems.extend(check_removal(&program.run.join(" "), "/clean_up/run", self.keep));
        problems
    }
}

impl WriteSpec {
    fn for_keys(&self, keys: &str) -> Vec<String> {
        self.run.iter().map(|word| word.replace(PREFIX, keys)).collect()
    }
}

impl Remove for WriteSpec {
    fn remove<'a>(&'a self, keys: &'a str, limit: Span, cx: &'a Cx) -> Removed<'a> {
        Box::pin(async move {
            let exec = Exec { argv: self.for_keys(keys), cwd: self.cwd.as_ref().map(Into::into), limit, ..Exec::default() };
            let output = run(exec, cx).await.map_err(|error| error.to_string())?;
            if output.ok() { Ok(()) } else { Err(output.summary()) }
        })
    }

    fn by_hand(&self, keys: &str, cx: &Cx) -> Typed {
        // A program stands relative to the scenario, from wherever the line is typed.
        let place = cx.base_dir.join(self.cwd.as_deref().unwrap_or(""));
        let argv = ["env", "-C", &place.display().to_string()].map(str::to_owned).into_iter().chain(self.for_keys(keys)).collect();
        Typed { env: Vec::new(), argv }
    }
}

struct Writes {
    write: WriteSpec,
    writer: String,
}

impl Ask for Writes {
    fn ask<'a>(&'a self, n: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(async move {
            let key = key_of(&cx.run, &self.writer, n);
            let argv = self.write.run.iter().map(|word| word.replace(KEY, &key)).collect();
            let exec = Exec { argv, cwd: self.write.cwd.as_ref().map(Into::into), limit, ..Exec::default() };
            let sent = cx.clock.now();
            let ended = run(exec, cx).await;
            let done = cx.clock.now();
            match ended {
                Ok(output) => answer(sent, (sent + output.took).min(done), output),
                // It was started, and nobody knows how far it came: no failure of ours, which would mean that nothing was written.
                Err(error @ (ExecError::ShimLost { .. } | ExecError::Undying(_) | ExecError::Signal { .. })) => {
                    Answer::failed(sent, done, Class::Error, format!("failed to {error}"))
                }
                Err(error) => failure(sent, done, limit, &error),
            }
            .within(limit)
        })
    }
}

impl ReaderSpec {
    async fn list(&self, limit: Span, cx: &Cx) -> Result<BTreeMap<String, u64>, String> {
        let exec = Exec { argv: self.run.clone(), cwd: self.cwd.as_ref().map(Into::into), limit, most: LARGEST, ..Exec::default() };
        let output = run(exec, cx).await.map_err(|error| error.to_string())?;
        if !output.ok() {
            return Err(output.summary());
        }
        // A list that lacks its beginning or its end would look like loss.
        if !output.whole {
            return Err(format!("read the whole list: it is larger than {LARGEST} bytes, or its end was not seen"));
        }
        if let Some(ids) = &self.ids {
            let whole = serde_json::from_str(&output.stdout).map_err(|error| format!("read the list as JSON: {error}"))?;
            return keys_in(&whole, ids);
        }
        let mut keys = BTreeMap::new();
        for key in output.stdout.lines().map(str::trim).filter(|line| !line.is_empty()) {
            *keys.entry(key.to_owned()).or_insert(0) += 1;
        }
        Ok(keys)
    }
}

impl Source for ReaderSpec {
    fn keys<'a>(&'a self, limit: Span, cx: &'a Cx) -> Keys<'a> {
        Box::pin(self.list(limit, cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::by_kind;
    use crate::probe::testing::cx;
    use serde_json::{Value, json};

    fn check(spec: Value) -> Vec<String> {
        by_kind("ledger.command").unwrap().check(&spec).into_iter().map(|problem| problem.at).collect()
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let reader = json!({"run": ["./list.sh"]});
        assert!(check(json!({"write": {"run": ["./put.sh", "k=${key}"]}, "readers": [reader]})).is_empty());
        assert_eq!(check(json!({"write": {"run": ["./put.sh"]}, "readers": [reader]})), ["/write/run"]);
        assert_eq!(check(json!({"write": {"run": ["./${key}", "x"]}, "readers": [reader]})), ["/write/run/0"]);
        assert_eq!(check(json!({"write": {"run": ["./put.sh", "${key}"]}, "readers": []})), ["/readers"]);
        assert_eq!(check(json!({"write": {"run": ["./put.sh", "${key}"]}, "readers": [reader, reader]})), ["/readers"]);
        let wrong = json!({
            "write": {"run": []}, "writer": "W 1", "acknowledged_when": {"status": {"equals": 1}},
            "readers": [{"run": ["cat x"], "ids": "$["}, {"run": ["cat", "${key}"], "authority": true}],
        });
        let places =
            ["/write/run", "/write/run", "/writer", "/acknowledged_when/status", "/readers/0/run/0", "/readers/0/ids", "/readers/1/run/1"];
        assert_eq!(check(wrong), places);
    }

    #[test]
    fn readers_are_named_by_their_commands_and_a_single_one_judges() {
        let kind = by_kind("ledger.command").unwrap();
        let of = |readers: Value| {
            let spec = json!({"write": {"run": ["./put.sh", "${key}"]}, "readers": readers, "writer": "w2"});
            let back = kind.read_back(&spec, &cx()).unwrap();
            assert_eq!(back.writer, "w2");
            back.readers.into_iter().map(|reader| (reader.name, reader.judges)).collect::<Vec<_>>()
        };
        assert_eq!(of(json!([{"run": ["./list.sh", "a"]}])), [("./list.sh a".to_owned(), true)]);
        let two = of(json!([{"run": ["./list.sh", "a"]}, {"run": ["./list.sh", "b"], "authority": true}]));
        assert_eq!(two, [("./list.sh a".to_owned(), false), ("./list.sh b".to_owned(), true)]);
    }

    #[test]
    fn what_removes_keys_names_them() {
        let check = |clean_up: Value, keep: bool| {
            check(json!({
                "write": {"run": ["./put.sh", "${key}"]}, "readers": [{"run": ["./list.sh"]}], "clean_up": clean_up, "keep": keep,
            }))
        };
        assert!(check(json!({"run": ["./remove.sh", "${key.prefix}"]}), false).is_empty());
        assert_eq!(check(json!({"run": ["./remove.sh", "${key.prefix}"]}), true), ["/keep"]);
        assert_eq!(check(json!({"run": ["./remove.sh", "all"]}), false), ["/clean_up/run"]);
        assert_eq!(check(json!({"run": []}), false), ["/clean_up/run", "/clean_up/run"]);
    }

    #[tokio::test]
    async fn a_program_that_was_never_started_wrote_nothing() {
        let kind = by_kind("ledger.command").unwrap();
        let spec = json!({"write": {"run": ["no-such-program", "${key}"]}, "readers": [{"run": ["true"]}]});
        let opened = kind.open(&spec, &Expect::new(), None, &cx()).unwrap();
        assert_eq!(opened.ask.ask(0, Span::secs(1), &cx()).await.class, Class::Local);
    }
}
