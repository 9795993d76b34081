//! Readings of the journal that both the live drill and the report use. It must never know plans or do I/O.

pub mod edges;
pub mod packed;
pub mod series;
pub mod steady;
pub mod thin;
pub mod turns;
