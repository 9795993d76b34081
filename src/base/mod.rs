//! Values everything else is said in: time, units, ids, digests.
//! This room depends on nothing and must never know what a drill is.

mod digest;
mod id;
mod problem;
mod text;
mod time;
mod units;

pub use digest::{Digest, digest_of, line_sum};
pub use id::{BadId, Id};
pub use problem::Problem;
pub use text::one_line;
pub use time::{At, ClockAnchor, Interval, Span};
pub use units::{BadUnit, Bytes, Percent, Rate};
