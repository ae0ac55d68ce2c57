//! Lines for whoever watches: steps on standard error, results on standard output.
//!
//! Nobody needs to. std's own macros end the program when a line cannot be written, in the middle of a change too: where
//! the ssh connection of `updatenode` is gone, a pager was left, or a log is on a full disk.

/// Prints a line on standard error, if anybody reads it.
macro_rules! error_line {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = std::io::stderr().write_all(format!("{}\n", format_args!($($text)*)).as_bytes());
    }};
}

/// Prints a line on standard output, if anybody reads it.
macro_rules! output_line {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = std::io::stdout().write_all(format!("{}\n", format_args!($($text)*)).as_bytes());
    }};
}
