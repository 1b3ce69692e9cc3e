//! Reports a failure: on stderr, and as a JSON document if one is asked for.

use super::args::Output;
use super::failure::Failed;
use super::screen::Level;
use super::{output, screen};
use std::process::ExitCode;

impl Failed {
    /// Reports it on stderr, with `--output json` as a document on stdout, too, and returns the exit code.
    #[must_use]
    pub fn tell(self, form: Output) -> ExitCode {
        let label = console::style("error:").red().bold().for_stderr().to_string();
        let help = console::style("help:").cyan().bold().for_stderr().to_string();
        let hint = self.hint.as_deref().map(|hint| (help.as_str(), hint));
        screen::say_labelled(Level::Error, &label, &self.message, hint);
        if form == Output::Json
            && let Err(failed) = output::document(&self.document())
        {
            screen::say_labelled(Level::Error, &label, &failed.message, None);
        }
        self.exit.into()
    }
}
