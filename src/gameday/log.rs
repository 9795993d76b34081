//! What happened on a game day, beside what its drills wrote themselves: one line each, chained, so that a line that was changed or taken away is seen.

use serde::{Deserialize, Serialize};

use crate::base::line_sum;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happened {
    /// The day began.
    Started {
        /// Digest of its file.
        digest: String,
        /// By whom.
        by: String,
        /// Version of firedrill.
        firedrill: String,
    },
    /// A fresh process went on, after the one before was gone.
    Resumed {
        /// By whom.
        by: String,
    },
    /// A drill waits for somebody's go.
    Asked {
        /// The item, from 1.
        item: usize,
        /// Whose; nothing where anybody may say it.
        role: Option<String>,
    },
    /// Somebody said go.
    Go {
        /// The item.
        item: usize,
        /// Who.
        by: String,
    },
    /// Somebody said no-go.
    NoGo {
        /// The item.
        item: usize,
        /// Who.
        by: String,
        /// Why.
        why: Option<String>,
    },
    /// A drill was left out.
    Skipped {
        /// The item.
        item: usize,
        /// Why.
        why: String,
    },
    /// A drill, a break or the debrief began.
    Began {
        /// The item.
        item: usize,
    },
    /// It ended.
    Ended {
        /// The item.
        item: usize,
        /// The run of a drill, where it came to have one.
        run: Option<String>,
        /// The exit code of a drill.
        exit: Option<u8>,
        /// Who ended a break before its time.
        by: Option<String>,
    },
    /// The system of a drill was brought back.
    Reset {
        /// The item.
        item: usize,
        /// Why it could not be.
        failed: Option<String>,
    },
    /// The day ended before its agenda.
    Stopped {
        /// Why.
        why: String,
    },
    /// The agenda is done.
    Finished {},
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// From 0, without gaps.
    pub seq: u64,
    /// Wall time, RFC 3339: a label.
    pub wall: String,
    /// What.
    pub what: Happened,
    /// Checksum of this line and the one before.
    pub sum: String,
}

impl Noted {
    fn body(&self) -> String {
        format!("{}\n{}\n{}", self.seq, self.wall, serde_json::to_string(&self.what).unwrap_or_default())
    }
}

/// A log as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// Its lines.
    pub lines: Vec<Noted>,
    /// How many bytes of the text these are: what follows is a torn tail.
    pub whole: usize,
}

impl Log {
    /// Reads a log. A last line that is not whole is left out: whoever wrote it died.
    ///
    /// # Errors
    /// The number, from 1, of a line that does not continue the one before it.
    pub fn parse(text: &str) -> Result<Log, usize> {
        let mut log = Log::default();
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            let read: Option<Noted> = line.strip_suffix('\n').and_then(|line| serde_json::from_str(line).ok());
            let fits = |noted: &Noted| noted.seq == log.lines.len() as u64 && line_sum(log.sum(), &noted.body()) == noted.sum;
            match read.filter(fits) {
                Some(noted) => log.lines.push(noted),
                None if log.whole + line.len() == text.len() && !line.ends_with('\n') => return Ok(log),
                None => return Err(number),
            }
            log.whole += line.len();
        }
        Ok(log)
    }

    fn sum(&self) -> &str {
        self.lines.last().map_or("", |noted| noted.sum.as_str())
    }

    /// The line for what happened now, with its line end, taken into the log.
    pub fn note(&mut self, wall: String, what: Happened) -> String {
        let mut noted = Noted { seq: self.lines.len() as u64, wall, what, sum: String::new() };
        noted.sum = line_sum(self.sum(), &noted.body());
        let line = serde_json::to_string(&noted).unwrap_or_default() + "\n";
        self.lines.push(noted);
        self.whole += line.len();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> String {
        let mut log = Log::default();
        let started = Happened::Started { digest: "sha256:00".into(), by: "alice".into(), firedrill: "1".into() };
        let all = [started, Happened::Began { item: 1 }, Happened::NoGo { item: 2, by: "bob".into(), why: None }, Happened::Finished {}];
        all.into_iter().map(|what| log.note("2026-12-03T09:00:00Z".into(), what)).collect()
    }

    #[test]
    fn a_torn_tail_is_left_out_and_damage_is_named() {
        let text = written();
        assert_eq!(Log::parse(&text).unwrap().lines.len(), 4);
        let last = text.trim_end().rfind('\n').unwrap() + 1;
        for cut in last..text.len() - 1 {
            let log = Log::parse(&text[..cut]).unwrap();
            assert_eq!((log.lines.len(), log.whole), (3, last), "{cut}");
        }
        assert_eq!(Log::parse(&text.replace("alice", "carol")), Err(1));
        let without: String = text.split_inclusive('\n').enumerate().filter(|(n, _)| *n != 1).map(|(_, line)| line).collect();
        assert_eq!(Log::parse(&without), Err(2));
    }
}
