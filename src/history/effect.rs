//! How far apart two runs lie: the difference of two intervals, and how often a request of the one is slower than one of the other.

/// What two intervals tell of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The second is surely more.
    More,
    /// The second is surely less.
    Less,
    /// They overlap: it may be either.
    Open,
}

/// The second less the first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// At least; absent where the first has no end.
    pub lo: Option<f64>,
    /// At most; absent where the second has none.
    pub hi: Option<f64>,
    /// What is sure.
    pub told: Told,
}

/// Subtracts interval `a` from interval `b`: every value that fits both.
pub fn difference(a: (f64, Option<f64>), b: (f64, Option<f64>)) -> Difference {
    let (lo, hi) = (a.1.map(|hi| b.0 - hi), b.1.map(|hi| hi - a.0));
    let told = match (lo, hi) {
        (Some(lo), _) if lo > 0.0 => Told::More,
        (_, Some(hi)) if hi < 0.0 => Told::Less,
        _ => Told::Open,
    };
    Difference { lo, hi, told }
}

/// How often a value drawn from `b` is larger than one drawn from `a`, ties counted half: 0.5 is no difference (the probability of superiority). Both are
/// counts by bucket, each with its upper bound, in order. `None` without values.
pub fn slower(a: &[(u64, u64)], b: &[(u64, u64)]) -> Option<f64> {
    let total = |all: &[(u64, u64)]| all.iter().map(|(_, count)| *count as f64).sum::<f64>();
    let (of_a, of_b) = (total(a), total(b));
    if of_a == 0.0 || of_b == 0.0 {
        return None;
    }
    let mut below = 0.0;
    let mut left = a.iter().peekable();
    let mut sum = 0.0;
    for (bound, count) in b {
        while let Some((_, fewer)) = left.next_if(|(other, _)| other < bound) {
            below += *fewer as f64;
        }
        let tied = left.peek().filter(|(other, _)| other == bound).map_or(0.0, |(_, count)| *count as f64);
        sum += *count as f64 * (below + tied / 2.0);
    }
    Some(sum / (of_a * of_b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_open() {
        let d = difference((1.0, Some(2.0)), (5.0, Some(7.0)));
        assert_eq!((d.lo, d.hi, d.told), (Some(3.0), Some(6.0), Told::More));
        assert_eq!(difference((5.0, Some(7.0)), (1.0, Some(2.0))).told, Told::Less);
        assert_eq!(difference((1.0, Some(5.0)), (4.0, None)).told, Told::Open);
        assert_eq!(difference((1.0, Some(3.0)), (4.0, None)).told, Told::More);
        assert_eq!(difference((1.0, None), (4.0, Some(5.0))).told, Told::Open);
    }

    #[test]
    fn the_probability_of_superiority() {
        assert_eq!(slower(&[(1, 10)], &[(2, 5)]), Some(1.0));
        assert_eq!(slower(&[(2, 10)], &[(1, 5)]), Some(0.0));
        assert_eq!(slower(&[(1, 3), (2, 4)], &[(1, 3), (2, 4)]), Some(0.5));
        assert_eq!(slower(&[(1, 1), (3, 1)], &[(2, 1)]), Some(0.5));
        assert_eq!(slower(&[], &[(2, 1)]), None);
    }
}
