//! What a process writes, in a file without a name: however much it tells, it never waits for a reader.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::process::Stdio;

/// What a process writes. It can be read while the process writes.
pub struct Output(File);

impl Output {
    /// An empty one.
    ///
    /// The reader and the writer share one place in the file, because the system shares it between copies of a handle. What is written
    /// is therefore appended: otherwise, words that are written during a look land where the look has got to, over older ones.
    pub fn new() -> io::Result<Self> {
        let file = tempfile::Builder::new().append(true).tempfile()?;
        Ok(Self(file.into_file()))
    }

    /// For the process that writes.
    pub fn writer(&self) -> io::Result<Stdio> {
        self.0.try_clone().map(Stdio::from)
    }

    /// All that was written until now.
    pub fn text(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.0.rewind()?;
        self.0.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[test]
fn what_is_written_during_a_look_stands_at_the_end() {
    use std::io::Write;
    let mut output = Output::new().expect("a temporary file");
    let mut writer = output.0.try_clone().expect("a second handle");
    writer.write_all(b"failpoint ").expect("it is written");
    output.0.rewind().expect("a look begins");
    writer.write_all(b"page: stop").expect("it is written");
    assert_eq!(output.text().expect("a text"), "failpoint page: stop");
}
