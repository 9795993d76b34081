//! Reading a ledger back: before the drill, that no key of this run is there yet; after it, what has survived.

use std::collections::BTreeMap;

use super::by_kind;
use super::kind::{ReadBack, Reader};
use super::ledger::{is_of_another_run, number_of_key};
use crate::base::{At, Span};
use crate::event::Event;
use crate::plan::ProbePlan;
use crate::sys::Cx;

/// Most full reads of one reader.
const READS: usize = 10;
/// Longest time that reading one reader may take.
const LIMIT: Span = Span::secs(10);
/// Longest time of one read.
const ONE_READ: Span = Span::secs(5);
/// Between two reads.
const PAUSE: Span = Span::millis(250);

fn read_back_of(id: &str, probe: &ProbePlan, cx: &Cx) -> Result<ReadBack, String> {
    let kind = by_kind(&probe.kind).ok_or_else(|| format!("there is no probe kind `{}`", probe.kind));
    kind.and_then(|kind| kind.read_back(&probe.spec, cx)).map_err(|error| format!("read the spec of ledger {id}: {error}"))
}

/// Before the drill: no reader may list a key of this run yet. What was started a moment ago may need a while until it can be read: it is asked again for
/// at most ten seconds.
///
/// # Errors
/// A reader lists one already, or cannot be read; reads after "failed to".
pub async fn check_ledger_empty(id: &str, probe: &ProbePlan, cx: &Cx) -> Result<(), String> {
    let spec = read_back_of(id, probe, cx)?;
    let ours = format!("{}-", cx.run.to_ascii_lowercase());
    for reader in &spec.readers {
        let name = &reader.name;
        let keys = read_patiently(reader, cx).await.map_err(|why| format!("read ledger {id} at {name}: {why}"))?;
        let there = keys.keys().filter(|key| key.starts_with(&ours)).count();
        if there > 0 {
            return Err(format!("start ledger {id} empty: {name} already lists {there} keys of this run"));
        }
    }
    Ok(())
}

async fn read_patiently(reader: &Reader, cx: &Cx) -> Result<BTreeMap<String, u64>, String> {
    let end = cx.clock.now() + LIMIT;
    loop {
        let read = reader.source.keys(ONE_READ, cx).await;
        if read.is_ok() || cx.cancel.is_cancelled() || end.since(cx.clock.now()) <= PAUSE {
            return read;
        }
        pause_before(end, cx).await;
    }
}

/// After the drill: what each reader has of the `written` writes, read until two successive full reads agree. One
/// [`Event::LedgerRead`] a reader, in the scenario's order.
pub async fn read_ledger(id: &str, probe: &ProbePlan, written: u64, cx: &Cx) -> Vec<Event> {
    let failed = |error: String| Event::LedgerRead {
        ledger: id.to_owned(),
        reader: "none".to_owned(),
        authority: true,
        settled: false,
        found: Vec::new(),
        duplicated: Vec::new(),
        unexpected: 0,
        appeared: Vec::new(),
        error: Some(error),
    };
    let spec = match read_back_of(id, probe, cx) {
        Ok(spec) => spec,
        Err(error) => return vec![failed(error)],
    };
    let mut reading = Vec::new();
    for reader in spec.readers {
        let (id, writer, cx) = (id.to_owned(), spec.writer.clone(), cx.clone());
        reading.push(tokio::spawn(async move { settle(&id, &reader, &writer, written, &cx).await }));
    }
    let mut events = Vec::new();
    for task in reading {
        events.push(task.await.unwrap_or_else(|error| failed(format!("read: {error}"))));
    }
    events
}

/// Reads one reader until two successive reads agree, or the limits are reached.
async fn settle(id: &str, reader: &Reader, writer: &str, written: u64, cx: &Cx) -> Event {
    let end = cx.clock.now() + LIMIT;
    let (mut previous, mut best): (Option<BTreeMap<String, u64>>, _) = (None, None);
    let mut first: Option<BTreeMap<String, u64>> = None;
    let (mut settled, mut error) = (false, None);
    for turn in 0..READS {
        if turn > 0 {
            pause_before(end, cx).await;
        }
        let left = end.since(cx.clock.now());
        if left == Span::ZERO || cx.cancel.is_cancelled() {
            break;
        }
        let one = tokio::select! {
            one = reader.source.keys(left.min(ONE_READ), cx) => one,
            () = cx.cancel.cancelled() => break,
        };
        match one {
            Ok(keys) => {
                settled = previous.as_ref() == Some(&keys);
                first.get_or_insert_with(|| keys.clone());
                best = Some(keys.clone());
                previous = Some(keys);
            }
            // A read that failed is no read: the ones around it are not successive.
            Err(why) => {
                error = Some(why);
                previous = None;
            }
        }
        if settled {
            break;
        }
    }
    let error = if best.is_some() { None } else { error.or_else(|| Some("read it: cancelled".to_owned())) };
    let (first, best) = (first.unwrap_or_default(), best.unwrap_or_default());
    let sorted = sort(&best, &cx.run, writer, written);
    let later: BTreeMap<String, u64> = best.into_iter().filter(|(key, _)| !first.contains_key(key)).collect();
    Event::LedgerRead {
        ledger: id.to_owned(),
        reader: reader.name.clone(),
        authority: reader.judges,
        settled,
        found: sorted.found,
        duplicated: sorted.duplicated,
        unexpected: sorted.unexpected,
        appeared: sort(&later, &cx.run, writer, written).found,
        error,
    }
}

async fn pause_before(end: At, cx: &Cx) {
    let pause = PAUSE.min(end.since(cx.clock.now()));
    tokio::select! {
        () = crate::sys::clock::sleep(pause) => {}
        () = cx.cancel.cancelled() => {}
    }
}

/// Keys as write numbers.
#[derive(Debug, PartialEq, Eq)]
struct Sorted {
    found: Vec<(u64, u64)>,
    duplicated: Vec<u64>,
    unexpected: u64,
}

/// Sorts keys: numbers of this run's writes as inclusive ranges, those listed more than once, and how many keys nobody wrote. Keys of other
/// runs in the same store are neither.
fn sort(keys: &BTreeMap<String, u64>, run: &str, writer: &str, written: u64) -> Sorted {
    let (mut numbers, mut duplicated, mut unexpected) = (Vec::new(), Vec::new(), 0);
    for (key, times) in keys {
        match number_of_key(key, run, writer) {
            Some(n) if n < written => {
                numbers.push(n);
                if *times > 1 {
                    duplicated.push(n);
                }
            }
            _ if is_of_another_run(key, run) => {}
            _ => unexpected += 1,
        }
    }
    numbers.sort_unstable();
    duplicated.sort_unstable();
    let mut found: Vec<(u64, u64)> = Vec::new();
    for n in numbers {
        match found.last_mut() {
            Some((_, hi)) if *hi + 1 == n => *hi = n,
            _ => found.push((n, n)),
        }
    }
    Sorted { found, duplicated, unexpected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::{cx, probe, reply, serve};
    use serde_json::{Value, json};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const RUN: &str = "01jd0000000000000000000000";

    fn ledger(readers: Value) -> ProbePlan {
        probe("ledger.http", json!({"write": {"url": "http://127.0.0.1:1/${key}"}, "readers": readers}), 10.0, Span::secs(1))
    }

    #[test]
    fn lost_duplicate_and_foreign_keys() {
        let mut keys = BTreeMap::new();
        for (n, times) in [(0, 1), (1, 1), (2, 2), (5, 1), (10, 1), (11, 3), (12, 1)] {
            keys.insert(format!("{RUN}-w1-{n}"), times);
        }
        keys.insert("order-17".into(), 1);
        keys.insert(format!("{RUN}-w9-3"), 1);
        keys.insert("01jc0000000000000000000000-w1-3".into(), 1);
        let sorted = sort(&keys, RUN, "w1", 12);
        assert_eq!(sorted.found, [(0, 2), (5, 5), (10, 11)]);
        assert_eq!(sorted.duplicated, [2, 11]);
        assert_eq!(sorted.unexpected, 3, "a number never written, another writer, a stranger; not an earlier run");
    }

    #[tokio::test]
    async fn reading_goes_on_until_two_reads_agree() {
        let reads = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reads);
        let url = serve(move |_| {
            let turn = count.fetch_add(1, Ordering::SeqCst);
            let ids: Vec<String> = (0..=turn.min(2)).map(|n| format!("{RUN}-w1-{n}")).collect();
            reply("200 OK", "", &json!({ "ids": ids }).to_string())
        })
        .await;
        let events = read_ledger("orders", &ledger(json!([{"url": url, "ids": "$.ids[*]"}])), 3, &cx()).await;
        let [Event::LedgerRead { ledger, authority: true, settled: true, found, duplicated, unexpected: 0, error: None, .. }] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((ledger.as_str(), found.as_slice(), duplicated.len()), ("orders", &[(0, 2)][..], 0));
        assert_eq!(reads.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn readers_are_told_apart_and_a_dead_one_says_so() {
        let full = serve(|_| reply("200 OK", "", &json!({"ids": [format!("{RUN}-w1-0"), format!("{RUN}-w1-1")]}).to_string())).await;
        let part = serve(|_| reply("200 OK", "", &json!({"ids": [format!("{RUN}-w1-0")]}).to_string())).await;
        let readers = json!([
            {"url": full, "ids": "$.ids[*]", "authority": true},
            {"url": part, "ids": "$.ids[*]"},
        ]);
        let events = read_ledger("orders", &ledger(readers), 2, &cx()).await;
        let founds: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::LedgerRead { found, authority, settled, .. } => (found.clone(), *authority, *settled),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(founds, [(vec![(0, 1)], true, true), (vec![(0, 0)], false, true)]);
    }

    #[tokio::test]
    async fn a_read_that_fails_between_two_is_not_counted() {
        let reads = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reads);
        let url = serve(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            1 => reply("503 Down", "", ""),
            _ => reply("200 OK", "", &json!({"ids": [format!("{RUN}-w1-0")]}).to_string()),
        })
        .await;
        let events = read_ledger("orders", &ledger(json!([{"url": url, "ids": "$.ids[*]"}])), 2, &cx()).await;
        let [Event::LedgerRead { settled: true, error: None, found, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!((found.as_slice(), reads.load(Ordering::SeqCst)), (&[(0, 0)][..], 4));
    }

    #[tokio::test]
    async fn cancelling_ends_a_hopeless_read_back() {
        let cx = cx();
        let cancel = cx.cancel.clone();
        tokio::spawn(async move {
            crate::sys::clock::sleep(Span::millis(100)).await;
            cancel.cancel();
        });
        let url = serve(|_| reply("200 OK", "", "{\"error\":\"maintenance\"}")).await;
        let events = read_ledger("orders", &ledger(json!([{"url": url, "ids": "$.ids[*]"}])), 2, &cx).await;
        let [Event::LedgerRead { settled: false, error: Some(why), found, .. }] = &events[..] else { panic!("{events:?}") };
        assert!(why.contains("$.ids") && found.is_empty(), "{why}");
    }

    #[tokio::test]
    async fn keys_of_this_run_may_not_be_there_yet() {
        let check = |ids: Value| async move {
            let url = serve(move |_| reply("200 OK", "", &json!({ "ids": ids }).to_string())).await;
            check_ledger_empty("orders", &ledger(json!([{"url": url, "ids": "$.ids[*]"}])), &cx()).await
        };
        assert_eq!(check(json!([])).await, Ok(()));
        assert_eq!(check(json!(["01jc0000000000000000000000-w1-1", "order-1"])).await, Ok(()));
        assert!(check(json!([format!("{RUN}-w2-1")])).await.unwrap_err().contains("already lists 1 keys"));
        let dead = ledger(json!([{"url": "http://127.0.0.1:1/", "ids": "$.ids[*]"}]));
        assert!(check_ledger_empty("orders", &dead, &cx()).await.unwrap_err().contains("refused"));
    }
}
