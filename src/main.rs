//! The command line. All that it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dynasplit::cli::main()
}
