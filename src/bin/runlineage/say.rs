//! What is said on stderr, beside the results.

/// Says a line on stderr; where that cannot be written, nobody is there to be told, and the command goes on.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($line)*);
    }};
}

pub(crate) use say;
