//! One file of the export: read from S3, shaped into files on this machine, and these written to S3.

use crate::fault;
use crate::model::LineProblem;
use crate::offline::{
    Counts, Exported, FileForm, InputFiles, REFUSED, ShapeError, ShapedInput, TABLES, Written,
};
use crate::plan::{LookedAt, Plan};
use crate::s3::{Bucket, Export, ExportError, ExportLines, PutIf};
use crate::worker::RunError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A record of one file names its objects: some for each service.
const MOST_RECORD_BYTES: u64 = 16 << 20;
/// The folder of the records of files.
const RECORDS: &str = "files/";

/// What became of one file of the export.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileRecord {
    /// The key of the file.
    pub file: String,
    /// What was in it.
    pub counts: Counts,
    /// The objects that were written.
    pub objects: Vec<ShapedObject>,
}

/// An object of shaped items.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShapedObject {
    /// The service; `None` for what is refused.
    pub service: Option<String>,
    /// Its key in the bucket.
    pub key: String,
    /// Its ETag.
    pub etag: String,
    /// Its items.
    pub items: u64,
    /// Its bytes before compression.
    pub bytes: u64,
    /// Its size.
    pub size: u64,
}

/// Shapes files of an export.
pub struct Shaper {
    pub plan: Arc<Plan>,
    pub export: Export,
    pub bucket: Bucket,
    /// Where everything goes.
    pub folder: String,
    pub form: FileForm,
    pub stop: CancellationToken,
}

impl Shaper {
    /// The files that were shaped by an earlier process.
    pub async fn done(&self) -> Result<BTreeSet<usize>, RunError> {
        let prefix = format!("{}{RECORDS}", self.folder);
        let listed = self.bucket.list(&prefix).await?;
        Ok(places(listed.into_iter().filter_map(|object| {
            object.key.strip_prefix(&prefix).map(str::to_owned)
        })))
    }

    /// The record of a file.
    pub async fn record(&self, at: usize) -> Result<FileRecord, RunError> {
        let key = self.record_key(at);
        let missing = |what: &str| {
            RunError::Failed(format!(
                "s3://{}/{key} {what}: restore it, or begin anew with another folder (--to) and the same export (--export)",
                self.bucket.name()
            ))
        };
        let stored = self.bucket.stored(&key, MOST_RECORD_BYTES).await?;
        let stored = stored.ok_or_else(|| missing("was removed"))?;
        let record: FileRecord = serde_json::from_slice(&stored.bytes)
            .map_err(|_| missing("is not the record that dynasplit wrote"))?;
        if self
            .export
            .files
            .get(at)
            .is_some_and(|file| file.key == record.file)
        {
            return Ok(record);
        }
        Err(missing("is the record of another file"))
    }

    fn record_key(&self, at: usize) -> String {
        format!("{}{RECORDS}{:07}.json", self.folder, at + 1)
    }

    /// What the keys of the objects of a service begin with.
    pub fn prefix(folder: &str, service: &str) -> String {
        format!("{folder}{TABLES}/{service}/")
    }

    /// Shapes a file. Done twice, it writes the same objects.
    pub async fn file(&self, at: usize) -> Result<(), RunError> {
        let mut builder = tempfile::Builder::new();
        // It holds whole items: nobody else is to read them.
        #[cfg(unix)]
        let builder = builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let work = builder.prefix("dynasplit-shape-").tempdir();
        let work = work.map_err(|error| RunError::Failed(full(&error.to_string())))?;
        let shaped = Box::pin(self.shape(at, work.path())).await?;
        let services = self.plan.services.iter().zip(&shaped.services);
        let mut objects = Vec::new();
        for (service, files) in services {
            let folder = Self::prefix(&self.folder, &service.name);
            self.write(Some(&service.name), &folder, files, &mut objects)
                .await?;
        }
        let refused = format!("{}{REFUSED}/", self.folder);
        self.write(None, &refused, &shaped.refused, &mut objects).await?;
        let record = FileRecord {
            file: self.export.files[at].key.clone(),
            counts: shaped.counts,
            objects,
        };
        let text = serde_json::to_vec(&record)
            .map_err(|error| RunError::Failed(format!("the record of a file cannot be written: {error}")))?;
        self.bucket
            .put(&self.record_key(at), &text, PutIf::Always)
            .await?;
        fault::moment("offline.file-shaped").await;
        Ok(())
    }

    async fn shape(&self, at: usize, work: &Path) -> Result<ShapedInput, RunError> {
        let Some(mut reader) = self.export.reader(at) else {
            return Err(RunError::Failed(format!("the export has no file {}", at + 1)));
        };
        let name = Arc::new(format!(
            "s3://{}/{}",
            self.export.folder.bucket, self.export.files[at].key
        ));
        // Files have the same names whichever process writes them.
        let mut files = InputFiles::new(&self.plan, work, at, self.form);
        let looked_at = Arc::new(self.plan.looked_at_to_shape());
        loop {
            if self.stop.is_cancelled() {
                return Err(RunError::Stopped(
                    "it was interrupted; run the same command to continue".into(),
                ));
            }
            let page = reader.patient_lines().await?;
            let (plan, input) = (Arc::clone(&self.plan), Arc::clone(&name));
            let looked_at = Arc::clone(&looked_at);
            let added = tokio::task::spawn_blocking(move || {
                add_lines(&mut files, &plan, &looked_at, &page, &input)?;
                // At the end of a file, all of it was proven to be what DynamoDB wrote.
                match page.next {
                    Some(_) => Ok((Some(files), None)),
                    None => Ok((None, Some(files.end()?))),
                }
            });
            let added: Result<_, ShapeError> = added
                .await
                .map_err(|error| RunError::Failed(format!("a part of the shaping failed: {error}")))?;
            match added.map_err(|error| failed(error, &name))? {
                (_, Some(shaped)) => return Ok(shaped),
                (Some(going_on), None) => files = going_on,
                (None, None) => return Err(RunError::Failed("a file was neither read on nor ended".into())),
            }
        }
    }

    async fn write(
        &self,
        service: Option<&str>,
        folder: &str,
        files: &[Written],
        objects: &mut Vec<ShapedObject>,
    ) -> Result<(), RunError> {
        for file in files {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            let key = format!("{folder}{name}");
            let size = std::fs::metadata(&file.path).map_or(0, |file| file.len());
            let etag = self.bucket.put_file(&key, &file.path).await?;
            objects.push(ShapedObject {
                service: service.map(str::to_owned),
                key,
                etag,
                items: file.items,
                bytes: file.bytes,
                size,
            });
        }
        Ok(())
    }
}

/// Shapes the items of a page.
fn add_lines(
    files: &mut InputFiles,
    plan: &Plan,
    looked_at: &LookedAt,
    page: &ExportLines,
    name: &str,
) -> Result<(), ShapeError> {
    let wrong = |line: u64, problem| ShapeError::Line {
        input: name.to_owned(),
        line,
        problem,
    };
    let text: Arc<str> = match std::str::from_utf8(&page.text) {
        Ok(text) => text.into(),
        Err(error) => {
            let is_behind = |(_, place): &&(u64, Range<usize>)| place.end > error.valid_up_to();
            let line = page.lines.iter().find(is_behind).map_or(0, |(line, _)| *line);
            return Err(wrong(line, LineProblem::Syntax("it is not UTF-8".into())));
        }
    };
    for (line, place) in &page.lines {
        let item =
            Exported::of_line(&text, place.clone(), looked_at).map_err(|problem| wrong(*line, problem))?;
        files.add(plan, &item, name, *line)?;
    }
    Ok(())
}

fn failed(error: ShapeError, name: &str) -> RunError {
    match error {
        ShapeError::Line { line, problem, .. } => RunError::Export(ExportError::Line {
            name: name.to_owned(),
            line,
            problem,
        }),
        other => RunError::Failed(full(&other.to_string())),
    }
}

fn full(error: &str) -> String {
    format!(
        "{error}; the shaped form of a file of the export is kept in the temporary directory for a while: make room there, or name \
         another one (TMPDIR), and run the same command again"
    )
}

/// The places of files, by the names of their records.
fn places(names: impl Iterator<Item = String>) -> BTreeSet<usize> {
    let place = |name: String| name.strip_suffix(".json")?.parse::<usize>().ok()?.checked_sub(1);
    names.filter_map(place).collect()
}
