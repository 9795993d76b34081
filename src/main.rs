//! Parses arguments, calls the command line, exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("__exec") => firedrill::sys::shim::shim(arguments.collect()),
        Some("__proxy") => firedrill::fault::proxy::proxy_main(arguments.collect()),
        _ => ExitCode::from(2),
    }
}
