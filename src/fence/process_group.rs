//! A command and every process that it started: ended together.

use tokio::process::{Child, Command};

/// Lets a command begin a group of processes of its own.
pub(super) fn separate(command: &mut Command) {
    #[cfg(unix)]
    command.process_group(0);
    command.kill_on_drop(true);
}

/// A running command. If it is dropped before it ended, every process of its group is killed: a cutover that is
/// interrupted leaves nothing behind that could still switch something.
pub(super) struct Group {
    pub child: Child,
    #[cfg(unix)]
    id: Option<rustix::process::Pid>,
    ended: bool,
}

impl Group {
    pub fn of(child: Child) -> Self {
        Self {
            #[cfg(unix)]
            id: child
                .id()
                .and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)),
            child,
            ended: false,
        }
    }

    /// Its processes may live on: it has ended by itself.
    pub fn let_go(&mut self) {
        self.ended = true;
    }

    /// Asks every process to end.
    pub fn ask(&self) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::TERM);
    }

    /// Ends every process.
    pub fn kill(&mut self) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::KILL);
        // The error says that the command has ended, which is what is asked for.
        let _ = self.child.start_kill();
        self.ended = true;
    }

    /// The group lives as long as one of its processes. Its number cannot belong to another group before the command is
    /// waited for, or while one of its processes lives.
    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(id) = self.id {
            // The error says that no process is left.
            let _ = rustix::process::kill_process_group(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
    }
}
