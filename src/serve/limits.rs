//! How often somebody may call: buckets that fill again at a steady pace.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::base::At;

/// Callers that are told apart.
const CALLERS: usize = 1_024;

/// So many calls at once, and so many a second after that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    per_second: u32,
    most: u32,
    left: f64,
    at: At,
}

impl Bucket {
    /// A full one.
    pub fn new(per_second: u32, most: u32) -> Bucket {
        Bucket { per_second, most, left: f64::from(most), at: At(0) }
    }

    /// Whether one more may come now.
    pub fn has_room(&mut self, now: At) -> bool {
        let seconds = now.since(self.at).0 as f64 / 1e9;
        self.left = (self.left + seconds * f64::from(self.per_second)).min(f64::from(self.most));
        self.at = self.at.max(now);
        self.left >= 1.0
    }

    /// One came.
    pub fn take(&mut self) {
        self.left = (self.left - 1.0).max(0.0);
    }

    /// Takes one, if it may come now.
    pub fn admits(&mut self, now: At) -> bool {
        let room = self.has_room(now);
        if room {
            self.take();
        }
        room
    }

    fn is_full(&self) -> bool {
        self.left >= f64::from(self.most)
    }
}

/// A bucket for each caller's address.
#[derive(Debug)]
pub(super) struct Callers {
    like: Bucket,
    by: HashMap<IpAddr, Bucket>,
}

impl Callers {
    /// Everybody's is like this one.
    pub fn new(like: Bucket) -> Callers {
        Callers { like, by: HashMap::new() }
    }

    /// Whether somebody may call now. Where too many strangers call at the same time, new ones wait.
    pub fn admit(&mut self, who: IpAddr, now: At) -> bool {
        if !self.by.contains_key(&who) && self.by.len() >= CALLERS {
            self.by.retain(|_, bucket| {
                bucket.has_room(now);
                !bucket.is_full()
            });
            if self.by.len() >= CALLERS {
                return false;
            }
        }
        self.by.entry(who).or_insert(self.like).admits(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(n: u64) -> At {
        At(n * 1_000_000_000)
    }

    #[test]
    fn a_bucket_gives_what_it_has_and_fills_again() {
        let mut bucket = Bucket::new(2, 5);
        assert_eq!((0..10).filter(|_| bucket.admits(s(1))).count(), 5);
        assert_eq!((0..10).filter(|_| bucket.admits(s(2))).count(), 2);
        assert_eq!((0..10).filter(|_| bucket.admits(s(1))).count(), 0, "time does not go back");
        assert_eq!((0..10).filter(|_| bucket.admits(s(100))).count(), 5);
    }

    #[test]
    fn callers_do_not_take_from_each_other_and_are_bounded() {
        let mut callers = Callers::new(Bucket::new(1, 3));
        let who = |n: u32| IpAddr::from(n.to_be_bytes());
        assert_eq!((0..9).filter(|_| callers.admit(who(1), s(1))).count(), 3);
        assert!(callers.admit(who(2), s(1)));
        for n in 0..2_000 {
            callers.admit(who(n), s(1));
        }
        assert_eq!(callers.by.len(), CALLERS);
        assert!(!callers.admit(who(9_999), s(1)) && callers.admit(who(9_999), s(60)), "those who are quiet are forgotten");
    }
}
