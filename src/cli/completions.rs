//! `completions` and `man`: what a package installs beside the binary.

use super::args::{Args, Completions, Man};
use super::exit::Exit;
use super::failure::Failed;
use super::{output, screen};
use clap::CommandFactory;

/// Prints the completions of a shell.
pub fn completions(args: &Completions) -> Result<Exit, Failed> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "dynasplit", &mut text);
    output::verbatim(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}

/// Writes one manual page for the program, and one for each command.
pub fn man(args: &Man) -> Result<Exit, Failed> {
    let folder = &args.folder;
    let failed = |error: std::io::Error| {
        Failed::of(
            Exit::Failed,
            format!(
                "the manual pages cannot be written to {}: {error}",
                folder.display()
            ),
        )
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Args::command(), folder).map_err(failed)?;
    screen::say(&format!(
        "wrote the manual pages to {}. Read one with: man {}",
        folder.display(),
        folder.join("dynasplit-plan.1").display()
    ));
    Ok(Exit::Done)
}
