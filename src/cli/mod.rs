//! The command line: arguments, words and exit codes.
