//! The command line. All that it does is in the library.

fn main() {}
