//! Reading an entry. Most of a journal is batches of samples, and those are read straight into their rows.

use serde::Deserialize;

use super::{Entry, Event, Sample};
use crate::base::At;

/// What stands in each batch, and near its beginning.
const MARK: &str = r#""type":"samples""#;
/// Within so many bytes: two numbers of twenty digits and their names.
const NEAR: usize = 96;

#[derive(Deserialize)]
struct Bulk {
    seq: u64,
    at: At,
    event: Batch,
}

#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "type")]
    _type: Only,
    probe: String,
    rows: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Only {
    Samples,
}

impl Entry {
    /// Reads one, as its `Deserialize` does. That takes every event apart twice, since its type may stand last; a batch whose type stands where we
    /// write it needs that only once.
    ///
    /// # Errors
    /// It is not JSON, or no entry.
    pub fn parse(text: &str) -> serde_json::Result<Entry> {
        let head = text.as_bytes();
        let marked = head[..head.len().min(NEAR)].windows(MARK.len()).any(|part| part == MARK.as_bytes());
        match marked.then(|| serde_json::from_str::<Bulk>(text)) {
            Some(Ok(Bulk { seq, at, event: Batch { probe, rows, .. } })) => Ok(Entry { seq, at, event: Event::Samples { probe, rows } }),
            _ => serde_json::from_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whatever_it_is_it_reads_as_it_always_did() {
        let row = r#"[3,1,2,3,4,"bad","status",null,"status 503",[null,80,null,null]]"#;
        for text in [
            format!(r#"{{"seq":1,"at":9,"event":{{"type":"samples","probe":"web","rows":[{row},[4,1,2,3,4,"ok","ok",null,null]]}}}}"#),
            r#"{"seq":18446744073709551615,"at":18446744073709551615,"event":{"type":"samples","probe":"w","rows":[]}}"#.into(),
            r#"{"seq":1,"at":9,"event":{"probe":"web","rows":[],"type":"samples"}}"#.into(),
            r#"{"seq":1,"at":9,"event":{"type":"note","text":"\"type\":\"samples\"","probe":"web","rows":[]}}"#.into(),
            r#"{"seq":1,"at":9,"event":{"type":"samples","probe":"web"}}"#.into(),
            r#"{"seq":1,"at":9,"event":{"type":"samples","type":"samples","probe":"web","rows":[]}}"#.into(),
            r#"{"seq":1,"at":9,"event":{"type":"samples","probe":"web","rows":[[1]]}}"#.into(),
            r#"{"seq":1,"at":9,"event":{"type":"ledgers_read"}}"#.into(),
            "ä".repeat(60),
            String::new(),
        ] {
            let (parsed, read) = (Entry::parse(&text), serde_json::from_str::<Entry>(&text));
            assert_eq!(parsed.as_ref().ok(), read.as_ref().ok(), "{text}");
            assert_eq!(parsed.err().map(|error| error.to_string()), read.err().map(|error| error.to_string()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_batch_survives(seq: u64, at: u64, times: [u64; 5], probe in "[a-z]{1,60}", note in proptest::option::of(".{0,20}")) {
            let row = serde_json::json!([times[0], times[1], times[2], times[3], times[4], "ok", "ok", null, note]);
            let rows: Vec<Sample> = vec![serde_json::from_value(row).unwrap(); 2];
            let entry = Entry { seq, at: At(at), event: Event::Samples { probe, rows } };
            prop_assert_eq!(Entry::parse(&serde_json::to_string(&entry).unwrap()).unwrap(), entry);
        }
    }
}
