//! The scenario language: text to spanned nodes to types, with every problem of a file reported in one run. It is given text, a label and
//! what kinds are known; it must never know fault kinds, AWS or files.

pub mod diagnostic;
pub mod check;
pub mod defaults;
pub mod finding;
pub mod known;
pub mod matcher;
pub mod model;
pub mod node;
pub mod parse;
mod syntax;
pub mod moment;

pub use check::check;
