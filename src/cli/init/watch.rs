//! Watching a service with the probe that will drill it: what is seen here is what the drill will see. Open loop: a slow answer delays no question.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::out::Voice;
use super::super::run::own_exe;
use super::text::Observed;
use crate::base::{At, Span};
use crate::event::Verdict;
use crate::plan::Expect;
use crate::probe::{self, Answer, Opened};
use crate::sys::{Clock, Cx};

/// How many times a second it is asked.
pub(super) const RATE: u64 = 10;
/// How far apart that is.
pub(super) const EVERY: Span = Span::millis(1000 / RATE);
/// How long an answer may take.
pub(super) const LIMIT: Span = Span::secs(5);
/// A service that gave no good answer for so long will not begin to.
const GIVE_UP: Span = Span::secs(3);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// From when the question was due to the end of its good answer.
    good: Vec<Span>,
    /// Why the others were not good, and how often.
    bad: BTreeMap<String, usize>,
}

impl Seen {
    fn take(&mut self, (due, answer): (At, Answer), opened: &Opened) {
        let judged = opened.wanted.judge(&answer, None);
        if judged.verdict == Verdict::Ok {
            self.good.push(answer.done.since(due));
            return;
        }
        let mut why = judged.note.unwrap_or_else(|| "no good answer".to_owned());
        let location = answer.head.as_ref().and_then(|head| head.header("location"));
        if let Some(location) = location {
            why = opened.wanted.clean(&format!("{why}, which leads to {location}"));
        }
        *self.bad.entry(why).or_default() += 1;
    }

    fn asked(&self) -> usize {
        self.good.len() + self.bad.values().sum::<usize>()
    }

    /// What a scenario can be made of.
    ///
    /// # Errors
    /// It is not a service that mostly works.
    pub(super) fn observed(mut self, url: &str, watched: Span) -> Result<Observed, String> {
        let asked = self.asked();
        let why = self.bad.iter().max_by_key(|(_, times)| **times).map(|(why, times)| format!("{why} ({times} times)")).unwrap_or_default();
        if self.good.is_empty() {
            return Err(format!("{url} gave no good answer to any of {asked} requests: {why}"));
        }
        if self.good.len() * 2 < asked {
            return Err(format!("{url} fails more often than not: {} of {asked} answers were good; otherwise {why}", self.good.len()));
        }
        self.good.sort_unstable();
        let at = |share: usize| self.good[(self.good.len() * share).div_ceil(100).max(1) - 1];
        Ok(Observed { url: url.to_owned(), watched, asked, good: self.good.len(), p50: at(50), p99: at(99) })
    }
}

/// Watches.
///
/// # Errors
/// Nothing can be asked: the host's trust store cannot be read.
pub(super) async fn watch(url: &str, watched: Span, voice: Voice) -> Result<Seen, String> {
    let cx = cx();
    let http = probe::by_kind("http").ok_or("there is no probe kind `http`")?;
    let opened = http.open(&json!({ "url": url }), &Expect::new(), None, &cx).map_err(|error| error.to_string())?;
    let total = watched.0.div_ceil(EVERY.0);
    let bar = bar(total, voice);
    let (mut seen, mut under_way) = (Seen::default(), JoinSet::new());
    let (first, mut hopeless) = (cx.clock.now(), false);
    for n in 0..total {
        let due = first + EVERY.times(n);
        cx.clock.sleep_until(due).await;
        while let Some(Ok(answer)) = under_way.try_join_next() {
            seen.take(answer, &opened);
        }
        hopeless = seen.good.is_empty() && !seen.bad.is_empty() && due.since(first) >= GIVE_UP;
        if hopeless {
            break;
        }
        bar.set_position(n);
        bar.set_message(format!("{} of {} good", seen.good.len(), seen.asked()));
        let (ask, cx) = (Arc::clone(&opened.ask), cx.clone());
        under_way.spawn(async move { (due, ask.ask(n, LIMIT, &cx).await.within(LIMIT)) });
    }
    // The last answers have their limit of time too, unless it is plain already that there is no good one.
    if !hopeless {
        while let Some(joined) = under_way.join_next().await {
            if let Ok(answer) = joined {
                seen.take(answer, &opened);
            }
        }
    }
    bar.finish_and_clear();
    Ok(seen)
}

fn cx() -> Cx {
    Cx {
        clock: Clock::start(),
        run: "init".into(),
        run_dir: Arc::new(std::env::temp_dir()),
        base_dir: Arc::new(".".into()),
        exe: Arc::new(own_exe()),
        secrets: Arc::new(IndexMap::new()),
        account: None,
        cancel: CancellationToken::new(),
    }
}

fn bar(total: u64, voice: Voice) -> ProgressBar {
    let target = if voice.live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("  {bar:30} {percent:>3} %   {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(good: usize, bad: &[(&str, usize)]) -> Seen {
        Seen {
            good: (1..=good).rev().map(|ms| Span::millis(ms as u64)).collect(),
            bad: bad.iter().map(|(why, times)| ((*why).to_owned(), *times)).collect(),
        }
    }

    #[test]
    fn percentiles_are_those_of_good_answers() {
        let observed = seen(200, &[("status 503", 3)]).observed("http://x/", Span::secs(20)).unwrap();
        assert_eq!((observed.asked, observed.good), (203, 200));
        assert_eq!((observed.p50, observed.p99), (Span::millis(100), Span::millis(198)));
        let one = seen(1, &[]).observed("http://x/", Span::secs(1)).unwrap();
        assert_eq!((one.p50, one.p99), (Span::millis(1), Span::millis(1)));
    }

    #[test]
    fn a_service_that_mostly_fails_is_refused_with_its_most_frequent_answer() {
        let why = seen(0, &[("refused", 2), ("status 404", 28)]).observed("http://x/", Span::secs(3)).unwrap_err();
        assert_eq!(why, "http://x/ gave no good answer to any of 30 requests: status 404 (28 times)");
        let why = seen(10, &[("status 503", 11)]).observed("http://x/", Span::secs(3)).unwrap_err();
        assert!(why.starts_with("http://x/ fails more often than not: 10 of 21"), "{why}");
        assert!(seen(11, &[("status 503", 11)]).observed("http://x/", Span::secs(3)).is_ok());
    }
}
