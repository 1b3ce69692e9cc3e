//! Shaping: from the files of an export to the files of an import, by the product, a script and Spark. Each has one core, except the
//! product with its default number of threads.
//!
//! They do the same work for `plans/online-learning.yaml`, and everything that they wrote is read again and compared.

mod export;
mod written;

use crate::args::Args;
use crate::peers::{self, Spark};
use crate::process::{self, Used};
use crate::product;
use crate::results::median;
use crate::trouble::{Told, Tried, Trouble};
use export::Export;
use serde::Serialize;
use std::path::{Path, PathBuf};
use written::Written;

/// Who shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Shaper {
    /// `dynasplit shape --threads 1`, with the compression that it chooses.
    Product,
    /// The same with gzip, as the others.
    Gzip,
    /// The same without compression of what it writes.
    Plain,
    /// The first one by a plan that gives each item to one service at most.
    Single,
    /// `dynasplit shape` with gzip, as users run it: with its default number of threads.
    Threads,
    /// A script with the standard library of Python.
    Script,
    /// Spark with one core.
    Spark,
}

impl Shaper {
    /// As the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "dynasplit shape, zstd",
            Self::Gzip => "dynasplit shape, gzip",
            Self::Plain => "dynasplit shape, none",
            Self::Single => "dynasplit shape, zstd, each item to one service",
            Self::Threads => "dynasplit shape, gzip, default threads",
            Self::Script => "Python script, gzip",
            Self::Spark => "PySpark, local[1], gzip",
        }
    }
}

/// All runs of one of them.
#[derive(Clone, Debug, Serialize)]
pub struct Shaping {
    /// Whose.
    pub shaper: Shaper,
    /// Each run.
    pub runs: Vec<Used>,
}

/// Peak memory of the product for an export of some form.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Bytes of JSON.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// The most memory of a process.
    pub peak_bytes: u64,
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Shapings {
    /// Bytes of JSON of the export.
    pub bytes: u64,
    /// Items of the export.
    pub items: u64,
    /// Items that all services got.
    pub written: u64,
    /// The contenders.
    pub shapings: Vec<Shaping>,
    /// How the product's memory grows.
    pub memory: Vec<Memory>,
    /// The versions of others.
    pub versions: Vec<String>,
    /// Who could not take part, and why.
    pub absent: Vec<String>,
}

#[allow(clippy::cast_precision_loss)] // bytes of a benchmark
impl Shapings {
    /// MB of JSON that one of them shapes in a second, from the start to the end of its process.
    pub fn mb_per_second(&self, shaper: Shaper) -> Option<f64> {
        self.mb_per(shaper, |run| run.wall_seconds)
    }

    /// The same for a second of the processor, whatever else the machine does.
    pub fn mb_per_cpu_second(&self, shaper: Shaper) -> Option<f64> {
        self.mb_per(shaper, |run| run.cpu_seconds)
    }

    fn mb_per(&self, shaper: Shaper, seconds: fn(&Used) -> f64) -> Option<f64> {
        Some(self.bytes as f64 / 1e6 / median(self.runs(shaper)?.iter().map(seconds)))
    }

    /// How many times as long another one takes as the product. Turn by turn, because what else the machine does hits both of a turn.
    pub fn times_as_long(&self, own: Shaper, other: Shaper) -> Option<f64> {
        self.times(own, other, |run| run.wall_seconds)
    }

    /// The same of the time of the processor.
    pub fn times_the_cpu(&self, own: Shaper, other: Shaper) -> Option<f64> {
        self.times(own, other, |run| run.cpu_seconds)
    }

    fn times(&self, own: Shaper, other: Shaper, seconds: fn(&Used) -> f64) -> Option<f64> {
        let turns = self.runs(own)?.iter().zip(self.runs(other)?);
        Some(median(turns.map(|(own, other)| seconds(other) / seconds(own))))
    }

    fn runs(&self, shaper: Shaper) -> Option<&[Used]> {
        let shaping = self.shapings.iter().find(|shaping| shaping.shaper == shaper)?;
        Some(&shaping.runs)
    }
}

/// Files of the export that is compared.
const FILES: u64 = 4;
/// How much larger the larger export is.
const TIMES: u64 = 8;

/// Measures all of them.
pub async fn shapings(args: &Args) -> Tried<Shapings> {
    let mut spark = None;
    let mut found = Shapings::default();
    let mut shapers = vec![
        Shaper::Product,
        Shaper::Gzip,
        Shaper::Plain,
        Shaper::Single,
        Shaper::Threads,
    ];
    if !args.no_peers {
        shapers.push(Shaper::Script);
        match Spark::install().await {
            Ok(installed) => {
                found.versions.push(installed.version.clone());
                spark = Some(installed);
                shapers.push(Shaper::Spark);
            }
            Err(trouble) => found.absent.push(format!("PySpark: {trouble}")),
        }
    }
    let folder = tempfile::tempdir().told("a directory")?;
    let export = Export::write(&folder.path().join("export"), args.shape_mib << 20, FILES)?;
    (found.bytes, found.items) = (export.bytes, export.items);
    let mut expected: Option<Written> = None;
    found.shapings = shapers
        .iter()
        .map(|shaper| Shaping {
            shaper: *shaper,
            runs: Vec::new(),
        })
        .collect();
    for run in 0..args.runs {
        for shaping in &mut found.shapings {
            let to = folder.path().join("shaped");
            let used = shape(shaping.shaper, spark.as_ref(), &export, &to).await?;
            eprintln!(
                "shape, run {}: {}: {:.1} s, {:.2} s of CPU",
                run + 1,
                shaping.shaper.name(),
                used.wall_seconds,
                used.cpu_seconds
            );
            shaping.runs.push(used);
            if run == 0 {
                let written = Written::below(&to)?;
                match &expected {
                    Some(expected) if shaping.shaper == Shaper::Single => written.is_part_of(expected)?,
                    None => {
                        found.written = written.items();
                        expected = Some(written);
                    }
                    Some(expected) => expected.compare(&written, shaping.shaper.name())?,
                }
            }
            std::fs::remove_dir_all(&to).told("the shaped files")?;
        }
    }
    drop(export);
    for (mib, files) in memory_cases(args.shape_mib) {
        let export = Export::write(&folder.path().join("grown"), mib << 20, files)?;
        let to = folder.path().join("shaped");
        let used = shape(Shaper::Product, None, &export, &to).await?;
        found.memory.push(Memory {
            bytes: export.bytes,
            files,
            peak_bytes: used.peak_bytes,
        });
        std::fs::remove_dir_all(&to).told("the shaped files")?;
        std::fs::remove_dir_all(folder.path().join("grown")).told("the export")?;
    }
    Ok(found)
}

/// An export and one that is larger; few files and many; MiB and files.
fn memory_cases(mib: u64) -> [(u64, u64); 4] {
    let small = (mib / TIMES).max(1);
    [
        (small, FILES),
        (small * TIMES, FILES),
        (small * TIMES, 1),
        (small * TIMES, 32 * FILES),
    ]
}

async fn shape(shaper: Shaper, spark: Option<&Spark>, export: &Export, to: &Path) -> Tried<Used> {
    let files = export
        .files
        .iter()
        .map(|file| file.to_string_lossy().into_owned());
    let folder = to.to_string_lossy().into_owned();
    let peer = |script: &str| peers::sources().join(script).to_string_lossy().into_owned();
    let ended = match shaper {
        Shaper::Product | Shaper::Gzip | Shaper::Plain | Shaper::Single | Shaper::Threads => {
            let single = tempfile::tempdir().told("a directory")?;
            let plan = match shaper {
                Shaper::Single => single_plan(single.path())?,
                _ => plan(),
            };
            let mut words = vec!["shape".to_owned(), plan.to_string_lossy().into_owned()];
            words.extend(files);
            words.extend(["--to".to_owned(), folder]);
            if shaper != Shaper::Threads {
                words.extend(["--threads".to_owned(), "1".to_owned()]);
            }
            let form = match shaper {
                Shaper::Gzip | Shaper::Threads => Some("gzip"),
                Shaper::Plain => Some("none"),
                _ => None,
            };
            words.extend(
                form.into_iter()
                    .flat_map(|form| ["--compression".to_owned(), form.to_owned()]),
            );
            process::succeed(product::binary(), &words, &[]).await?
        }
        Shaper::Script => {
            let words: Vec<String> = [peer("shape_script.py"), folder]
                .into_iter()
                .chain(files)
                .collect();
            process::succeed("python3", &words, &[]).await?
        }
        Shaper::Spark => {
            let spark = spark.told("PySpark")?;
            let words: Vec<String> = [peer("shape_spark.py"), folder]
                .into_iter()
                .chain(files)
                .collect();
            let python = spark.python.to_string_lossy().into_owned();
            process::succeed(&spark.python, &words, &[("PYSPARK_PYTHON", &python)]).await?
        }
    };
    if !to.is_dir() {
        return Err(Trouble::new(format!("{} wrote nothing", shaper.name())));
    }
    Ok(ended.used)
}

fn plan() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("plans")
        .join("online-learning.yaml")
}

/// The same plan, but its last service receives only its own items.
fn single_plan(folder: &Path) -> Tried<PathBuf> {
    let all = std::fs::read_to_string(plan()).told("the plan")?;
    let mut single = all.clone();
    for line in [
        "    copy: everything\n",
        "    irrelevant: begins_with(PK, 'COURSE#')\n",
    ] {
        if !single.contains(line) {
            return Err(Trouble::new(format!("{} has no line {line:?}", plan().display())));
        }
        single = single.replace(line, "");
    }
    let path = folder.join("plan.yaml");
    std::fs::write(&path, single).told("a plan")?;
    Ok(path)
}
