//! Everything that was sent and answered, with simulated time.

/// A trace; it may be off, because lines cost time.
#[derive(Debug, Default)]
pub struct Trace(Option<Vec<String>>);

impl Trace {
    /// One that keeps its lines.
    pub fn kept() -> Self {
        Self(Some(Vec::new()))
    }

    /// Adds a line.
    pub fn add(&mut self, at_ms: u64, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            lines.push(format!("{at_ms:>8} {}", line()));
        }
    }

    /// The lines; none if it was off.
    pub fn into_lines(self) -> Vec<String> {
        self.0.unwrap_or_default()
    }
}
