//! `completions` and `man`: what a package installs beside the binary.

use super::args::{Args, Completions, Man};
use super::exit::Exit;
use super::failure::Failed;
use super::{output, screen};
use clap::{Command, CommandFactory};
use std::path::Path;

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
    let mut program = Args::command().disable_help_subcommand(true);
    program.build();
    pages(&program, folder).map_err(failed)?;
    screen::say(&format!(
        "wrote the manual pages to {}. Read one with: man {}",
        folder.display(),
        folder.join("dynasplit-plan.1").display()
    ));
    Ok(Exit::Done)
}

/// Writes the page of a command, and those of its own commands.
fn pages(command: &Command, folder: &Path) -> std::io::Result<()> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        pages(command, folder)?;
    }
    // Without a date, the version would stand in its place.
    let page = clap_mangen::Man::new(command.clone())
        .date(" ")
        .source(concat!("dynasplit ", env!("CARGO_PKG_VERSION")))
        .manual("dynasplit");
    page.generate_to(folder).map(drop)
}
