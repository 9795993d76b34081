//! Parses arguments, calls the command line, exits with its code.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|verb| verb != "__demo") {
        return ExitCode::from(2);
    }
    let Err(error) = firedrill::demo::run(args.collect()) else { return ExitCode::SUCCESS };
    let help = error.help().map_or_else(String::new, |help| format!("\n  = help: {help}"));
    // Nothing can be told when standard error is closed; the exit code still says it.
    let _closed = writeln!(std::io::stderr(), "error: failed to {error}{help}");
    ExitCode::from(11)
}
