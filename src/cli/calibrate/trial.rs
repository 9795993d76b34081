//! One trial: a real drill whose fault is a true outage of the truth server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use super::super::run::own_exe;
use super::super::store;
use super::grid::{Case, Length};
use crate::base::Span;
use crate::sys::{Clock, Cx, helper, ports};

/// Longer than any drill of a trial.
const LIMIT: Span = Span::secs(180);
/// The fault's time where the service does not come back by itself.
const NEVER: Span = Span::secs(2);
const STABLE: Span = Span::millis(300);

/// Where the trials are made.
pub(super) struct Bench {
    dir: PathBuf,
    cx: Cx,
}

/// A trial that could not be made: a sentence, and what to do.
pub(super) struct Failed {
    pub(super) why: String,
    pub(super) help: Option<String>,
}

impl Failed {
    pub(super) fn of(why: String) -> Failed {
        Failed { why, help: None }
    }
}

impl Bench {
    pub(super) fn make(home: &Path) -> std::io::Result<Bench> {
        let dir = home.join("calibration").join(store::new_id());
        std::fs::create_dir_all(&dir)?;
        let cx = Cx {
            clock: Clock::start(),
            run: "calibrate".into(),
            run_dir: Arc::new(dir.clone()),
            base_dir: Arc::new(dir.clone()),
            exe: Arc::new(own_exe()),
            secrets: Arc::new(IndexMap::new()),
            account: None,
            cancel: CancellationToken::new(),
        };
        Ok(Bench { dir, cx })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes what the trials left.
    pub(super) fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.dir);
        // Only when it is empty.
        let _ = self.dir.parent().map(std::fs::remove_dir);
    }

    /// Makes the drill of a case; its run directory.
    pub(super) async fn drill(&self, case: &Case, take: u32) -> Result<PathBuf, Failed> {
        let name = format!("trial-{}-{take}", case.number);
        let [port] = ports::free().map_err(|error| Failed::of(format!("failed to find a free port on 127.0.0.1: {error}")))?;
        let file = self.dir.join(format!("{name}.yaml"));
        std::fs::write(&file, scenario(case, port)).map_err(|error| Failed::of(format!("failed to write {}: {error}", file.display())))?;
        let runs = self.dir.join(&name);
        let words =
            ["run", &file.display().to_string(), "--yes", "--output", "json", "--runs", &runs.display().to_string()].map(str::to_owned);
        let ended = helper::run(&self.cx, &words, LIMIT).await;
        let (status, said) = ended.map_err(|error| Failed::of(format!("failed to run the drill of a trial: {error}")))?;
        // How the drill was judged does not matter: what it measured does.
        match (status.code(), store::all(&runs).pop()) {
            (Some(0 | 20 | 30 | 31 | 33), Some(run)) => Ok(run),
            _ => Err(Failed {
                why: format!("a trial could not be made ({status}): {}", said.trim()),
                help: Some(format!("`firedrill run {}` shows it alone", file.display())),
            }),
        }
    }
}

/// The scenario of a trial. The order to go down is given by the fault, and the service comes back by itself.
fn scenario(case: &Case, port: u16) -> String {
    let Case { state, length, look, phase, .. } = case;
    let micros = |span: Span| span.0 / 1000;
    let (order, down) = match length {
        Length::For(down) => (format!("down, '{state}', '{}'", micros(*down)), *down),
        Length::Flap(times, down, up) => {
            let whole = Span((down.0 + up.0) * u64::from(*times));
            (format!("down, '{state}', '{}', '{times}', '{}'", micros(*down), micros(*up)), whole)
        }
        Length::Never => (format!("down, '{state}'"), NEVER),
        Length::None => ("down, late, '100000'".to_owned(), Span::millis(100)),
    };
    // Long enough to see it come back, and to be sure.
    let hold = if *length == Length::Never { NEVER } else { Span(down.0 + look.timeout.0 + 3 * look.every.0 + 2 * STABLE.0) };
    let steady = Span(Span::millis(500).0.max(8 * look.every.0));
    let tell = "\"${firedrill}\", __truth, tell, \"${run.dir}/truth\"";
    let asks =
        |word: &str| format!("{{ command: {{ run: [{tell}, {word}] }}, expect: {{ exit: {{ equals: 0 }} }}, every: 20ms, within: 10s }}");
    format!(
        "firedrill: 1
title: A true outage
environment: test
test: recovery
system:
  truth:
    run: [\"${{firedrill}}\", __truth, serve, \"--listen=127.0.0.1:{port}\", \"--dir=${{run.dir}}/truth\"]
    ready: {{ http: {{ url: \"http://127.0.0.1:{port}/\" }}, within: 20s }}
probes:
  seen: {{ http: {{ url: \"http://127.0.0.1:{port}/\" }}, rate: {rate}/s, timeout: {timeout}us }}
steady_state: {{ over: {steady}us, probes: {{ seen: {{ success: {{ min: 50% }} }} }} }}
faults:
  outage:
    command: {{ run: [{tell}, {order}] }}
    at: {phase}us
    for: {hold}us
    confirm: {was_down}
    undo: {{ run: [{tell}, up], done_when: {is_up} }}
recovery: {{ within: 20s, stable_for: {stable}us }}
",
        rate = 1e9 / look.every.0 as f64,
        timeout = micros(look.timeout),
        steady = micros(steady),
        phase = micros(*phase),
        hold = micros(hold),
        stable = micros(STABLE),
        was_down = asks("was-down"),
        is_up = asks("is-up"),
    )
}
