//! Journals as a dying disk or an enemy leaves them: no bytes make a reader panic, and whatever can be read of a run that owes something still
//! says so.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod survive;

use std::path::Path;

use firedrill::journal::{FILE, PLAN};
use firedrill::plan::Plan;
use proptest::prelude::*;
use proptest::sample::Index;

const JOURNALS: [&str; 5] = ["passed", "stuck", "interrupted", "taken-over", "proxied"];

fn golden(name: &str, file: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals").join(name).join(file)).unwrap()
}

/// What happens to the bytes of a file.
#[derive(Debug, Clone)]
enum Harm {
    Flip(Index, u8),
    Cut(Index),
    Zero(Index, usize),
    Twice(Index, Index),
    Put(Index, Vec<u8>),
    Drop(Index),
}

fn harm() -> impl Strategy<Value = Harm> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 1u8..).prop_map(|(at, by)| Harm::Flip(at, by)),
        1 => at().prop_map(Harm::Cut),
        1 => (at(), 1usize..5000).prop_map(|(at, n)| Harm::Zero(at, n)),
        1 => (at(), at()).prop_map(|(from, to)| Harm::Twice(from, to)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..200)).prop_map(|(at, bytes)| Harm::Put(at, bytes)),
        2 => at().prop_map(Harm::Drop),
    ]
}

/// The start of a line near a byte.
fn line_at(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1)
}

fn apply(bytes: &mut Vec<u8>, harm: &Harm) {
    if bytes.is_empty() {
        return;
    }
    let n = bytes.len();
    match harm {
        Harm::Flip(at, by) => bytes[at.index(n)] ^= by,
        Harm::Cut(at) => bytes.truncate(at.index(n)),
        Harm::Zero(at, count) => {
            let from = at.index(n);
            bytes[from..(from + count).min(n)].fill(0);
        }
        Harm::Twice(from, to) => {
            let from = line_at(bytes, from.index(n));
            let end = bytes[from..].iter().position(|byte| *byte == b'\n').map_or(n, |len| from + len + 1);
            let line = bytes[from..end].to_vec();
            let to = line_at(bytes, to.index(n));
            bytes.splice(to..to, line);
        }
        Harm::Put(at, more) => {
            let at = at.index(n);
            bytes.splice(at..at, more.iter().copied());
        }
        Harm::Drop(at) => {
            let from = line_at(bytes, at.index(n));
            let end = bytes[from..].iter().position(|byte| *byte == b'\n').map_or(n, |len| from + len + 1);
            bytes.drain(from..end);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_journal_makes_nobody_panic_and_loses_no_debt(which in 0..JOURNALS.len(), harms in prop::collection::vec(harm(), 1..6)) {
        let mut bytes = golden(JOURNALS[which], FILE);
        harms.iter().for_each(|harm| apply(&mut bytes, harm));
        let plan: Plan = serde_json::from_slice(&golden(JOURNALS[which], PLAN)).unwrap();
        survive::run_directory(&bytes, &golden(JOURNALS[which], PLAN), &plan);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), of_plan in any::<bool>()) {
        let plan: Plan = serde_json::from_slice(&golden("passed", PLAN)).unwrap();
        if of_plan {
            survive::run_directory(&golden("passed", FILE), &bytes, &plan);
        } else {
            survive::run_directory(&bytes, &golden("passed", PLAN), &plan);
        }
    }
}
