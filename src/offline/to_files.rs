//! All inputs into a folder: `tables/SERVICE/` with the files of a service, and `refused/` with what is refused.

use super::error::ShapeError;
use super::input::Input;
use super::input_files::{FileForm, InputFiles};
use super::report::{Counts, Report};
use crate::plan::{LookedAt, Plan};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use tokio_util::sync::CancellationToken;

/// How.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The form of the files that are written.
    pub form: FileForm,
    /// How many inputs are read at the same time.
    pub threads: usize,
}

/// Shapes all inputs into the folder. The names of the files depend only on the inputs, not on the threads.
///
/// # Errors
/// See [`ShapeError`]; the folder is not complete then.
pub fn to_files(
    plan: &Plan,
    inputs: &[Input],
    folder: &Path,
    options: Options,
    stop: &CancellationToken,
    seen: &Seen,
) -> Result<Report, ShapeError> {
    let job = Job {
        plan,
        looked_at: plan.looked_at_to_shape(),
        inputs,
        options,
        stop,
        seen,
        folder,
        next: AtomicUsize::new(0),
        ended: Mutex::new(vec![None; inputs.len()]),
    };
    let threads = options.threads.clamp(1, inputs.len().max(1));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| job.work())).collect();
        // The first error of all threads, in their order.
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .fold(Ok(()), Result::and)
    })?;
    let ended = job.ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut counts = Counts::of(plan);
    ended.into_iter().flatten().for_each(|input| counts.extend(input));
    Ok(counts.report(plan))
}

/// How many items were read, for somebody who watches.
#[derive(Debug, Default)]
pub struct Seen(AtomicU64);

impl Seen {
    /// Items so far.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Job<'a> {
    plan: &'a Plan,
    looked_at: LookedAt,
    inputs: &'a [Input],
    options: Options,
    stop: &'a CancellationToken,
    seen: &'a Seen,
    folder: &'a Path,
    next: AtomicUsize,
    ended: Mutex<Vec<Option<Counts>>>,
}

impl Job<'_> {
    /// Takes one input after the other. If one fails, all threads stop.
    fn work(&self) -> Result<(), ShapeError> {
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = self.inputs.get(place) else {
                return Ok(());
            };
            let counts = self.read(input, place).inspect_err(|_| {
                self.next.store(self.inputs.len(), Ordering::Relaxed);
            })?;
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended[place] = Some(counts);
        }
    }

    fn read(&self, input: &Input, place: usize) -> Result<Counts, ShapeError> {
        let mut files = InputFiles::new(self.plan, self.folder, place, self.options.form);
        let name = input.name();
        input.items(&self.looked_at, self.stop, |number, item| {
            self.seen.0.fetch_add(1, Ordering::Relaxed);
            files.add(self.plan, item, &name, number)
        })?;
        Ok(files.end()?.counts)
    }
}
