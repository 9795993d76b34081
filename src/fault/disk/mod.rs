//! Faults of file systems. This room must never know whose files stand beside its own.

mod fill;

pub use fill::DiskFill;
