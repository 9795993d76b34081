//! Files that nobody should give to a program, given to the real binary: refused in words, soon, and without much memory.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "drives the real binary from outside")]

mod drill;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use drill::{Place, binary, has_program};

/// The longest that a refusal may take, on a machine that is busy with other tests. Alone it takes a few hundredths.
const SOON: Duration = Duration::from_secs(2);

/// Checks one file under a limit of memory; the words that it is refused with.
fn refused(place: &Place, file: &Path) -> String {
    let shown = file.display();
    // 512 MiB of address space: threads of the runtime and the binary itself take most of it, whatever the file holds.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -v 524288; exec \"$0\" check \"$1\""]).arg(binary()).arg(file).current_dir(place.path());
    command.env("NO_COLOR", "1").stdin(std::process::Stdio::null());
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let done = drill::wait(child, 20).expect(10);
    let took = start.elapsed();
    assert!(took < SOON, "{shown}: {took:?}");
    assert_eq!(done.stdout, "", "{shown}");
    assert!(done.stderr.contains("error: "), "{shown}: {}", done.stderr);
    assert!(done.stderr.len() < 64 * 1024, "{shown}: {} bytes of words", done.stderr.len());
    assert!(!done.stderr.contains(['\u{1b}', '\0', '\u{7}']), "{shown}: raw control characters");
    assert!(!done.stderr.contains("panicked"), "{shown}: {}", done.stderr);
    done.stderr
}

fn says(place: &Place, file: &Path, words: &str) {
    let said = refused(place, file);
    assert!(said.contains(words), "{}: wanted {words:?} in\n{said}", file.display());
}

#[test]
fn what_is_no_text_is_refused() {
    let place = Place::new();
    let mut noise: u32 = 7;
    let garbage: Vec<u8> = (0..100_000)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .collect();
    says(&place, &place.file("garbage.yaml", garbage), "binary file");
    says(
        &place,
        &place.file("own.yaml", std::fs::read(binary()).unwrap().iter().take(100_000).copied().collect::<Vec<u8>>()),
        "binary file",
    );
    says(&place, &place.file("nul.yaml", b"firedrill: 1\ntitle: \"a\0b\"\n"), "binary file");
    says(&place, &place.file("latin.yaml", b"firedrill: 1\ntitle: caf\xe9 is down\n"), "not UTF-8");
    says(&place, &place.file("utf16.yaml", b"\xff\xfef\0i\0r\0e\0"), "UTF-16");
    says(&place, &place.file("escape.yaml", "firedrill: 1\ntitle: \u{1b}]0;owned\u{7}\n"), "control character");
    says(&place, &place.file("bidi.yaml", "firedrill: 1\ntitle: x\n\u{202e}evil: 1\n"), "unknown key");
}

#[test]
fn what_is_too_much_is_refused() {
    let place = Place::new();
    let large = format!("firedrill: 1\ntitle: x\n# {}\n", "x".repeat(2 << 20));
    says(&place, &place.file("large.yaml", large), "larger than such a file may be");
    let mut bomb = String::from("firedrill: 1\nl0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for n in 1..10 {
        bomb += &format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", "));
    }
    says(&place, &place.file("bomb.yaml", bomb), "more than 20000 values after aliases");
    let merges = (1..200).fold(String::from("firedrill: 1\nm0: &m0 { a: 1 }\n"), |text, n| {
        text + &format!("m{n}: &m{n} {{ <<: [*m{0}, *m{0}, *m{0}, *m{0}], k{n}: *m{0} }}\n", n - 1)
    });
    says(&place, &place.file("merges.yaml", merges), "after aliases");
    says(&place, &place.file("deep.yaml", format!("firedrill: 1\ntitle: {}\n", "[".repeat(500_000))), "deeper than 64 levels");
    says(&place, &place.file("blocks.yaml", format!("firedrill: 1\ntitle:\n  {}x\n", "- ".repeat(200_000))), "deeper than 64 levels");
    says(&place, &place.file("questions.yaml", "? ".repeat(500_000)), "error");
    let line = format!("firedrill: 1\ntitle: \"{}\"\n", "x".repeat((1 << 20) - 100));
    says(&place, &place.file("line.yaml", line), "a scenario needs a probe");
    let quote = format!("firedrill: 1\ntitle: \"{}", "x".repeat((1 << 20) - 100));
    says(&place, &place.file("quote.yaml", quote), "a quoted text has no end");
    let keys: String = (0..3_000).map(|n| format!("key{n}: 1\n")).collect();
    says(&place, &place.file("keys.yaml", format!("firedrill: 1\n{keys}")), " more\n");
    let twice = "title: x\n".repeat(100_000);
    says(&place, &place.file("twice.yaml", format!("firedrill: 1\n{twice}")), "duplicate key `title`");
    let vars: String = (0..2_000).map(|n| format!("  v{}: \"${{v{n}}}${{v{n}}}\"\n", n + 1)).collect();
    says(
        &place,
        &place.file("vars.yaml", format!("firedrill: 1\nvars:\n  v0: {}\n{vars}", "x".repeat(64))),
        "the vars make the file too large",
    );
}

#[test]
fn what_says_nothing_is_refused() {
    let place = Place::new();
    says(&place, &place.file("empty.yaml", ""), "the file is empty");
    says(&place, &place.file("comments.yaml", "# nothing\n# here\n"), "the file is empty");
    says(&place, &place.file("blank.yaml", "\n \n\n"), "the file is empty");
    says(&place, &place.file("bom.yaml", "\u{feff}"), "the file is empty");
    says(&place, &place.file("marker.yaml", "---\n...\n"), "the file is empty");
    says(&place, &place.file("null.yaml", "~\n"), "the file is empty");
    says(&place, &place.file("word.yaml", "hello\n"), "must be a mapping");
    says(&place, &place.file("json.yaml", "{}"), "does not say that it is a scenario");
}

#[test]
fn what_is_no_file_is_refused_and_never_waited_for() {
    let place = Place::new();
    let at = |name: &str| place.path().join(name);
    std::fs::create_dir(at("folder")).unwrap();
    says(&place, &at("folder"), "it is a directory");
    says(&place, &at("none.yaml"), "there is no such file");
    says(&place, &at("folder/none/x.yaml"), "there is no such file");
    says(&place, Path::new("/dev/zero"), "it is a device");
    says(&place, Path::new("/dev/null"), "it is a device");
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    says(&place, &at("pipe"), "it is a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    says(&place, &at("socket"), "it is a socket");
    std::os::unix::fs::symlink(at("b"), at("a")).unwrap();
    std::os::unix::fs::symlink(at("a"), at("b")).unwrap();
    says(&place, &at("a"), "symbolic links lead in a circle");
    says(&place, &at(&"x".repeat(300)), "failed to read");
    says(&place, Path::new(std::ffi::OsStr::from_bytes(b"n\xff\xfe.yaml")), "there is no such file");
    if rustix::process::geteuid().is_root() {
        println!("SKIPPED: root may read every file");
    } else {
        let file = place.file("secret.yaml", "firedrill: 1\n");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        says(&place, &file, "permission denied");
    }
}

#[test]
fn a_workload_is_as_guarded_as_the_scenario() {
    let place = Place::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path().join("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    place.file("binary.yaml", b"\0\x01\x02");
    place.file("latin.yaml", b"workload: 1\n# \xe9\n");
    place.file("itself.yaml", "firedrill: 1\ntitle: x\nworkload: itself.yaml\n");
    place.file("large.yaml", format!("workload: 1\n# {}\n", "x".repeat(2 << 20)));
    for (workload, words) in [
        ("/dev/zero", "it is a device"),
        ("pipe", "it is a pipe"),
        (".", "it is a directory"),
        ("none.yaml", "there is no such file"),
        ("binary.yaml", "binary file"),
        ("latin.yaml", "not UTF-8"),
        ("large.yaml", "larger than such a file may be"),
        ("itself.yaml", "this is a scenario, not a workload"),
    ] {
        let text = format!("firedrill: 1\ntitle: x\nworkload: {workload}\ntabletop: true\n");
        says(&place, &place.file("scenario.yaml", text), words);
    }
}

#[test]
fn every_verb_that_takes_a_scenario_is_guarded() {
    let place = Place::new();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path().join("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    for args in [&["plan", "pipe"][..], &["run", "--yes", "pipe"], &["check", "pipe", "pipe"]] {
        let done = place.run(args, 20).expect(10);
        assert!(done.stderr.contains("it is a pipe"), "{args:?}: {}", done.stderr);
        assert_eq!(place.runs(), Vec::<std::path::PathBuf>::new(), "nothing was begun");
    }
    assert!(has_program("sh").is_some());
}

#[test]
fn a_plan_whose_target_is_not_there_says_so_and_exits_as_the_run_would() {
    let place = Place::new();
    let scenario = |program: &str| {
        format!(
            "firedrill: 1
title: x
environment: test
probes: {{ up: {{ tcp: {{ address: '127.0.0.1:9' }} }} }}
steady_state: {{ over: 5s, probes: {{ up: {{ success: {{ min: 50% }} }} }} }}
faults:
  broken:
    command: {{ run: [{program}, x] }}
    for: 1s
    confirm: {{ command: {{ run: [test, -e, x] }}, expect: {{ exit: {{ equals: 0 }} }}, within: 5s }}
    undo: {{ run: [rm, -f, x] }}
"
        )
    };
    place.file("there.yaml", scenario("touch"));
    place.file("not.yaml", scenario("no-such-program-here"));
    let done = place.run(&["plan", "there.yaml"], 20).expect(0);
    assert!(done.stdout.contains("needs      the program touch: is here\n"), "{}", done.stdout);
    let done = place.run(&["plan", "not.yaml"], 20).expect(11);
    assert!(done.stdout.contains("needs      the program no-such-program-here: MISSING HERE"), "{}", done.stdout);
    assert!(done.stderr.contains("broken: failed to find the program") && done.stderr.contains("could not start"), "{}", done.stderr);
}
