//! The scenario language: text to spanned nodes to types, with every problem of a file reported in one run. It is given text, a label and
//! what kinds are known; it must never know fault kinds, AWS or files.

pub mod check;
mod decode;
pub mod defaults;
pub mod diagnostic;
pub mod finding;
pub mod known;
pub mod matcher;
pub mod model;
pub mod moment;
pub mod node;
pub mod parse;
pub mod read;
mod rebase;
pub mod schema;
pub mod shape;
pub mod sources;
mod syntax;

pub use check::check;
pub mod team;
pub mod vars;
mod version;
mod workload;

pub use diagnostic::{Diagnostic, Source, render_all, summary};
pub use finding::{Finding, Severity};
pub use known::{Known, KnownKind};
pub use read::{Documents, Loader, Read, Recognise, read, read_alone};
pub use schema::{json_schema, plain_schema};
pub use version::version;
