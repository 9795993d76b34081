//! Removing what a ledger wrote: owed like a fault, and done from its spec alone, by whichever process undoes. Removed means that somebody looked, twice,
//! wherever it was written or is read back, and found nothing of it.

use super::by_kind;
use super::kind::{CleanUp, Typed};
use super::ledger::keys_of;
use crate::base::Span;
use crate::sys::{Cx, clock};

/// How long one attempt goes on while nobody lets it remove anything: a system that was just made whole may need that long to take writes.
const LIMIT: Span = Span::secs(10);
/// Longest time of one request.
const ONE: Span = Span::secs(3);
/// Between two.
const PAUSE: Span = Span::millis(250);

/// The keys of one writer of one run, and how they are removed.
pub struct Removal {
    keys: String,
    how: CleanUp,
}

/// How what a ledger writes is removed; none where it stays.
///
/// # Errors
/// There is no such kind, or its spec does not decode.
pub fn removal(kind: &str, spec: &serde_json::Value, cx: &Cx) -> Result<Option<Removal>, String> {
    let probe = by_kind(kind).ok_or_else(|| format!("find the probe kind {kind}"))?;
    let how = probe.clean_up(spec, cx).map_err(|error| format!("read the spec of {kind}: {error}"))?;
    Ok(how.map(|how| Removal { keys: keys_of(&cx.run, &how.writer), how }))
}

impl Removal {
    /// What the keys begin with.
    pub fn keys(&self) -> &str {
        &self.keys
    }

    /// Where they may be.
    pub fn places(&self) -> Vec<&str> {
        self.how.sources.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// What a person types, one command a place.
    pub fn by_hand(&self, cx: &Cx) -> Vec<Typed> {
        self.how.removers.iter().map(|(_, remover)| remover.by_hand(&self.keys, cx)).collect()
    }

    /// Removes them wherever that is possible. It is enough when one place agrees: the others may only be read, and follow it.
    ///
    /// # Errors
    /// No place agreed in time; reads after "failed to".
    pub async fn remove(&self, cx: &Cx) -> Result<(), String> {
        let end = cx.clock.now() + LIMIT;
        loop {
            let mut refused = Vec::new();
            for (name, remover) in &self.how.removers {
                let done = tokio::time::timeout(ONE.std(), remover.remove(&self.keys, ONE, cx)).await;
                if let Err(why) = done.unwrap_or_else(|_| Err(format!("no answer within {}", ONE.human()))) {
                    refused.push(format!("{name}: {why}"));
                }
            }
            if refused.len() < self.how.removers.len() {
                return Ok(());
            }
            if end.since(cx.clock.now()) <= PAUSE {
                return Err(format!("remove the keys {}…: {}", self.keys, refused.join("; ")));
            }
            clock::sleep(PAUSE).await;
        }
    }

    /// Whether none is left anywhere, by two looks: a write that was under way when its writer died may have come after the first.
    ///
    /// # Errors
    /// A place cannot be looked at; reads after "failed to".
    pub async fn is_done(&self, cx: &Cx) -> Result<bool, String> {
        if self.is_left(cx).await? {
            return Ok(false);
        }
        clock::sleep(PAUSE).await;
        Ok(!self.is_left(cx).await?)
    }

    async fn is_left(&self, cx: &Cx) -> Result<bool, String> {
        for (name, source) in &self.how.sources {
            let keys = source.keys(ONE, cx).await.map_err(|why| format!("see what is left of the keys {}… at {name}: {why}", self.keys))?;
            if keys.keys().any(|key| key.starts_with(&self.keys)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::{cx, reply, serve};
    use serde_json::{Value, json};
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    const RUN: &str = "01jd0000000000000000000000";

    /// A store that lists its keys and removes those that begin with what the path names.
    async fn store(keys: &[String]) -> (String, Arc<Mutex<BTreeSet<String>>>) {
        let kept: Arc<Mutex<BTreeSet<String>>> = Arc::new(Mutex::new(keys.iter().cloned().collect()));
        let held = Arc::clone(&kept);
        let url = serve(move |request| {
            let mut held = held.lock().unwrap();
            match request.split(' ').collect::<Vec<_>>()[..] {
                ["DELETE", path, ..] if request.contains("x-token: word") => {
                    held.retain(|key| !key.starts_with(path.trim_start_matches("/l/")));
                    reply("204 No Content", "", "")
                }
                ["DELETE", ..] => reply("403 Forbidden", "", ""),
                _ => reply("200 OK", "", &json!({ "ids": *held }).to_string()),
            }
        })
        .await;
        (url, kept)
    }

    fn spec(url: &str, token: &str) -> Value {
        json!({
            "write": {"method": "POST", "url": format!("{url}${{key}}")},
            "readers": [{"url": url, "ids": "$.ids[*]"}],
            "clean_up": {"method": "DELETE", "url": format!("{url}l/${{key.prefix}}"), "headers": {"x-token": token}},
        })
    }

    #[tokio::test]
    async fn the_keys_of_one_writer_go_and_nothing_else() {
        let ours: Vec<String> = (0..3).map(|n| format!("{RUN}-w1-{n}")).collect();
        let others = [format!("{RUN}-w10-1"), "01jc0000000000000000000000-w1-1".to_owned(), "order-7".to_owned()];
        let (url, kept) = store(&[&ours[..], &others[..]].concat()).await;
        let cx = cx();
        let removal = removal("ledger.http", &spec(&url, "word"), &cx).unwrap().unwrap();
        assert_eq!(removal.is_done(&cx).await, Ok(false));
        removal.remove(&cx).await.unwrap();
        assert_eq!(removal.is_done(&cx).await, Ok(true));
        removal.remove(&cx).await.unwrap();
        assert_eq!(kept.lock().unwrap().iter().cloned().collect::<BTreeSet<_>>(), others.into_iter().collect());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_refuses_or_is_gone_is_told_without_its_secrets() {
        let gone = spec("http://127.0.0.1:1/", "${secret:path}");
        let cx = cx();
        let removal = removal("ledger.http", &gone, &cx).unwrap().unwrap();
        let told = [removal.remove(&cx).await.unwrap_err(), removal.is_done(&cx).await.unwrap_err()];
        assert!(told.iter().all(|why| why.contains("refused") && why.contains(&format!("{RUN}-w1-"))), "{told:?}");
        let typed = &removal.by_hand(&cx)[0];
        assert!(typed.argv.contains(&"x-token: ${secret:path}".to_owned()), "{typed:?}");
    }

    #[tokio::test]
    async fn what_nobody_removes_is_no_removal() {
        let mut spec = spec("http://127.0.0.1:1/", "word");
        spec.as_object_mut().unwrap().shift_remove("clean_up");
        assert!(removal("ledger.http", &spec, &cx()).unwrap().is_none());
        let server = json!({"address": "127.0.0.1:1", "user": "app"});
        let kept = json!({"write": server, "readers": [{"server": server}], "keep": true});
        assert!(removal("ledger.postgres", &kept, &cx()).unwrap().is_none());
        assert!(removal("http", &json!({"url": "http://h/"}), &cx()).unwrap().is_none());
    }

    #[test]
    fn a_server_that_is_written_and_read_is_asked_once() {
        let (a, b) = (json!({"address": "a:1"}), json!({"address": "b:1"}));
        let spec = json!({"write": a, "readers": [{"server": a}, {"server": b, "authority": true}]});
        let cx = cx();
        let removal = removal("ledger.redis", &spec, &cx).unwrap().unwrap();
        assert_eq!((removal.places(), removal.by_hand(&cx).len()), (vec!["a:1", "b:1"], 2));
    }
}
