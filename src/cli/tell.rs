//! Reports a failure: on stderr, and as a JSON document if one is asked for.

use super::args::Output;
use super::failure::Failed;
use super::wrapping::To;
use super::{next, output};
use std::process::ExitCode;

impl Failed {
    /// Reports it on stderr, with `--output json` as a document on stdout, too, and returns the exit code.
    #[must_use]
    pub fn tell(self, form: Output) -> ExitCode {
        let label = console::style("error:").red().bold().for_stderr();
        let say = |text: String| eprintln!("{}", To::Stderr.fit(&text));
        say(format!("{label} {}", next::copyable(&self.message)));
        if let Some(hint) = &self.hint {
            let label = console::style("help:").cyan().bold().for_stderr();
            say(format!("{label} {}", next::copyable(hint)));
        }
        if form == Output::Json
            && let Err(failed) = output::document(&self.document())
        {
            say(format!("{label} {}", failed.message));
        }
        self.exit.into()
    }
}
