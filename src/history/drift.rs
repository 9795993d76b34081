//! Whether something gets longer or shorter over many runs, from intervals: two runs whose intervals overlap say nothing of each other.

/// What pairs of an earlier and a later run say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Pairs in which the later one is surely more.
    pub more: u64,
    /// Pairs in which it is surely less.
    pub less: u64,
    /// All pairs.
    pub pairs: u64,
    /// How often chance alone would make such a difference between the two, at most (Mann and Kendall's test, two-sided).
    pub chance: f64,
}

/// With fewer runs chance makes anything.
const FEWEST: usize = 8;

/// Looks at every pair of these intervals, in order of time. An interval without an end reaches as far as one likes. `None` for fewer than eight.
pub fn drift(runs: &[(f64, Option<f64>)]) -> Option<Drift> {
    if runs.len() < FEWEST {
        return None;
    }
    let (mut more, mut less) = (0_u64, 0_u64);
    for (n, earlier) in runs.iter().enumerate() {
        for later in &runs[n + 1..] {
            more += u64::from(earlier.1.is_some_and(|hi| later.0 > hi));
            less += u64::from(later.1.is_some_and(|hi| hi < earlier.0));
        }
    }
    let n = runs.len() as f64;
    // Without a correction for ties, which would make it smaller: rather too careful than too sure.
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let z = (more.abs_diff(less) as f64 - 1.0).max(0.0) / deviation;
    let pairs = (runs.len() * (runs.len() - 1) / 2) as u64;
    Some(Drift { more, less, pairs, chance: both_tails(z) })
}

/// The chance that a normal deviate lies further out than this, on either side (Abramowitz and Stegun 7.1.26; good to 2e-7).
fn both_tails(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let terms = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t) * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_known() {
        for (z, tails) in [(0.0, 1.0), (1.0, 0.317_310_5), (1.959_964, 0.05), (2.575_829, 0.01)] {
            assert!((both_tails(z) - tails).abs() < 1e-6, "{z}: {}", both_tails(z));
        }
    }

    #[test]
    fn only_what_is_sure_counts() {
        let exact = |values: &[f64]| values.iter().map(|v| (*v, Some(*v))).collect::<Vec<_>>();
        let rising = drift(&exact(&[1., 2., 3., 4., 5., 6., 7., 8.])).unwrap();
        assert_eq!((rising.more, rising.less, rising.pairs), (28, 0, 28));
        assert!(rising.chance < 0.001, "{rising:?}");
        let same: Vec<(f64, Option<f64>)> = (0..20).map(|n| (f64::from(n), Some(f64::from(n) + 100.0))).collect();
        let none = drift(&same).unwrap();
        assert_eq!((none.more, none.less), (0, 0));
        assert!(none.chance > 0.99);
        let open: Vec<(f64, Option<f64>)> = (0..20).map(|n| (f64::from(n), None)).collect();
        assert_eq!(drift(&open).unwrap().more, 0, "what has no end may be anything from its beginning on");
        assert_eq!(drift(&exact(&[1.0; 7])), None);
    }
}
