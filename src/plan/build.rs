//! From what was written to what will happen.

use crate::base::Rate;

/// The rate of a probe kind that is given none.
pub fn default_rate(kind: &str) -> Rate {
    let hz = if kind == "command" { 1.0 } else { 20.0 };
    Rate::per_second(hz).unwrap_or_else(|| unreachable!("a constant above zero"))
}

/// To come.
pub fn build() {}
