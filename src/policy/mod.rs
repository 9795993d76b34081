//! The house rules of an organisation: what may be broken, where, how far, when, and with whose approval. Text to a checked policy with the
//! scenario language's own front end, and a pure decision over policy, plan, time and approvals. A policy tightens and never loosens: every
//! policy that applies must agree, and what cannot be decided is refused. This room must never know files, the clock or how a kind works.

mod account;
pub mod approval;
mod check;
mod demand;
mod glob;
pub mod judge;
pub mod model;
mod reach;
mod read;
mod when;

pub use account::opt_in_tags;
pub use approval::{Bound, Presented, Standing};
pub use judge::{Case, Decision, Ruling, Stage, Verdict, decide};
pub use model::Policy;
pub use reach::{Reach, reach_of};
pub use read::{Ruled, Zones, json_schema, read};
pub use when::Calendar;
