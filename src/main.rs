//! The command line. All that it does is in the library.

use std::process::ExitCode;

/// To copy items is to allocate and to free: with the system's allocator, a copy took about a tenth more CPU, and left more
/// memory behind.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dynasplit::cli::main()
}
