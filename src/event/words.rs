//! Words that come again and again, held once.

use std::collections::HashSet;
use std::sync::Arc;

use super::Event;

/// Most different words that are held. A journal with more of them is odd, and keeps the rest one by one.
const MOST: usize = 4_096;

/// The words seen so far.
#[derive(Debug, Default)]
pub struct Words(HashSet<Arc<str>>);

impl Words {
    /// Lets the samples of an event share their words with those before: who answered, and why not, are the same few for millions of samples.
    pub fn share(&mut self, event: &mut Event) {
        if let Event::Samples { rows, .. } = event {
            rows.shrink_to_fit();
            for row in rows {
                for word in [&mut row.by, &mut row.note].into_iter().flatten() {
                    self.one(word);
                }
            }
        }
    }

    fn one(&mut self, word: &mut Arc<str>) {
        match self.0.get(word) {
            Some(known) => *word = Arc::clone(known),
            None if self.0.len() < MOST => drop(self.0.insert(Arc::clone(word))),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::At;
    use crate::event::{Class, Sample, Verdict};

    #[test]
    fn the_same_word_is_held_once() {
        let sample = |by: &str| {
            let at = At(0);
            let (verdict, class) = (Verdict::Ok, Class::Ok);
            Sample {
                n: 0,
                planned: at,
                woken: at,
                sent: at,
                done: at,
                verdict,
                class,
                by: Some(by.into()),
                note: None,
                legs: Default::default(),
            }
        };
        let mut words = Words::default();
        let mut event = Event::Samples { probe: "p".into(), rows: vec![sample("a"), sample("b"), sample("a")] };
        let before = event.clone();
        words.share(&mut event);
        assert_eq!(event, before);
        let Event::Samples { rows, .. } = event else { unreachable!() };
        let by = |i: usize| rows[i].by.clone().unwrap();
        assert!(Arc::ptr_eq(&by(0), &by(2)) && !Arc::ptr_eq(&by(0), &by(1)));
    }
}
