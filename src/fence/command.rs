//! Runs a command to its end, within a time, and keeps what it wrote.

use super::hook_output::Tail;
use super::process_group::{Group, separate};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::Instant;

/// After the time is over, the command may clean up for this long before it is killed.
const CLEAN_UP: Duration = Duration::from_secs(5);
/// Output that a process of the command writes after the command ended is read for this long.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
const CHUNK: usize = 8 * 1024;

/// A command that ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandRun {
    /// How it ended.
    pub end: CommandEnd,
    /// How long it ran.
    pub ms: u64,
    /// The end of its output, standard output and standard error together.
    pub output: String,
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommandEnd {
    /// With an exit code.
    Exit(i32),
    /// By a signal that nobody here sent.
    Signal(i32),
    /// It was killed, because its time was over.
    TimedOut,
}

/// Runs a command. If the future is dropped, the command is killed with every process that it started.
///
/// # Errors
/// If it cannot be started.
pub(super) async fn run(mut command: Command, timeout: Duration) -> std::io::Result<CommandRun> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    separate(&mut command);
    let environment = environment(&command);
    let began = Instant::now();
    let mut group = Group::of(command.spawn()?);
    let (mut out, mut err) = (group.child.stdout.take(), group.child.stderr.take());
    let mut tail = Tail::default();
    let status = until_exit(&mut group, &mut out, &mut err, &mut tail, began + timeout).await?;
    let end = match status {
        Some(status) => {
            read_rest(&mut out, &mut err, &mut tail, Instant::now() + LAST_OUTPUT).await;
            group.let_go();
            of_status(status)
        }
        None => {
            group.ask();
            let ended = until_exit(
                &mut group,
                &mut out,
                &mut err,
                &mut tail,
                Instant::now() + CLEAN_UP,
            )
            .await?;
            // Its children may have ignored the signal, even if the command has ended.
            group.kill();
            if ended.is_none() {
                group.child.wait().await?;
            }
            read_rest(&mut out, &mut err, &mut tail, Instant::now() + LAST_OUTPUT).await;
            CommandEnd::TimedOut
        }
    };
    Ok(CommandRun {
        end,
        ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        output: tail.text(environment.into_iter()),
    })
}

/// What the command sees: the environment of this process, and its own variables.
fn environment(command: &Command) -> Vec<(String, String)> {
    let own = command
        .as_std()
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned())));
    let inherited = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    inherited.chain(own).collect()
}

/// Reads the output until the command has ended, or until the time is over.
async fn until_exit(
    group: &mut Group,
    out: &mut Option<impl AsyncRead + Unpin>,
    err: &mut Option<impl AsyncRead + Unpin>,
    tail: &mut Tail,
    end: Instant,
) -> std::io::Result<Option<ExitStatus>> {
    let (mut first, mut second) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        tokio::select! {
            biased;
            status = group.child.wait() => return status.map(Some),
            // Before the output: a command that writes without end must not outlive its time.
            () = tokio::time::sleep_until(end) => return Ok(None),
            read = next(out, &mut first) => match read {
                0 => *out = None,
                count => tail.add(&first[..count]),
            },
            read = next(err, &mut second) => match read {
                0 => *err = None,
                count => tail.add(&second[..count]),
            },
        }
    }
}

/// Reads what is left until both ends are closed. A process that the command left behind may hold them open.
async fn read_rest(
    out: &mut Option<impl AsyncRead + Unpin>,
    err: &mut Option<impl AsyncRead + Unpin>,
    tail: &mut Tail,
    end: Instant,
) {
    let (mut first, mut second) = (vec![0; CHUNK], vec![0; CHUNK]);
    while out.is_some() || err.is_some() {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(end) => return,
            read = next(out, &mut first) => match read {
                0 => *out = None,
                count => tail.add(&first[..count]),
            },
            read = next(err, &mut second) => match read {
                0 => *err = None,
                count => tail.add(&second[..count]),
            },
        }
    }
}

/// The next bytes: none at the end. Never ready if the end was seen before.
async fn next(from: &mut Option<impl AsyncRead + Unpin>, into: &mut [u8]) -> usize {
    match from {
        // An output that cannot be read has ended: the exit code decides.
        Some(from) => from.read(into).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

fn of_status(status: ExitStatus) -> CommandEnd {
    if let Some(code) = status.code() {
        return CommandEnd::Exit(code);
    }
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = None;
    CommandEnd::Signal(signal.unwrap_or_default())
}
