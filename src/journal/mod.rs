//! The journal: append-only lines, checksummed, fsynced where an undo depends on it. It must never know what events mean.

mod armed;

pub use armed::Armed;
