//! What the tests with real processes share: a door to the world with a directory of its own, that takes everything it started with it.

use std::path::PathBuf;
use std::sync::Arc;

use firedrill::base::Span;
use firedrill::sys::{Clock, Cx, clock, process};
use tempfile::TempDir;

/// A temporary world.
pub struct World {
    /// The door.
    pub cx: Cx,
    dir: TempDir,
}

impl World {
    /// A new one.
    pub fn new() -> World {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let run = format!("test-{}-{}", std::process::id(), clock::mono_ns());
        let cx = Cx {
            clock: Clock::start(),
            run: run.into(),
            run_dir: Arc::new(dir.path().to_owned()),
            base_dir: Arc::new(dir.path().to_owned()),
            exe: Arc::new(assert_cmd::cargo::cargo_bin!("firedrill").to_owned()),
            secrets: Arc::default(),
            cancel: tokio_util::sync::CancellationToken::new(),
        };
        World { cx, dir }
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The mark of one of its items.
    pub fn owner(&self, item: &str) -> String {
        format!("{}/{item}", self.cx.run)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let ours = format!("{}/", self.cx.run);
        for pid in process::all().into_keys() {
            let marked = process::started_with(pid, process::OWNER).is_some_and(|owner| owner.starts_with(&ours));
            if let Some(id) = process::find(pid).filter(|_| marked) {
                let _ = process::signal(&id, process::Signal::KILL);
            }
        }
    }
}

/// Waits until something is so; fails the test when it never is.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = clock::mono_ns();
    while !so() {
        assert!(clock::mono_ns() - start < Span::secs(10).0, "never: {what}");
        clock::sleep(Span::millis(5)).await;
    }
}
