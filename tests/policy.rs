//! Policies: what is wrong with a file, and what the real binary refuses because of one.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod diagnostics;
mod drill;
mod page;
mod survive;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;

use drill::{Done, Place};
use firedrill::cli::known::known;
use firedrill::policy::{json_schema, read};
use firedrill::scenario::render_all;
use firedrill::sys::{clock, env};
use jiff::ToSpan;
use proptest::prelude::*;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_invalid_policy_says_what_is_wrong() {
    diagnostics::compare("tests/policies", 40, |folder, name| {
        let bytes = fs::read(folder.join(name)).unwrap();
        let read = read(&bytes, &format!("tests/policies/{name}"), known(), &clock::zone);
        read.map_or_else(|found| (render_all(&found, false), true), |_| (String::new(), false))
    });
}

#[test]
fn the_example_is_accepted_and_valid_by_the_published_schema() {
    let schema = json_schema();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let text = fs::read_to_string(root().join("scenarios/policy/firedrill.policy.yaml")).unwrap();
    read(text.as_bytes(), "example", known(), &clock::zone).map_err(|found| render_all(&found, false)).unwrap();
    let value: Value = serde_saphyr::from_str(&text).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    for (what, instead) in
        [("max_hold: 15m", "max_holt: 15m"), ("days: [mon", "days: [monday"), ("policy: 1", "policy: 2"), ("count: 1", "count: -1")]
    {
        let value: Value = serde_saphyr::from_str(&text.replacen(what, instead, 1)).unwrap();
        assert!(!validator.is_valid(&value), "{what:?} → {instead:?}");
    }
    let shown = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = root().join("scenarios/policy.schema.json");
    if env::var("FIREDRILL_BLESS").is_some() {
        fs::write(&path, &shown).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == shown, "{} is not what `firedrill schema --policy` prints", path.display());
    // It must not apply to the shipped scenarios.
    assert!(!root().join("scenarios/firedrill.policy.yaml").exists() && !root().join("firedrill.policy.yaml").exists());
}

/// Anything that resembles a policy, and much that does not.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "policy: 1\n",
        "rules:\n",
        "  a: ",
        "{ max_hold: 5m }\n",
        "windows:\n",
        "freezes:\n",
        "from: \"09:00\"",
        "to: \"24:00\"",
        "zone: UTC",
        "zone: Europe/Berlin",
        "2026-12-20",
        "kinds: { allow: [\"*\"] }\n",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "\n",
        "  ",
        "approvals: {}\n",
        "&x ",
        "*x",
        "days: [mon]",
        "9999-12-31",
        "-9999-01-01",
        "\u{0}",
        "é",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        prop::collection::vec(words, 0..60).prop_map(|words| words.concat().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in soup()) {
        survive::policy(&bytes);
    }
}

// ------------------------------------------------------------------------------------------------------ the real binary

const SCENARIO: &str = r#"
firedrill: 1
title: Nothing is broken
why: To see who allows it.
owner: tests
environment: production
vars: { port: "1", note: "none" }
probes:
  web: { tcp: { address: "127.0.0.1:${port}" }, rate: 20/s, timeout: 500ms }
  calm: { command: { run: ["true", "${note}"] }, rate: 1/s }
steady_state:
  over: 1s
  probes:
    web: { success: { min: 99% } }
faults:
  rehearsal: { rehearse.nothing: {}, for: 1s }
recovery: { within: 5s, stable_for: 1s }
"#;

/// A place with a scenario, and a listener that its probe finds.
struct House {
    place: Place,
    port: String,
    listener: std::net::TcpListener,
}

impl House {
    fn new(policy: &str) -> House {
        let place = Place::new();
        place.file("drills/quick.yaml", SCENARIO);
        place.file("firedrill.policy.yaml", format!("policy: 1\n{policy}"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = format!("port={}", listener.local_addr().unwrap().port());
        House { place, port, listener }
    }

    fn act(&self, verb: &[&str], more: &[&str]) -> Done {
        let mut args = verb.to_vec();
        args.extend(["drills/quick.yaml", "--var", &self.port]);
        args.extend(more);
        self.place.run(&args, 120)
    }

    fn run(&self, more: &[&str]) -> Done {
        self.act(&["run", "--yes"], more)
    }

    /// Refused, and no run was made.
    fn refused(&self, more: &[&str]) -> String {
        let done = self.run(more).expect(10);
        assert!(self.place.runs().is_empty() && done.stdout.is_empty(), "{}", done.stderr);
        done.stderr
    }

    fn approvals(&self) -> PathBuf {
        self.place.path().join("drills/firedrill.approvals")
    }

    fn passes(&self, more: &[&str]) -> Value {
        // Whoever connects is accepted by the kernel; nobody needs to answer.
        self.listener.set_nonblocking(true).unwrap();
        let done = self.run(more).expect(0);
        assert!(done.stderr.contains("policy   "), "{}", done.stderr);
        let run = self.place.runs().pop().unwrap();
        let report = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(report.contains(" rules of firedrill.policy.yaml held"), "the report does not tell the policy");
        serde_json::from_str::<Value>(&fs::read_to_string(run.join("plan.json")).unwrap()).unwrap()["policy"].take()
    }
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[test]
fn what_is_never_allowed_is_refused_by_check_plan_and_run() {
    let house = House::new(
        "rules:\n  gentle:\n    why: Ask first.\n    require: [guard]\n    kinds: { forbid: [\"rehearse.*\"] }\n    max_hold: 500ms\n",
    );
    let said = house.refused(&[]);
    contains(
        &said,
        &[
            "firedrill.policy.yaml:5:5",
            "the policy refuses this drill: it has no guard",
            "firedrill.policy.yaml:6:5",
            "`rehearsal` is a rehearse.nothing, and `rehearse.*` is forbidden",
            "firedrill.policy.yaml:7:5",
            "`rehearsal` may last 1 s",
            "help: the rule says: Ask first.",
            "3 errors; nothing was run",
        ],
    );
    assert!(house.act(&["check"], &[]).expect(10).stderr.contains("it has no guard"));
    let plan = house.act(&["plan"], &[]).expect(10);
    contains(&plan.stdout, &["\npolicy\n", "refused  gentle.kinds", "no kinds rehearse.*", "firedrill.policy.yaml:6"]);
    // A drill without faults injected is no way around it.
    house.run(&["--until", "baseline"]).expect(10);
}

#[test]
fn the_sample_of_a_refused_drill_is_real() {
    let rules =
        "rules:\n  careful:\n    why: Somebody must be able to stop it.\n    environments: [production]\n    require: [owner, guard]\n";
    let said = House::new(rules).place.run(&["check", "drills/quick.yaml"], 30).expect(10).stderr;
    let block = format!("```console\n$ firedrill check drills/quick.yaml\n{}\n```\n", said.trim_end());
    page::compare_generated("README.md", "output: policy", &block, "policy");
}

#[test]
fn every_policy_on_the_way_up_and_every_named_one_must_agree() {
    let house = House::new("rules: { a: { max_hold: 1m } }\n");
    house.act(&["check"], &[]).expect(0);
    // The same file by another name is still one.
    let once = house.act(&["plan"], &["--policy", "drills/../firedrill.policy.yaml"]).expect(0).stdout;
    assert_eq!(once.matches("a.max_hold").count(), 1, "{once}");
    house.place.file("strict.yaml", "policy: 1\nenvironments: [staging]\n");
    let said = house.act(&["check"], &["--policy", "strict.yaml"]).expect(10).stderr;
    contains(&said, &["strict.yaml:2:1", "its environment is production"]);
    let mut command = house.place.command(&["check", "drills/quick.yaml"]);
    let said = command.env("FIREDRILL_POLICY", "strict.yaml").output().unwrap();
    assert_eq!(said.status.code(), Some(10), "{}", drill::text(&said));
    house.place.file("drills/firedrill.policy.yaml", "policy: 1\nrules: { b: { max_duration: 1s } }\n");
    contains(&house.act(&["check"], &[]).expect(10).stderr, &["drills/firedrill.policy.yaml:2", "a drill takes at most 1 s"]);
    // What is above the repository's root is somebody else's.
    house.place.file("drills/firedrill.policy.yaml", "policy: 1\nrules: { b: { max_duration: 1h } }\n");
    house.place.file("firedrill.policy.yaml", "policy: 1\nenvironments: [laptop]\n");
    house.act(&["check"], &[]).expect(10);
    fs::create_dir(house.place.path().join("drills/.git")).unwrap();
    house.act(&["check"], &[]).expect(0);
}

#[test]
fn a_policy_that_cannot_be_read_refuses_everything() {
    let house = House::new("rules: { a: { max_holt: 1m } }\n");
    contains(&house.refused(&[]), &["unknown key `max_holt`", "did you mean `max_hold`?"]);
    let path = house.place.path().join("firedrill.policy.yaml");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("nowhere.yaml", &path).unwrap();
    contains(&house.refused(&[]), &["failed to read the policy", "a policy that cannot be read refuses everything"]);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    contains(&house.refused(&[]), &["it is a directory"]);
    house.act(&["check"], &[]).expect(10);
    house.act(&["plan"], &[]).expect(10);
    house.place.run(&["demo"], 60).expect(10);
    fs::remove_dir(&path).unwrap();
    contains(&house.run(&["--policy", "none.yaml"]).expect(10).stderr, &["failed to read the policy none.yaml: there is no such file"]);
}

#[test]
fn the_demo_is_not_above_the_policy() {
    let place = Place::new();
    place.file("firedrill.policy.yaml", "policy: 1\nrules: { none: { kinds: { forbid: [process.kill] } } }\n");
    let said = place.run(&["demo"], 60).expect(10).stderr;
    contains(&said, &["`process.kill` is forbidden", "firedrill.policy.yaml:2"]);
    assert!(place.runs().is_empty());
}

#[test]
fn outside_of_a_window_nothing_is_run_and_the_next_opening_is_told() {
    // Open in three hours, for three hours, by the clock of UTC.
    let now = clock::now().to_zoned(jiff::tz::TimeZone::UTC);
    let (from, to) = (now.checked_add(3.hours()).unwrap(), now.checked_add(6.hours()).unwrap());
    let clock_of = |at: &jiff::Zoned| at.strftime("%H:%M").to_string();
    let window = |from: &str, to: &str| {
        format!("windows:\n  later: {{ from: \"{from}\", to: \"{to}\", zone: UTC }}\nrules:\n  hours: {{ windows: [later] }}\n")
    };
    let house = House::new(&window(&clock_of(&from), &clock_of(&to)));
    let said = house.refused(&[]);
    contains(
        &said,
        &["firedrill.policy.yaml:5", "no window is open", &format!("it may run next at {} UTC", from.strftime("%Y-%m-%d %H:%M"))],
    );
    // That is no flaw of the file, and a plan can be made of it.
    house.act(&["check"], &[]).expect(0);
    contains(&house.act(&["plan"], &[]).expect(0).stdout, &["not now  hours.windows", "it may run next at"]);
    // Nothing is injected, so any time is good.
    house.run(&["--until", "baseline"]).expect(0);
    house
        .place
        .file("firedrill.policy.yaml", format!("policy: 1\n{}", window(&clock_of(&now.checked_sub(1.hour()).unwrap()), &clock_of(&to))));
    let record = house.passes(&[]);
    assert_eq!(record["rules"][0]["rule"], "hours.windows");
}

#[test]
fn a_freeze_refuses_and_ends() {
    let today = clock::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let freeze = |from: jiff::civil::Date, to: jiff::civil::Date, more: &str| {
        format!("freezes:\n  quiet: {{ from: {from}, to: {to}, zone: UTC, why: People are away.{more} }}\n")
    };
    let (before, after) = (today.checked_sub(1.day()).unwrap(), today.checked_add(1.day()).unwrap());
    let house = House::new(&freeze(before, after, ""));
    let opens = format!("it may run next at {} 00:00 UTC", after.tomorrow().unwrap());
    contains(&house.refused(&[]), &["the freeze `quiet` holds", &opens, "People are away."]);
    house.place.file(
        "firedrill.policy.yaml",
        format!("policy: 1\n{}", freeze(before, after, ", environments: [staging]").replace("away.,", "away,")),
    );
    house.passes(&[]);
}

#[test]
fn two_people_approve_and_any_change_voids_it() {
    let house = House::new("rules:\n  agreed: { approvals: { own_accounts: false, by: [alice, bob, carol] } }\n");
    contains(&house.refused(&[]), &["0 of 2 approvals", "firedrill approve quick.yaml --as NAME"]);
    let approve = |who: &str, more: &[&str]| house.act(&["approve", "--as", who], more);
    contains(&approve("alice", &[]).expect(0).stdout, &["so far   1 of 2 approvals", "digest   sha256:"]);
    contains(&house.refused(&[]), &["1 of 2 approvals"]);
    // The same person twice is one; somebody else is nobody.
    approve("Alice", &[]).expect(0);
    contains(&house.refused(&[]), &["1 of 2 approvals"]);
    contains(&approve("mallory", &[]).expect(10).stderr, &["mallory is not among those who may approve"]);
    approve("../../bob", &[]).expect(2);
    contains(&approve("bob", &[]).expect(0).stdout, &["so far   2 of 2 approvals"]);
    let record = house.passes(&[]);
    let who: BTreeSet<String> = record["approvals"].as_array().unwrap().iter().map(|a| a["who"].as_str().unwrap().to_lowercase()).collect();
    assert_eq!(who, BTreeSet::from(["alice".to_owned(), "bob".to_owned()]));
    assert!(record["digest"].as_str().unwrap().starts_with("sha256:"));
    contains(&house.act(&["plan"], &[]).expect(0).stdout, &["passed   agreed.approvals", "approved by bob"]);

    // Every change is named.
    let said = |more: &[&str]| house.run(more).expect(10).stderr;
    contains(&said(&["--var", "note=other"]), &["quick.bob.", "does not count: a var changed since", "0 of 2 approvals"]);
    let scenario = house.place.path().join("drills/quick.yaml");
    let text = fs::read_to_string(&scenario).unwrap();
    fs::write(&scenario, text.replace("for: 1s", "for: 2s")).unwrap();
    contains(&said(&[]), &["does not count: the scenario changed since"]);
    fs::write(&scenario, &text).unwrap();
    let policy = house.place.path().join("firedrill.policy.yaml");
    let rules = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, format!("{rules}  more: {{ max_hold: 1m }}\n")).unwrap();
    contains(&said(&[]), &["does not count: the policy changed since"]);
    fs::write(&policy, &rules).unwrap();
    house.passes(&[]);
}

#[test]
fn what_is_no_approval_is_named_and_counts_for_nothing() {
    let house = House::new("rules:\n  agreed: { approvals: { people: 1, own_accounts: false, valid_for: 1h } }\n");
    house.act(&["approve", "--as", "alice"], &[]).expect(0);
    let path = fs::read_dir(house.approvals()).unwrap().next().unwrap().unwrap().path();
    let good = fs::read_to_string(&path).unwrap();
    let value: Value = serde_json::from_str(&good).unwrap();
    let with = |key: &str, new: Value| {
        let mut value = value.clone();
        value[key] = new;
        value.to_string()
    };
    let mut other = value["of"].clone();
    other["vars"] = other["plan"].clone();
    let long_ago = (clock::now() - 61.minutes()).to_string();
    let soon = (clock::now() + 2.hours()).to_string();
    for (text, why) in [
        ("garbage".to_owned(), "it is no approval: "),
        (String::new(), "it is no approval: "),
        (good.replace("firedrill_approval\": 1", "firedrill_approval\": 2"), "its format is version 2"),
        (with("of", other), "its digest is not that of what it lists: it was edited"),
        (with("who", "a/b".into()), "it names nobody"),
        (with("more", true.into()), "unknown field"),
        (with("at", long_ago.into()), "it expired: approvals are good for"),
        (with("at", soon.into()), "it is from the future"),
        ("[".repeat(15_000), "it is no approval: "),
        ("x".repeat(20_000), "it is too large"),
    ] {
        fs::write(&path, &text).unwrap();
        contains(&house.refused(&[]), &["does not count: ", why, "0 of 1 approvals"]);
    }
    fs::write(&path, &good).unwrap();
    house.passes(&[]);
    // Links lead to files of others.
    let elsewhere = house.place.file("elsewhere.json", &good);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(elsewhere, &path).unwrap();
    contains(&house.run(&[]).expect(10).stderr, &["it is no regular file"]);
}

#[test]
fn each_approves_under_an_account_of_their_own() {
    let house = House::new("rules:\n  agreed: { approvals: {} }\n");
    house.act(&["approve", "--as", "alice"], &[]).expect(0);
    contains(&house.act(&["approve", "--as", "bob"], &[]).expect(0).stdout, &["so far   1 of 2 approvals"]);
    contains(&house.refused(&[]), &["1 of 2 approvals"]);
    let of_bob = fs::read_dir(house.approvals())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(".bob."))
        .unwrap();
    let good = fs::read_to_string(&of_bob).unwrap();
    let mut value: Value = serde_json::from_str(&good).unwrap();
    // Another account by word alone is not believed.
    value["uid"] = 65_534.into();
    value["account"] = "nobody".into();
    fs::write(&of_bob, value.to_string()).unwrap();
    contains(&house.refused(&[]), &["it says account nobody (65534), and the file belongs to account"]);
    if chown(&of_bob, Some(65_534), None).is_err() {
        eprintln!("skipped: only root can give a file away");
        return;
    }
    let record = house.passes(&[]);
    assert_eq!(record["approvals"].as_array().unwrap().len(), 2);
}

#[test]
fn nobody_approves_what_nobody_asks_about() {
    let house = House::new("rules: { a: { max_hold: 1m } }\n");
    contains(&house.act(&["approve", "--as", "alice"], &[]).expect(2).stderr, &["no policy asks for an approval"]);
    let strict = House::new("rules: { a: { max_hold: 1ms, approvals: {} } }\n");
    contains(&strict.act(&["approve", "--as", "alice"], &[]).expect(10).stderr, &["a fault lasts at most 1 ms"]);
    assert!(!strict.approvals().exists());
}
