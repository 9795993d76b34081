//! Blind drills of the real binary: what another account of the machine can reach while one runs holds none of the hidden words, and the same looks find
//! them where the drill is announced. Cues, the clock of people, a stop for something real, and the debrief.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use drill::{Done, Place, account, case, free_ports, side_by_side, wait};

/// Title, file name, fault ids, kinds, target, claim, answer, wrong turn, prompt and hint: no other file of the machine holds them.
const WORDS: [&str; 14] = [
    "zubr vanishes",
    "zubr-hush",
    "sever-zubr",
    "squeeze-zubr",
    "process.pause",
    "resource.memory",
    "vault-zubr",
    "claim-zubr",
    "velvet-zubr",
    "astray-zubr",
    "teaches-zubr",
    "customer-zubr",
    "Ask-zubr",
    "Hint-zubr",
];

/// The same in this process: another one that runs these tests has others.
fn named(text: &str) -> String {
    text.replace("zubr", &format!("zubr{}", std::process::id()))
}

fn hidden() -> Vec<String> {
    WORDS.iter().map(|word| named(word)).collect()
}

fn scenario(mode: &str, room: u16, people: &str) -> String {
    let [port] = free_ports();
    named(&format!(
        r#"firedrill: 1
title: zubr vanishes
environment: test
system:
  vault-zubr:
    run: ["${{firedrill}}", __demo, node, --name=a, "--listen=127.0.0.1:{port}", "--peer=127.0.0.1:1", "--data=${{run.dir}}/a", --first]
    ready: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, expect: {{ status: {{ equals: 200 }} }}, within: 20s }}
probes:
  shop: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, rate: 20/s, expect: {{ status: {{ equals: 200 }} }} }}
steady_state: {{ over: 1s, probes: {{ shop: {{ success: {{ min: 50% }} }} }} }}
guards:
  watcher: {{ command: {{ run: [sleep, "0.1"] }}, expect: {{ exit: {{ equals: 0 }} }}, every: 200ms, grace: 20s }}
faults:
  squeeze-zubr: {{ resource.memory: {{ size: 8MiB }}, for: {{ until: acknowledged, at_most: 90s }} }}
  sever-zubr: {{ process.pause: {{ system: vault-zubr }}, at: {{ after: squeeze-zubr.effective, plus: 200ms }}, for: {{ until: acknowledged, at_most: 90s }} }}
recovery: {{ within: 100s, stable_for: 500ms }}
claims:
  claim-zubr: {{ fault: sever-zubr, measured_by: [shop], rto: {{ max: 95s }} }}
team:
  mode: {mode}
  shown_as: Thursday exercise
  roles: {{ facilitator: [alice-zubr], {people} }}
  runbooks: runbooks
  expect:
    acknowledged: {{ ack: {{}}, by: ops, within: 80s, from: sever-zubr.effective }}
    found: {{ answer: {{ ask: "What?", matches: velvet-zubr }}, by: ops, within: 80s, from: sever-zubr.effective, weight: training }}
  wrong_turns:
    astray-zubr: {{ step: shop#restart, when: {{ after: sever-zubr.effective, before: acknowledged }}, teaches: teaches-zubr }}
  prompts:
    customer-zubr: {{ to: ops, say: Ask-zubr, expect: {{ reply: {{}}, within: 60s, weight: training }} }}
  hints:
    look-zubr: {{ at: {{ after: sever-zubr.effective, plus: 80s }}, say: Hint-zubr }}
notify:
  leaders: {{ webhook: {{ url: "http://127.0.0.1:{room}/leaders" }}, audience: facilitator }}
  everybody: {{ webhook: {{ url: "http://127.0.0.1:{room}/everybody" }}, audience: all }}
"#
    ))
}

const RUNBOOK: &str = "---\nowner: ops\n---\n# Shop\n\n- [ ] Restart it {#restart}\n- [ ] Thaw it {#thaw}\n";

/// Path and body of each notice that was heard.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// Takes notices.
fn room() -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(found) = request(&stream) {
                sink.lock().unwrap().push(found);
            }
            let _ = (&stream).write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (port, heard)
}

fn request(mut stream: &TcpStream) -> Option<(String, String)> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some((head.split(' ').nth(1)?.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut part).ok()? {
            0 => return None,
            n => bytes.extend_from_slice(&part[..n]),
        }
    }
}

/// Another account of the machine.
struct Other {
    uid: u32,
    binary: PathBuf,
    registry: PathBuf,
}

impl Other {
    /// `nobody`, where we are root.
    fn there(place: &Place) -> Option<Other> {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        let uid = passwd.lines().find(|line| line.starts_with("nobody:")).and_then(|line| line.split(':').nth(2)?.parse().ok())?;
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            return None;
        }
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
        // The binary itself may lie where only its owner may look.
        let binary = place.path().join("tool");
        std::fs::copy(drill::binary(), &binary).unwrap();
        std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).unwrap();
        Some(Other { uid, binary, registry: place.path().join("registry") })
    }

    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir("/").env("FIREDRILL_REGISTRY", &self.registry).env("NO_COLOR", "1").uid(self.uid).gid(self.uid);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn says(&self, args: &[&str]) -> Done {
        wait(self.command(&self.binary, args).spawn().unwrap(), 30)
    }

    fn shell(&self, script: &str) -> String {
        let done = wait(self.command(Path::new("/bin/sh"), &["-c", script]).spawn().unwrap(), 60);
        done.stdout + &done.stderr
    }
}

/// What another account can reach of a drill while it runs: by the way it is reached.
fn reached(other: &Other, place: &Place, run: &Path, view: &Path, notices: &[(String, String)]) -> Vec<(&'static str, String)> {
    let (base, dir) = (place.path().display(), run.display());
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    let mut socket = String::new();
    for args in [
        vec!["watch", "--once"],
        vec!["mark", "seen"],
        vec!["answer", "no idea"],
        vec!["answer", "no idea", "--of", "x"],
        vec!["note", "hm"],
        vec!["step", "shop#restat"],
        vec!["step", "shop#thaw"],
        vec!["reply", "yes"],
        vec!["reply", "yes", "--of", "x"],
        vec!["handoff", "--to", "x"],
        vec!["handoff", "--accept"],
        vec!["mark", "seen", "--as", "x"],
        vec!["prompt", "x"],
        vec!["hint", "x"],
        vec!["pause"],
        vec!["resume"],
        vec!["reveal"],
        vec!["runs"],
        vec!["report", &id],
        vec!["show", &id],
        vec!["abort", &id, "--reason", "x"],
        vec!["undo", &id],
        vec!["debrief", &id, "--well", "x"],
    ] {
        let done = other.says(&args);
        socket.push_str(&done.stdout);
        socket.push_str(&done.stderr);
    }
    // Again and again, for what only shows for a moment.
    let processes = other.shell(
        "for n in 1 2 3 4 5 6 7 8; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ /proc/[0-9]*/comm 2>/dev/null | tr '\\0' '\\n'; done",
    );
    let files = other.shell(&format!(
        "find {base} 2>/dev/null; find {base} -type f -size -2000k ! -name tool -exec cat {{}} + 2>/dev/null; ls -laR {dir} 2>&1; cat {dir}/* 2>&1"
    ));
    let elsewhere = other.shell(&format!(
        "find /tmp /var/tmp -newer {base}/began 2>/dev/null; \
         find /tmp /var/tmp -maxdepth 3 -type f -newer {base}/began -size -2000k -exec cat {{}} + 2>/dev/null"
    ));
    let told: String = notices.iter().filter(|(path, _)| path == "/everybody").map(|(_, body)| body.as_str()).collect();
    vec![
        ("view", std::fs::read_to_string(view).unwrap()),
        ("socket", socket),
        ("processes", processes),
        ("files", files),
        ("elsewhere", elsewhere),
        ("notices", told),
    ]
}

/// The words that each way leads to. Elsewhere on the machine others may speak of kinds of faults.
fn found(reached: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let ours = |way: &str, word: &str| way != "elsewhere" || word.contains("zubr");
    let one = |(way, text): &(&'static str, String)| {
        let (way, words) = (*way, hidden());
        words.into_iter().filter(|word| ours(way, word) && text.contains(word)).map(move |word| (way, word)).collect::<Vec<_>>()
    };
    reached.iter().flat_map(one).collect()
}

struct Stage {
    place: Place,
    other: Other,
    child: Child,
    run: PathBuf,
    view: PathBuf,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

/// A drill that bites, with `nobody` as the one who responds.
fn stage(mode: &str, view_for: &str) -> Option<Stage> {
    let place = Place::new();
    let Some(other) = Other::there(&place) else {
        println!("SKIPPED {mode}: needs root and an account `nobody`; nothing was shown");
        return None;
    };
    let (port, heard) = room();
    // What they run it from is theirs; the runbooks are everybody's.
    let file = place.file(&named("closed/zubr-hush.yaml"), scenario(mode, port, "ops: [nobody]"));
    place.file("closed/runbooks/shop.md", RUNBOOK);
    std::fs::set_permissions(file.parent().unwrap(), PermissionsExt::from_mode(if mode == "blind" { 0o700 } else { 0o755 })).unwrap();
    place.file("began", "");
    let view = place.path().join("view");
    let terminal = std::fs::File::create(&view).unwrap();
    let mut command = place.command(&["run", &named("closed/zubr-hush.yaml"), "--yes", "--output", "json", "--view", view_for]);
    let child = command.stdout(Stdio::piped()).stderr(terminal).spawn().unwrap();
    let run = place.wait_until_bitten(&named("sever-zubr"), 60);
    Some(Stage { place, other, child, run, view, heard })
}

fn nothing_hidden_is_reached() {
    let Some(Stage { place, other, child, run, view, heard }) = stage("blind", "participant") else { return };
    let look = || reached(&other, &place, &run, &view, &heard.lock().unwrap().clone());
    let before = look();
    assert!(
        found(&before).is_empty(),
        "{:?}\n{:#?}",
        found(&before),
        before.iter().map(|(way, text)| format!("{way}: {}", &text[..text.len().min(4_000)])).collect::<Vec<_>>()
    );
    for (way, text) in &before {
        let shown = ["view", "socket", "notices"].contains(way);
        assert!(!shown || text.contains("Thursday exercise"), "{way} says what it is called:\n{text}");
    }
    // Helpers say nothing of what they do.
    let arguments = other.shell("for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f 2>/dev/null; echo; done");
    let helpers = arguments
        .lines()
        .filter(|line| ["__load", "__watchdog", "__exec"].iter().any(|verb| line.contains(verb)) && line.contains("firedrill"));
    let ours: Vec<&str> = helpers.filter(|line| line.trim_end().split(' ').count() > 2).collect();
    let foreign = |line: &&str| !line.contains("sh -c");
    assert_eq!(ours.into_iter().filter(foreign).collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(arguments.contains("__load"), "the worker is there");
    // A prompt that was released is theirs; everything else stays hidden.
    place.run(&["prompt", &named("customer-zubr")], 20).expect(0);
    let after: Vec<_> =
        found(&look()).into_iter().filter(|(_, word)| ![named("Ask-zubr"), named("customer-zubr")].contains(word)).collect();
    assert!(after.is_empty(), "{after:?}");
    assert!(other.says(&["watch", "--once"]).expect(0).stdout.contains(&named("to ops: Ask-zubr")));
    other.says(&["reply", "None is lost.", "--of", &named("customer-zubr")]).expect(0);
    // The reveal tells.
    place.run(&["reveal"], 20).expect(0);
    assert!(other.says(&["watch", "--once"]).expect(0).stdout.contains(&named("zubr vanishes")));
    other.says(&["mark", "ack"]).expect(0);
    let done = wait(child, 120);
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let blind = &report["team"]["blind"];
    assert_eq!((&blind["apart"], &blind["doubts"]), (&true.into(), &serde_json::json!([])), "{blind:#}");
    assert!(blind["revealed_by"].as_str().unwrap().ends_with("as facilitator"), "{blind:#}");
    assert_eq!(report["team"]["prompts"][named("customer-zubr")]["replied"], true);
    let shown = std::fs::read_to_string(&view).unwrap();
    assert!(shown.contains(&named("zubr vanishes")), "after the reveal the screen shows all:\n{shown}");
    let told: Vec<String> = heard.lock().unwrap().iter().filter(|(path, _)| path == "/everybody").map(|(_, body)| body.clone()).collect();
    assert!(told.iter().any(|body| body.contains(&named("sever-zubr was injected"))), "what was withheld comes with the reveal: {told:#?}");
    place.assert_nobody_survives(20);
}

/// The same looks find what is hidden, where nothing is: they can fail.
fn everything_is_reached_where_it_is_announced() {
    let Some(Stage { place, other, child, run, view, heard }) = stage("announced", "facilitator") else { return };
    let found = found(&reached(&other, &place, &run, &view, &heard.lock().unwrap().clone()));
    for way in [
        ("view", "zubr vanishes"),
        ("view", "sever-zubr"),
        ("socket", "zubr vanishes"),
        ("processes", "zubr-hush"),
        ("files", "sever-zubr"),
        ("files", "velvet-zubr"),
        ("notices", "zubr vanishes"),
        ("notices", "squeeze-zubr"),
    ] {
        let way = (way.0, named(way.1));
        assert!(found.contains(&way), "{way:?} was not found, so the look is blind: {found:#?}");
    }
    other.says(&["mark", "ack"]).expect(0);
    wait(child, 120);
    place.assert_nobody_survives(20);
}

/// A drill under one account, its journal, and what it was asked in vain.
fn under_one_account(mode: &str) -> (Place, Child, PathBuf) {
    let place = Place::new();
    let (port, _) = room();
    place.file("scenario.yaml", scenario(mode, port, &format!("ops: [{}]", account())));
    place.file("runbooks/shop.md", RUNBOOK);
    let child = place.start(&["run", "scenario.yaml", "--yes", "--output", "json"]);
    let run = place.wait_until_bitten(&named("sever-zubr"), 60);
    (place, child, run)
}

fn cues_and_their_mistakes() {
    let (place, child, run) = under_one_account("blind");
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    let refused = |args: &[&str], words: &str| {
        let done = place.run(args, 20).expect(10);
        assert!(done.stderr.contains(words), "{args:?}\n{}", done.stderr);
    };
    refused(&["prompt", "custmer"], &named("no prompt is called `custmer`: there are customer-zubr"));
    refused(&["hint", "\u{1b}[2Jx"], &named("no hint is called `[2Jx`: there are look-zubr"));
    refused(&["resume"], "the clock of people is running");
    refused(&["reveal", "--as", "ops"], "not for ops");
    place.run(&["pause"], 20).expect(0);
    refused(&["pause"], "stands still since");
    place.run(&["resume", &id[..20]], 20).expect(0);
    place.run(&["prompt", &id, &named("customer-zubr")], 20).expect(0);
    refused(&["prompt", &named("customer-zubr"), &id], "was given at 00:");
    place.run(&["hint", &named("look-zubr")], 20).expect(0);
    refused(&["hint", &named("look-zubr")], "is given once");
    place.run(&["reply", "none\u{1b}[2J", "--as", "ops"], 20).expect(0);
    refused(&["reply", "again", "--as", "ops"], "no prompt waits for a reply of ops");
    place.run(&["reveal"], 20).expect(0);
    refused(&["reveal"], "it was revealed at 00:");
    let running = place.run(&["debrief", &id, "--well", "x"], 20).expect(11);
    assert!(running.stderr.contains("is still running"), "{}", running.stderr);
    place.run(&["mark", "ack", "--as", "ops"], 20).expect(0);
    let report = wait(child, 120);
    let json: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!((&json["team"]["mode"], &json["team"]["blind"]["apart"]), (&"blind".into(), &false.into()), "one account: by convention");
    assert!(report.stderr.contains("by convention"), "{}", report.stderr);
    let late = place.run(&["pause", &id], 20).expect(11);
    assert!(late.stderr.contains("listens"), "{}", late.stderr);
    debriefed(&place, &run, &id);
}

/// What was learnt stands in every report, and what makes no sense is refused whole.
fn debriefed(place: &Place, run: &Path, id: &str) {
    let flags = [
        "--well",
        "The page came.",
        "--factor",
        "One key for everybody.",
        "--surprise",
        "Nobody had\u{1b}[2J the key.",
        "--change",
        "Keys.",
        "--action",
        "Share keys; owner: dan; due: 2026-12-24",
    ];
    let done = place.run(&[&["debrief", id], &flags[..]].concat(), 20).expect(0);
    assert!(done.stderr.contains("4 remarks and 1 action item written down"), "{}", done.stderr);
    for (args, words) in [
        (vec!["--action", "Share keys"], "needs somebody who does it"),
        (vec!["--action", "Share keys; owner: dan; due: soon"], "`soon` is no day"),
        (vec!["--well", " "], "there are no words"),
    ] {
        let done = place.run(&[vec!["debrief", id], args].concat(), 20).expect(2);
        assert!(done.stderr.contains(words) && done.stderr.contains("nothing was written down"), "{}", done.stderr);
    }
    let with_input = |text: &str| {
        let mut child =
            place.command(&["debrief", id]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let text = text.to_owned();
        let writer = std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
        let done = wait(child, 30);
        writer.join().unwrap();
        done
    };
    assert!(with_input(&"x".repeat(1 << 20)).expect(2).stderr.contains("at most 64 KiB"));
    assert!(with_input("## Weather\n- rain\n").expect(2).stderr.contains("no section is called `Weather`"));
    with_input("## What went well\n- It was undone.\n").expect(0);
    let editor = place.file("editor.sh", "#!/bin/sh\nsed -i 's/^## What to change/&\\n- From the editor/' \"$1\"\n");
    std::fs::set_permissions(&editor, PermissionsExt::from_mode(0o755)).unwrap();
    let text = std::fs::read_to_string(run.join("debrief.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 6);
    let read = || place.run(&["report", id, "--output", "json"], 30);
    let before = read().json();
    assert_eq!(before["team"]["debrief"]["actions"][0]["owner"], "dan");
    assert_eq!(before["team"]["debrief"]["surprises"][0]["text"], "Nobody had [2J the key.");
    for form in ["text", "md", "html"] {
        let page = place.run(&["report", id, "--output", form], 30).stdout;
        assert!(page.contains("The page came.") && page.contains("a1: Share keys (dan, until 2026-12-24)"), "{form}\n{page}");
    }
    std::fs::write(run.join("debrief.jsonl"), text.replacen("Keys.", "Locks.", 1)).unwrap();
    assert_eq!(read().json()["team"]["debrief"]["damaged_line"], 4);
}

/// Anybody may stop it for something real, and everybody is told.
fn something_real() {
    let (place, child, _) = under_one_account("blind");
    let done = place.run(&["stop", "--real", "--reason", "the real shop\n burns", "--as", "ops"], 20).expect(0);
    assert!(done.stderr.contains("the drill ends, and everything is undone"), "{}", done.stderr);
    let report = wait(child, 120).expect(40);
    let json: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(json["team"]["real"]["reason"], "the real shop burns");
    assert!(json["team"]["real"]["by"].as_str().unwrap().ends_with("as ops"), "{:#}", json["team"]["real"]);
    assert!(json["team"]["blind"]["revealed_by"].is_string());
    assert!(json["run"]["aborted"].as_str().unwrap().contains("this is real"), "{:#}", json["run"]);
    assert!(place.run(&["stop", "--real"], 20).expect(11).stderr.contains("lever engage"));
    place.assert_nobody_survives(20);
}

#[test]
fn blind_drills_hide_what_they_must_and_hear_those_who_lead() {
    // By itself: the others are announced, or typed by people who know.
    nothing_hidden_is_reached();
    side_by_side(vec![
        case("announced", everything_is_reached_where_it_is_announced),
        case("cues", cues_and_their_mistakes),
        case("real", something_real),
    ]);
}
