//! Evidence bundles: the same bytes each time, honest ones hold, doctored ones do not, and what was done to them is named.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod golden;

use std::path::{Path, PathBuf};

use drill::{Done, Place};
use firedrill::base::{digest_of, line_sum};
use firedrill::cli::evidence::judge;
use firedrill::event::Event;
use firedrill::evidence::{self, Asked, Files, MANIFEST, Manifest, Private, REGISTER, SIGNATURE, Verdict, path_of};
use firedrill::journal::{self, register_start};
use serde_json::{Value, json};

const PATIENCE: u64 = 60;

/// A place with the golden runs as if they had been made there, in order of time, and a key.
struct Bench {
    place: Place,
    /// Golden name and run id, oldest first.
    runs: Vec<(&'static str, String)>,
}

/// Changes a plan that is about to be laid down as a run.
type Change = fn(&str, &Path, &mut Vec<Value>, &mut Value);

impl Bench {
    fn new(names: &[&'static str]) -> Bench {
        Bench::with(names, |_, _, _, _| {})
    }

    fn with(names: &[&'static str], change: Change) -> Bench {
        let place = Place::new();
        let mut runs: Vec<(&'static str, String)> = names.iter().map(|name| (*name, id_of(name))).collect();
        runs.sort_by(|a, b| a.1.cmp(&b.1));
        for (name, id) in &runs {
            let dir = place.path().join(".firedrill/runs").join(id);
            std::fs::create_dir_all(&dir).unwrap();
            let from = golden::dir(name);
            std::fs::copy(from.join(journal::SCENARIO), dir.join(journal::SCENARIO)).unwrap();
            let mut plan: Value = serde_json::from_slice(&std::fs::read(from.join(journal::PLAN)).unwrap()).unwrap();
            let mut lines = values(&std::fs::read_to_string(from.join(journal::FILE)).unwrap());
            let before = plan.clone();
            change(name, &dir, &mut lines, &mut plan);
            let text = if plan == before {
                std::fs::read_to_string(from.join(journal::PLAN)).unwrap()
            } else {
                serde_json::to_string_pretty(&plan).unwrap()
            };
            lines[0]["event"]["plan_digest"] = json!(digest_of(text.as_bytes()).to_string());
            std::fs::write(dir.join(journal::PLAN), &text).unwrap();
            std::fs::write(dir.join(journal::FILE), chained(&lines)).unwrap();
            let wall = lines.iter().find(|line| line["event"]["type"] == "anchor").unwrap()["event"]["wall"].as_str().unwrap().to_owned();
            let digest = lines[0]["event"]["plan_digest"].as_str().unwrap().to_owned();
            register_start(dir.parent().unwrap(), id, plan["name"].as_str().unwrap(), &digest, &wall).unwrap();
        }
        let bench = Bench { place, runs };
        bench.place.run(&["evidence", "keygen", "team.key"], PATIENCE).expect(0);
        bench
    }

    fn id(&self, name: &str) -> &str {
        &self.runs.iter().find(|(one, _)| *one == name).unwrap().1
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.place.path().join(".firedrill/runs").join(self.id(name))
    }

    fn pack(&self, names: &[&str], out: &str, more: &[&str]) -> Done {
        let mut args = vec!["evidence", "pack"];
        args.extend(names.iter().map(|name| self.id(name)));
        args.extend(["--out", out]);
        args.extend(more);
        self.place.run(&args, PATIENCE)
    }

    /// The files of a signed bundle of these runs.
    fn signed(&self, names: &[&str]) -> Files {
        self.pack(names, "signed.tar", &["--key", "team.key"]).expect(0);
        opened(&self.bytes("signed.tar"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.place.path().join(name)).unwrap()
    }

    fn key(&self, name: &str) -> Private {
        Private::parse(&String::from_utf8(self.bytes(name)).unwrap()).unwrap()
    }

    fn verify(&self, name: &str, more: &[&str]) -> Done {
        let args: Vec<&str> = ["evidence", "verify", name].iter().chain(more).copied().collect();
        self.place.run(&args, PATIENCE)
    }

    fn file(&self, run: &str, name: &str) -> String {
        path_of(self.id(run), name)
    }
}

fn id_of(name: &str) -> String {
    let (_, entries) = golden::load(&golden::dir(name));
    let Event::RunStarted { run, .. } = &entries[0].event else { panic!("{name} does not begin") };
    run.clone()
}

/// The lines of a journal without their checksums.
fn values(text: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().shift_remove("sum")));
    lines
}

/// A journal of these lines, numbered and chained anew: what somebody can do who knows how.
fn chained(lines: &[Value]) -> String {
    let mut sum = String::new();
    let mut text = String::new();
    for (seq, line) in lines.iter().enumerate() {
        let mut line = line.clone();
        line["seq"] = json!(seq);
        let body = line.to_string();
        sum = line_sum(&sum, &body);
        text.push_str(&format!("{},\"sum\":\"{sum}\"}}\n", &body[..body.len() - 1]));
    }
    text
}

/// A register with its lines changed and chained anew.
fn register(text: &str, change: impl Fn(&mut Vec<Value>)) -> String {
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    change(&mut lines);
    let mut sum = String::new();
    let field = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    for line in &mut lines {
        let body = ["run", "scenario", "plan_digest", "wall"].map(|name| field(line, name)).join("\n");
        sum = line_sum(&sum, &body);
        line["sum"] = json!(sum);
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn opened(bytes: &[u8]) -> Files {
    let shape = evidence::read(bytes);
    assert!(shape.flaws.is_empty(), "{:?}", shape.flaws);
    shape.files
}

/// A bundle after the fact: manifest and signature made anew by whoever has this key. What cannot be summarised any more keeps its summary.
fn again(files: &mut Files, key: &Private) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(&files[MANIFEST]).unwrap();
    files.remove(SIGNATURE);
    match Manifest::of(env!("CARGO_PKG_VERSION"), files) {
        Ok(anew) => manifest = serde_json::to_value(anew).unwrap(),
        Err(_) => {
            let listed = files.iter().filter(|(path, _)| *path != MANIFEST);
            let listed = listed.map(|(path, bytes)| json!({ "path": path, "bytes": bytes.len(), "digest": digest_of(bytes).to_string() }));
            manifest["files"] = listed.collect();
        }
    }
    let text = serde_json::to_string_pretty(&manifest).unwrap() + "\n";
    files.insert(SIGNATURE.into(), key.sign(text.as_bytes()).into_bytes());
    files.insert(MANIFEST.into(), text.into_bytes());
    evidence::write(files).unwrap()
}

fn text(files: &Files, path: &str) -> String {
    String::from_utf8(files[path].clone()).unwrap()
}

// --------------------------------------------------------------------------------------------------------------- honest

/// A workload that two plans share, and a calibration that a run knew.
fn accompanied(name: &str, dir: &Path, lines: &mut Vec<Value>, plan: &mut Value) {
    if name == "passed" {
        let workload = "workload: 1\n";
        std::fs::write(dir.join(journal::WORKLOAD), workload).unwrap();
        plan["workload_digest"] = json!(digest_of(workload.as_bytes()).to_string());
        let wall = "2026-11-22T05:00:00Z";
        let kept = json!({ "schema": "firedrill.calibration/1", "wall": wall, "trials": 10, "covered": 10, "boot_id": golden::BOOT });
        std::fs::write(dir.parent().unwrap().parent().unwrap().join("calibration.json"), kept.to_string()).unwrap();
        let at = lines[1]["at"].clone();
        let told = json!({ "type": "calibrated", "wall": wall, "age": "67m", "trials": 10, "covered": 10 });
        lines.insert(2, json!({ "seq": 2, "at": at, "event": told }));
    } else {
        plan["name"] = json!("another");
    }
}

#[test]
fn honest_bundles_hold() {
    let all: Vec<&'static str> = golden::ALL.iter().map(|(name, _)| *name).collect();
    let bench = Bench::new(&all);
    let names: Vec<&str> = bench.runs.iter().map(|(name, _)| *name).collect();
    let trust = ["--trust", "team.key.pub"];
    let mut bundles = 0;
    let mut holds = |names: &[&str], out: &str, more: &[&str], with: &[&str]| {
        bench.pack(names, out, more).expect(0);
        let done = bench.verify(out, with).expect(0);
        assert!(done.stdout.contains("it holds") && !done.stdout.contains('✗') && !done.stdout.contains("  ? "), "{}", done.stdout);
        bundles += 1;
        done
    };
    for (name, code) in golden::ALL {
        let done = holds(&[name], "one.tar", &["--key", "team.key"], &trust);
        assert!(done.stdout.contains(&format!("exit {code}")) && done.stdout.contains("which you trust"), "{}", done.stdout);
    }
    holds(&names, "all.tar", &["--key", "team.key"], &trust);
    // Without a signature, and without anybody who is trusted.
    let done = holds(&names[..2], "two.tar", &[], &[]);
    assert!(
        done.stdout.contains("it is not signed") && done.stdout.contains("6 runs were started of the same scenarios after"),
        "{}",
        done.stdout
    );
    let done = bench.verify("one.tar", &["--output", "json"]).expect(0).json();
    assert_eq!((&done["schema"], &done["exit_code"]), (&json!("firedrill.verification/1"), &json!(0)));
    assert!(done["signed_by"].as_str().unwrap().starts_with("ed25519:") && done.get("trusted").is_none(), "{done}");
    assert_eq!(bundles, 10);

    // What a run refers to goes with it, and a run of something else between is no omission.
    let bench = Bench::with(&["passed", "command", "proxied"], accompanied);
    bench.pack(&["passed"], "with.tar", &[]).expect(0);
    let files = opened(&bench.bytes("with.tar"));
    assert!(files.contains_key(&bench.file("passed", "workload.yaml")) && files.contains_key(&bench.file("passed", "calibration.json")));
    let done = bench.verify("with.tar", &[]).expect(0);
    assert!(!done.stdout.contains("not in the bundle"), "{}", done.stdout);
    std::fs::remove_file(bench.dir("passed").join(journal::WORKLOAD)).unwrap();
    bench.pack(&["passed"], "with.tar", &[]).expect(0);
    let done = bench.verify("with.tar", &[]).expect(0);
    assert!(done.stdout.contains("workload.yaml: the plan knows it by its digest"), "{}", done.stdout);
}

#[test]
fn the_same_runs_make_the_same_bytes() {
    let bench = Bench::new(&["passed", "stuck", "interrupted"]);
    let files = bench.signed(&["passed", "interrupted", "stuck"]);
    let first = bench.bytes("signed.tar");
    // In another order, one of them twice, after the reports were written or changed, from elsewhere, and over an older bundle.
    bench.place.run(&["report", bench.id("passed")], PATIENCE).expect(0);
    std::fs::write(bench.dir("stuck").join("report.html"), "better").unwrap();
    bench.pack(&["stuck", "interrupted", "passed", "stuck"], "signed.tar", &["--key", "team.key"]).expect(0);
    assert_eq!(bench.bytes("signed.tar"), first);
    let parts: Vec<&str> = files.keys().filter_map(|path| path.strip_prefix(&format!("runs/{}/", bench.id("passed")))).collect();
    assert_eq!(
        parts,
        ["events.jsonl", "latency.hlog", "plan.json", "report.html", "report.json", "report.md", "report.xml", "scenario.yaml"]
    );
    // Anybody's tar and OpenSSL read it.
    let out = std::process::Command::new("tar").args(["-tvf", "signed.tar"]).current_dir(bench.place.path()).output().unwrap();
    let listed = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && listed.lines().count() == files.len(), "{listed}");
    assert!(listed.lines().all(|line| line.starts_with("-rw-r--r-- 0/0") && line.contains("1970-01-01 00:00 evidence/")), "{listed}");
    openssl_agrees(&bench, &files);
    let done = bench.place.run(&["evidence", "diff", "signed.tar", "signed.tar"], PATIENCE).expect(0);
    assert!(done.stdout.contains("the same"));
}

fn openssl_agrees(bench: &Bench, files: &Files) {
    let signature: Value = serde_json::from_slice(&files[SIGNATURE]).unwrap();
    bench.place.file("manifest", &files[MANIFEST]);
    bench.place.file("signature.b64", signature["signature"].as_str().unwrap());
    let script = "base64 -d signature.b64 > signature && openssl pkey -in team.key -pubout | cmp - team.key.pub \
                  && openssl pkeyutl -verify -pubin -inkey team.key.pub -rawin -in manifest -sigfile signature";
    match std::process::Command::new("sh").args(["-c", script]).current_dir(bench.place.path()).output() {
        Ok(out) if out.status.code() == Some(127) => println!("skipped: there is no openssl"),
        Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr)),
        Err(error) => panic!("{error}"),
    }
}

// -------------------------------------------------------------------------------------------------------------- doctored

/// One way to doctor a bundle: what is done, what verify must name, and what it is asked beside.
struct Doctored {
    name: &'static str,
    bytes: Vec<u8>,
    told: Vec<String>,
    with: Vec<String>,
    code: i32,
}

/// Doctors a copy of a bundle. The doctor has the team's own key unless said otherwise.
fn doctored(bench: &Bench, name: &'static str, told: &[&str], change: impl Fn(&mut Files)) -> Doctored {
    let mut files = bench.signed(&["passed", "command", "interrupted"]);
    change(&mut files);
    let bytes = again(&mut files, &bench.key("team.key"));
    let told = told.iter().map(|told| (*told).to_owned()).collect();
    Doctored { name, bytes, told, with: vec!["--trust".into(), "team.key.pub".into()], code: 33 }
}

/// Changes plan, journal and register so that each fits the next, as far as whoever does it thinks of it.
fn through_and_through(files: &mut Files, run: &str, plan: impl Fn(&mut Value), and_register: bool) {
    let path = path_of(run, journal::PLAN);
    let mut value: Value = serde_json::from_slice(&files[&path]).unwrap();
    plan(&mut value);
    let text = serde_json::to_string_pretty(&value).unwrap();
    let digest = digest_of(text.as_bytes()).to_string();
    files.insert(path, text.into_bytes());
    let path = path_of(run, journal::FILE);
    let mut lines = values(&self::text(files, &path));
    lines[0]["event"]["plan_digest"] = json!(digest);
    files.insert(path, chained(&lines).into_bytes());
    if and_register {
        let anew = register(&self::text(files, REGISTER), |lines| {
            lines.iter_mut().filter(|line| line["run"] == run).for_each(|line| line["plan_digest"] = json!(digest));
        });
        files.insert(REGISTER.into(), anew.into_bytes());
    }
}

/// The files that follow from plan and journal, made as firedrill makes them.
fn follow(files: &mut Files, run: &str) {
    let plan = serde_json::from_slice(&files[&path_of(run, journal::PLAN)]).unwrap();
    let read = journal::read_from(files[&path_of(run, journal::FILE)].as_slice(), Path::new("events.jsonl")).unwrap();
    let made = judge(&plan, &read.entries).unwrap();
    files.extend(made.into_iter().map(|(name, bytes)| (path_of(run, name), bytes)));
}

fn replaced(files: &mut Files, path: &str, from: &str, to: &str) {
    let before = text(files, path);
    let after = before.replacen(from, to, 1);
    assert_ne!(before, after, "{path} has no {from}");
    files.insert(path.to_owned(), after.into_bytes());
}

/// What is done to the record itself.
fn of_the_record(bench: &Bench) -> Vec<Doctored> {
    let run = bench.id("passed").to_owned();
    let (scenario, plan, events) = (path_of(&run, "scenario.yaml"), path_of(&run, "plan.json"), path_of(&run, "events.jsonl"));
    let edited = |value: &mut Value| {
        let claim = value["claims"].as_object_mut().unwrap().values_mut().next().unwrap();
        claim["rto"]["max"] = json!("9s");
    };
    vec![
        doctored(bench, "objective edited in the scenario", &[&scenario, "the plan was made from sha256:"], |files| {
            replaced(files, &scenario, "max: 6s", "max: 9s");
        }),
        doctored(bench, "objective edited in the plan", &[&plan, "the plan was changed after the run"], |files| {
            let mut value: Value = serde_json::from_slice(&files[&plan]).unwrap();
            edited(&mut value);
            files.insert(plan.clone(), serde_json::to_string_pretty(&value).unwrap().into_bytes());
        }),
        doctored(bench, "objective edited everywhere but in the register", &["register.jsonl, line 1", "was started with plan"], |files| {
            through_and_through(files, &run, edited, false);
            follow(files, &run);
        }),
        doctored(bench, "journal line changed", &[&format!("{events}, line 16"), "the chain of checksums breaks here"], |files| {
            replaced(files, &events, "node-a, pid 524", "node-a, pid 525");
        }),
        doctored(bench, "journal line taken out", &[&format!("{events}, line 31"), "the chain of checksums breaks here"], |files| {
            let text = text(files, &events);
            let kept: String = text.split_inclusive('\n').enumerate().filter(|(n, _)| *n != 30).map(|(_, line)| line).collect();
            files.insert(events.clone(), kept.into_bytes());
        }),
        doctored(bench, "wrong node", &[&events, "`lose-primary` hits `node-b, pid 524`", "which the preview"], |files| {
            let mut lines = values(&text(files, &events));
            let armed = lines.iter_mut().find(|line| line["event"]["type"] == "armed" && line["event"]["id"] == "lose-primary").unwrap();
            armed["event"]["targets"] = json!(["node-b, pid 524"]);
            files.insert(events.clone(), chained(&lines).into_bytes());
            follow(files, &run);
        }),
        doctored(bench, "probe removed", &[&events, "the probe `orders` is not in the plan"], |files| {
            let less = |value: &mut Value| drop(value["probes"].as_object_mut().unwrap().shift_remove("orders").unwrap());
            through_and_through(files, &run, less, true);
            follow(files, &run);
        }),
        doctored(bench, "guard removed", &[&format!("{events}, line 19"), "the guard `survivor` is not in the plan"], |files| {
            through_and_through(
                files,
                &run,
                |value| drop(value["guards"].as_object_mut().unwrap().shift_remove("survivor").unwrap()),
                true,
            );
            follow(files, &run);
        }),
        doctored(bench, "another run under this id", &[&events, "it is the journal of run"], |files| {
            let other = files[&path_of(bench.id("command"), "events.jsonl")].clone();
            files.insert(events.clone(), other);
        }),
    ]
}

/// What is done to what follows from it, to the register and to the whole.
fn of_the_rest(bench: &Bench) -> Vec<Doctored> {
    let run = bench.id("passed").to_owned();
    let at = |name: &str| path_of(&run, name);
    let mut found = vec![
        doctored(bench, "number softened", &[&at("report.json"), "`claims.survives-a-node.rto.hi_us` is 7 here", "line "], |files| {
            let mut report: Value = serde_json::from_slice(&files[&at("report.json")]).unwrap();
            report["claims"].as_object_mut().unwrap().values_mut().next().unwrap()["rto"]["hi_us"] = json!(7);
            files.insert(at("report.json"), format!("{report:#}\n").into_bytes());
        }),
        doctored(bench, "verdict softened", &["report.json, line ", "`run.system` is \"passed\" here"], |files| {
            let path = path_of(bench.id("command"), "report.json");
            replaced(files, &path, "\"system\": \"inconclusive\"", "\"system\": \"passed\"");
        }),
        doctored(bench, "report swapped", &[&format!("{}, line ", at("report.html")), "judged again from the journal it is"], |files| {
            let other = files[&path_of(bench.id("command"), "report.html")].clone();
            files.insert(at("report.html"), other);
        }),
        doctored(bench, "run omitted from the register", &["register.jsonl, line 2: it does not continue the line before it"], |files| {
            let omitted = bench.id("command").to_owned();
            files.retain(|path, _| !path.contains(&omitted));
            let kept: String = text(files, REGISTER).split_inclusive('\n').filter(|line| !line.contains(&omitted)).collect();
            files.insert(REGISTER.into(), kept.into_bytes());
        }),
        doctored(bench, "backdated in the register", &["register.jsonl, line 1: run ", "registered at 2026-10-22T"], |files| {
            let anew = register(&text(files, REGISTER), |lines| {
                let wall = lines[0]["wall"].as_str().unwrap().replace("2026-11-22", "2026-10-22");
                lines[0]["wall"] = json!(wall);
            });
            files.insert(REGISTER.into(), anew.into_bytes());
        }),
        doctored(bench, "backdated in the journal", &[&at("events.jsonl"), "the run's id was given at 2026-11-22T"], |files| {
            let events = text(files, &at("events.jsonl")).replace("2026-11-22T", "2026-10-22T");
            files.insert(at("events.jsonl"), chained(&values(&events)).into_bytes());
            follow(files, &run);
        }),
        doctored(bench, "a report left out", &[&at("latency.hlog"), "it is missing"], |files| {
            files.remove(&at("latency.hlog"));
        }),
    ];
    // Not in the register any more, and the register is whole: only what was noted elsewhere tells.
    let head = text(&bench.signed(&["passed"]), REGISTER).lines().nth(1).map(|line| serde_json::from_str::<Value>(line).unwrap()).unwrap();
    let omitted = |files: &mut Files| {
        let id = bench.id("command").to_owned();
        files.retain(|path, _| !path.contains(&id));
        let anew = register(&text(files, REGISTER), |lines| lines.retain(|line| line["run"] != id.as_str()));
        files.insert(REGISTER.into(), anew.into_bytes());
    };
    let mut one = doctored(bench, "run omitted, register made anew", &["was noted elsewhere"], omitted);
    one.with.extend(["--head".into(), head["sum"].as_str().unwrap().to_owned()]);
    found.push(one);
    // Left out openly: nothing contradicts, and nobody can say whether it held.
    let mut one =
        doctored(bench, "run left out", &["register.jsonl, line 2", "is not in the bundle: whether it held, nobody can say"], |files| {
            let id = bench.id("command").to_owned();
            files.retain(|path, _| !path.contains(&id));
        });
    one.code = 31;
    found.push(one);
    found.extend(of_the_signature(bench));
    found
}

fn of_the_signature(bench: &Bench) -> Vec<Doctored> {
    bench.place.run(&["evidence", "keygen", "other.key"], PATIENCE).expect(0);
    let with = vec!["--trust".to_owned(), "team.key.pub".to_owned()];
    let told = |told: &str| vec![told.to_owned()];
    let mut files = bench.signed(&["passed"]);
    let bytes = again(&mut files, &bench.key("other.key"));
    let resigned = Doctored {
        name: "signed again with another key",
        bytes,
        told: told("which is no key that you trust"),
        with: with.clone(),
        code: 33,
    };
    let signature = bench.signed(&["passed"])[SIGNATURE].clone();
    let run = bench.id("passed").to_owned();
    // Everything made anew and nothing contradicts: but the key is the team's.
    let mut files = bench.signed(&["passed"]);
    let softer = |value: &mut Value| value["claims"].as_object_mut().unwrap().values_mut().next().unwrap()["rto"]["max"] = json!("9s");
    through_and_through(&mut files, &run, softer, true);
    follow(&mut files, &run);
    again(&mut files, &bench.key("other.key"));
    files.insert(SIGNATURE.into(), signature);
    let bytes = evidence::write(&files).unwrap();
    let kept = Doctored {
        name: "made anew under the old signature",
        bytes,
        told: told("does not fit the manifest"),
        with: with.clone(),
        code: 33,
    };
    files.remove(SIGNATURE);
    let bytes = evidence::write(&files).unwrap();
    let unsigned = Doctored { name: "signature taken off", bytes, told: told("it is not signed"), with, code: 33 };
    vec![resigned, kept, unsigned]
}

#[test]
fn doctored_bundles_do_not_hold_and_what_was_done_is_named() {
    let bench = Bench::new(&["passed", "command", "interrupted"]);
    let all: Vec<Doctored> = of_the_record(&bench).into_iter().chain(of_the_rest(&bench)).collect();
    assert!(all.len() >= 20, "{}", all.len());
    let mut wrong = Vec::new();
    for one in all {
        bench.place.file("doctored.tar", &one.bytes);
        let with: Vec<&str> = one.with.iter().map(String::as_str).collect();
        let done = bench.verify("doctored.tar", &with);
        let silent: Vec<&String> = one.told.iter().filter(|told| !done.stdout.contains(told.as_str())).collect();
        if done.code != Some(one.code) || !silent.is_empty() {
            wrong.push(format!("{}: exit {:?}, not told: {silent:?}\n{}{}", one.name, done.code, done.stdout, done.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn examined(bytes: &[u8]) -> Verdict {
    evidence::verify(bytes, &Asked { version: env!("CARGO_PKG_VERSION").into(), ..Asked::default() }, &judge)
}

/// Every byte of the parts that hold the rest together, and every so many of the others. That each byte of the archive's own form shows is tried
/// exhaustively beside `evidence::read`, and every byte of a signature beside the keys.
#[test]
fn a_changed_byte_is_named_with_its_file() {
    let bench = Bench::new(&["interrupted"]);
    let files = bench.signed(&["interrupted"]);
    let bytes = evidence::write(&files).unwrap();
    assert!(examined(&bytes).problems.is_empty());
    let mut tried = 0;
    let mut at = 0;
    for (path, content) in &files {
        let from = at + 512;
        at = (from + content.len()).div_ceil(512) * 512;
        let step = if [SIGNATURE, REGISTER].contains(&path.as_str()) { 1 } else { content.len() / 150 + 1 };
        for byte in (from..from + content.len()).step_by(step) {
            let mut harmed = bytes.clone();
            harmed[byte] ^= 0x01;
            let verdict = examined(&harmed);
            tried += 1;
            let named =
                |said: &evidence::Said| said.file.as_deref() == Some(path) || (path == MANIFEST && said.file.as_deref() == Some(SIGNATURE));
            assert!(verdict.problems.iter().any(named), "byte {byte} of {path}: {:?}", verdict.problems);
        }
    }
    assert!(tried > 1_500, "{tried}");
}

#[test]
fn what_cannot_be_packed_or_read_is_said() {
    let bench = Bench::new(&["passed", "interrupted", "command"]);
    let says = |done: Done, code: i32, told: &str| {
        assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
        let all = format!("{}{}", done.stdout, done.stderr);
        assert!(all.contains(told), "{told}: {all}");
    };
    says(bench.place.run(&["evidence", "pack", "nobody", "--out", "x.tar"], PATIENCE), 2, "nobody");
    bench.place.file("mine.txt", "a letter");
    says(bench.pack(&["passed"], "mine.txt", &[]), 11, "it is there, and is no evidence bundle");
    says(bench.pack(&["passed"], "none/x.tar", &[]), 11, "failed to write");
    says(bench.pack(&["passed"], "x.tar", &["--key", "mine.txt"]), 2, "it is no private Ed25519 key");
    says(bench.pack(&["passed"], "x.tar", &["--key", "team.key.pub"]), 2, "it is no private Ed25519 key");
    says(bench.place.run(&["evidence", "keygen", "team.key"], PATIENCE), 11, "a key that is lost cannot be made again");
    says(bench.verify("mine.txt", &[]), 33, "no evidence bundle");
    says(bench.verify("none.tar", &[]), 11, "there is no such file");
    bench.pack(&["passed"], "x.tar", &[]).expect(0);
    says(bench.verify("x.tar", &["--trust", "mine.txt"]), 2, "it is no public key");
    says(bench.verify("x.tar", &["--trust", "ed25519:AAAA"]), 2, "it is no public key");
    says(bench.verify("x.tar", &["--trust", "team.key.pub"]), 33, "it is not signed");
    says(bench.place.run(&["evidence", "diff", "x.tar", "mine.txt"], PATIENCE), 11, "no evidence bundle");
    // One between that is left out is told already by who packs.
    says(bench.pack(&["passed", "interrupted"], "two.tar", &[]), 0, "is not in the bundle");
    says(bench.place.run(&["evidence", "diff", "x.tar", "two.tar"], PATIENCE), 33, "only in the second");
    // A run directory that was tampered with is not packed.
    let plan = bench.dir("passed").join(journal::PLAN);
    let kept = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, kept.replacen("\"max\": \"6s\"", "\"max\": \"9s\"", 1)).unwrap();
    says(bench.pack(&["passed"], "bad.tar", &[]), 33, "the plan was changed after the run");
    assert!(!bench.place.path().join("bad.tar").exists());
    std::fs::write(&plan, kept).unwrap();
    let register = bench.place.path().join(".firedrill/register.jsonl");
    let kept = std::fs::read_to_string(&register).unwrap();
    std::fs::write(&register, kept.lines().skip(1).collect::<Vec<_>>().join("\n") + "\n").unwrap();
    says(bench.pack(&["passed"], "bad.tar", &[]), 31, "line 1 of");
    std::fs::remove_file(&register).unwrap();
    says(bench.pack(&["passed"], "bad.tar", &[]), 31, "failed to read the register of starts");
}

#[test]
fn reports_of_another_version_leave_their_numbers_open() {
    let bench = Bench::new(&["passed"]);
    let mut files = bench.signed(&["passed"]);
    let other = |files: &mut Files| {
        let text =
            text(files, MANIFEST).replacen(&format!("\"firedrill\": \"{}\"", env!("CARGO_PKG_VERSION")), "\"firedrill\": \"0.0.9\"", 1);
        files.insert(MANIFEST.into(), text.into_bytes());
        files.remove(SIGNATURE);
        examined(&evidence::write(files).unwrap())
    };
    let verdict = other(&mut files);
    assert!(verdict.problems.is_empty() && verdict.doubts.len() == 1, "{verdict:?}");
    let mut files = bench.signed(&["passed"]);
    replaced(&mut files, &bench.file("passed", "report.json"), "\"system\": \"passed\"", "\"system\": \"failed\"");
    again(&mut files, &bench.key("team.key"));
    let verdict = other(&mut files);
    assert!(verdict.doubts.iter().any(|said| said.what.contains("`system` is \"failed\" here, \"passed\" there")), "{verdict:?}");
}

/// A stranger's bundle may fit in every digest and still hold a plan that no scenario makes.
#[test]
fn a_plan_that_nobody_makes_is_judged_or_refused_and_never_fatal() {
    let bench = Bench::new(&["interrupted"]);
    let run = bench.id("interrupted").to_owned();
    let files = bench.signed(&["interrupted"]);
    let plan: Value = serde_json::from_slice(&files[&path_of(&run, journal::PLAN)]).unwrap();
    let mut places = Vec::new();
    leaves(&plan, String::new(), &mut places);
    assert!(places.len() > 30, "{}", places.len());
    for place in places {
        for strange in
            [json!(null), json!(0), json!(u64::MAX), json!("0s"), json!("99999999h"), json!(""), json!("100%"), json!([]), json!({})]
        {
            let mut files = files.clone();
            through_and_through(&mut files, &run, |value| *value.pointer_mut(&place).unwrap() = strange.clone(), true);
            examined(&evidence::write(&files).unwrap());
        }
    }
}

fn leaves(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, inner)| leaves(inner, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found));
        }
        Value::Array(list) if !list.is_empty() => list.iter().enumerate().for_each(|(n, inner)| leaves(inner, format!("{at}/{n}"), found)),
        _ => found.push(at),
    }
}
