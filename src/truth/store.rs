//! What was written to the truth server. Pure.

/// Keys in the order in which they came, each with whether its write was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Store {
    keys: Vec<(String, bool)>,
}

impl Store {
    pub(super) fn keep(&mut self, key: &str, acknowledged: bool) {
        self.keys.push((key.to_owned(), acknowledged));
    }

    /// Forgets the last so many acknowledged writes, and says which; in the order in which they came.
    pub(super) fn lose(&mut self, count: usize) -> Vec<String> {
        let mut lost = Vec::new();
        for index in (0..self.keys.len()).rev() {
            if lost.len() == count {
                break;
            }
            if self.keys[index].1 {
                lost.push(self.keys.remove(index).0);
            }
        }
        lost.reverse();
        lost
    }

    /// Removes the keys that begin with this.
    pub(super) fn remove(&mut self, prefix: &str) {
        self.keys.retain(|(key, _)| !key.starts_with(prefix));
    }

    /// All keys but the last `behind`.
    pub(super) fn keys(&self, behind: usize) -> Vec<&str> {
        self.keys.iter().take(self.keys.len().saturating_sub(behind)).map(|(key, _)| key.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_acknowledged_writes_are_lost_and_the_last_first() {
        let mut store = Store::default();
        for (key, acknowledged) in [("a", true), ("b", true), ("c", false), ("d", true)] {
            store.keep(key, acknowledged);
        }
        assert_eq!(store.keys(1), ["a", "b", "c"]);
        assert_eq!(store.lose(2), ["b", "d"]);
        assert_eq!(store.keys(0), ["a", "c"]);
        assert_eq!(store.lose(9), ["a"]);
        assert!(store.keys(9).is_empty());
        store.keep("b-1", true);
        store.remove("b-");
        assert_eq!(store.keys(0), ["c"]);
    }
}
