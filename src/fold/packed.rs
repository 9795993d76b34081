//! Distributions of durations, and how they stand in a journal.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::base::Span;
use crate::event::Packed;

/// What is told apart below the significant digits, in nanoseconds.
const FINEST: u64 = 1_000;
/// An hour in nanoseconds: longer than any time-out.
const LONGEST: u64 = 3_600_000_000_000;

/// Durations with three significant digits from half a millisecond on, and to half a microsecond below. It starts small and grows with what is
/// recorded: a report holds several for each probe and phase.
pub fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(FINEST, 2 * FINEST, 3).unwrap_or_else(|_| unreachable!("the bounds are allowed"));
    histogram.auto(true);
    histogram
}

/// The same with two significant digits, for what is the prober's own.
pub fn coarse() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(FINEST, 2 * FINEST, 2).unwrap_or_else(|_| unreachable!("the bounds are allowed"));
    histogram.auto(true);
    histogram
}

/// Counts a duration in.
pub fn record(into: &mut Histogram<u64>, took: Span) {
    // Within these bounds a histogram that grows takes everything.
    let _ = into.record(took.0.clamp(1, LONGEST));
}

/// As it stands in a journal.
pub fn pack(histogram: &Histogram<u64>) -> Packed {
    let mut bytes = Vec::new();
    // Writing into memory does not fail.
    let _ = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
    Packed(bytes.into())
}

/// Read back; a damaged one is empty, and what it counted is missing.
pub fn unpack(packed: &Packed) -> Histogram<u64> {
    Deserializer::new().deserialize(&mut &*packed.0).unwrap_or_else(|_| histogram())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_damaged_is_empty() {
        for text in ["", "AAAA", "%%%", "HISTFAAAABB42pNpmSzMwMDAxQABzFCaEUoz2X+AsQA/awK4"] {
            let packed: Packed = serde_json::from_value(text.into()).unwrap();
            assert_eq!(unpack(&packed).len(), 0, "{text}");
        }
    }

    proptest! {
        #[test]
        fn packing_loses_nothing(values in prop::collection::vec(0u64..10_000_000_000_000, 0..200)) {
            let mut one = histogram();
            values.iter().for_each(|value| record(&mut one, Span(*value)));
            let back = unpack(&pack(&one));
            prop_assert_eq!(back.len(), one.len());
            let mut sum = histogram();
            sum.add(&back).unwrap();
            for q in [0.0, 0.5, 0.9, 0.99, 1.0] {
                prop_assert_eq!(sum.value_at_quantile(q), one.value_at_quantile(q));
            }
        }
    }
}
