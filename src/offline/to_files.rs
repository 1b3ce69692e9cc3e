//! All inputs into a folder: `tables/SERVICE/` with the files of a service, and `refused/` with what is refused.

use super::error::ShapeError;
use super::input::Input;
use super::output::{Files, failed, item_line};
use super::refused::Reason;
use super::report::{Counts, Report};
use super::shaper::{Shaped, shape};
use crate::model::json::item_to_json;
use crate::model::{Item, ItemExt};
use crate::plan::Plan;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use tokio_util::sync::CancellationToken;

/// How.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most bytes of a file before compression.
    pub file_bytes: u64,
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
            let counts = Writer::new(self, place).read(input).inspect_err(|_| {
                self.next.store(self.inputs.len(), Ordering::Relaxed);
            })?;
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended[place] = Some(counts);
        }
    }
}

/// Writes the files of one input.
struct Writer<'a> {
    job: &'a Job<'a>,
    counts: Counts,
    services: Vec<Files>,
    refused: Files,
    line: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(job: &'a Job<'a>, place: usize) -> Self {
        let files = |folder: PathBuf| Files::new(&job.folder.join(folder), place, job.options.file_bytes);
        let tables = Path::new("tables");
        let names = job.plan.services.iter().map(|service| service.name.as_str());
        Self {
            job,
            counts: Counts::of(job.plan),
            services: names.map(|name| files(tables.join(name))).collect(),
            refused: files("refused".into()),
            line: Vec::new(),
        }
    }

    fn read(mut self, input: &Input) -> Result<Counts, ShapeError> {
        input.items(self.job.stop, |number, item| {
            self.counts.items += 1;
            self.job.seen.0.fetch_add(1, Ordering::Relaxed);
            shape(self.job.plan, item, |shaped| {
                self.write(item, shaped, input, number)
            })
        })?;
        for files in self.services.iter_mut().chain([&mut self.refused]) {
            files.end()?;
        }
        for (count, files) in self.counts.services.iter_mut().zip(&self.services) {
            count.files = files.count();
        }
        Ok(self.counts)
    }

    fn write(&mut self, source: &Item, shaped: Shaped, input: &Input, number: u64) -> Result<(), ShapeError> {
        match shaped {
            Shaped::LeftBehind => self.counts.left_behind += 1,
            Shaped::For(place, item) => {
                let count = &mut self.counts.services[place];
                count.items += 1;
                count.bytes += item.size() as u64;
                item_line(&item, &mut self.line).map_err(|source| failed(self.job.folder, source))?;
                self.services[place].add(&self.line)?;
            }
            Shaped::Refused(place, reason) => self.refuse(source, place, &reason, input, number)?,
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        source: &Item,
        place: Option<usize>,
        reason: &Reason,
        input: &Input,
        number: u64,
    ) -> Result<(), ShapeError> {
        let service = place.map(|place| self.job.plan.services[place].name.as_str());
        let refused = &mut self.counts.refused;
        refused.add(service, reason, || format!("{}:{number}", input.name()));
        let document = json!({
            "service": service,
            "reason": reason.to_string(),
            "line": number,
            "input": input.name(),
            "Item": item_to_json(source),
        });
        self.refused.add(format!("{document}\n").as_bytes())
    }
}
