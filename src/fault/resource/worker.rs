//! The worker (`__load`): takes processor time or memory until it is killed, or until the process that started it is dead.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::base::{Bytes, Percent, Span};
use crate::sys::clock;
use crate::sys::process::{self, ProcessId};

/// How often the worker looks whether its parent lives.
const LOOK: Span = Span::millis(50);
/// The length of one turn of work and rest; short, so that nobody waits long for a processor.
const TURN: Span = Span::millis(20);
/// How much memory is taken between two looks at the parent.
const PIECE: usize = 16 << 20;
/// Smaller than any page: writing this far apart makes every page real.
const STRIDE: usize = 4096;

/// Runs a worker; `arguments` are those after `__load`: the parent as JSON, then `cpu THREADS LOAD` or `memory SIZE`.
pub fn load_main(arguments: Vec<OsString>) -> ExitCode {
    let words: Vec<String> = arguments.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [parent, what @ ..] = words.as_slice() else { return ExitCode::from(2) };
    let Ok(parent) = serde_json::from_str::<ProcessId>(parent) else { return ExitCode::from(2) };
    match *what {
        ["cpu", threads, load] => match (threads.parse(), load.parse()) {
            (Ok(threads), Ok(load)) => burn(&parent, threads, load),
            _ => return ExitCode::from(2),
        },
        ["memory", size] => match size.parse() {
            Ok(size) => hold(&parent, size),
            Err(_) => return ExitCode::from(2),
        },
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

/// The threads end with the process, when this returns.
fn burn(parent: &ProcessId, threads: u64, load: Percent) {
    let work = Span((TURN.0 as f64 * load.fraction()) as u64);
    for _ in 0..threads {
        std::thread::spawn(move || {
            loop {
                let start = clock::mono_ns();
                while clock::mono_ns().saturating_sub(start) < work.0 {
                    std::hint::spin_loop();
                }
                if work < TURN {
                    clock::block(Span(TURN.0 - work.0));
                }
            }
        });
    }
    while process::alive(parent) {
        clock::block(LOOK);
    }
}

fn hold(parent: &ProcessId, size: Bytes) {
    // When memory runs out after all, the kernel is to take this process and no other; it may refuse us even that.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut held: Vec<Vec<u8>> = Vec::new();
    let mut left = usize::try_from(size.0).unwrap_or(usize::MAX);
    while process::alive(parent) {
        if left == 0 {
            clock::block(LOOK);
            continue;
        }
        let mut piece = vec![0_u8; left.min(PIECE)];
        // Untouched memory is only a promise.
        piece.iter_mut().step_by(STRIDE).for_each(|byte| *byte = 1);
        left -= piece.len();
        held.push(piece);
    }
    drop(std::hint::black_box(held));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_whose_parent_is_dead_ends_at_once() {
        let mut parent = process::find(std::process::id()).unwrap();
        parent.start_time += 1;
        let parent = serde_json::to_string(&parent).unwrap();
        for what in [vec!["cpu", "2", "50%"], vec!["memory", "1GiB"]] {
            let arguments = [parent.as_str()].into_iter().chain(what).map(OsString::from).collect();
            assert_eq!(load_main(arguments), ExitCode::SUCCESS);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let us = serde_json::to_string(&process::find(std::process::id()).unwrap()).unwrap();
        for words in [vec![], vec!["nobody", "cpu", "1", "50%"], vec![us.as_str(), "cpu", "1"], vec![us.as_str(), "memory", "much"]] {
            assert_eq!(load_main(words.into_iter().map(OsString::from).collect()), ExitCode::from(2));
        }
    }
}
