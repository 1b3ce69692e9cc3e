//! The arguments of `offline`.

use super::examples as example;
use super::options::{AWS, LIMITS, OUTPUT, Packing, TASK};
use super::values::{export, folder, moment};
use crate::s3::{ExportPlace, Folder};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// `offline`.
#[derive(clap::Args, Debug)]
pub struct Offline {
    /// What to do.
    #[command(subcommand)]
    pub action: OfflineAction,
}

/// The steps of an offline split.
#[derive(Subcommand, Debug)]
pub enum OfflineAction {
    /// Do all steps that are not done: export, shape, import, verify
    ///
    /// Stop the writers of the source first. After a stop or a death, the same command continues at the step that it had reached.
    #[command(after_help = example::OFFLINE_RUN)]
    Run {
        /// The export.
        #[command(flatten)]
        export: ExportOptions,
        /// The files.
        #[command(flatten)]
        shape: ShapeOptions,
        /// The imports.
        #[command(flatten)]
        import: ImportOptions,
        /// The comparison.
        #[command(flatten)]
        verify: VerifyOptions,
        /// Where it all is.
        #[command(flatten)]
        place: OfflinePlace,
    },
    /// Request an export of the source, or take one that exists, and wait until it is complete
    Export {
        /// The export.
        #[command(flatten)]
        export: ExportOptions,
        /// Where it all is.
        #[command(flatten)]
        place: OfflinePlace,
    },
    /// Shape the export into files for each service, in the same bucket
    Shape {
        /// The files.
        #[command(flatten)]
        shape: ShapeOptions,
        /// Where it all is.
        #[command(flatten)]
        place: OfflinePlace,
    },
    /// Let DynamoDB import the files of each service into a new table, and set what an import cannot set
    Import {
        /// The imports.
        #[command(flatten)]
        import: ImportOptions,
        /// Where it all is.
        #[command(flatten)]
        place: OfflinePlace,
    },
    /// Compare every table with the source, item by item, and then switch TTL on
    Verify {
        /// The comparison.
        #[command(flatten)]
        verify: VerifyOptions,
        /// Where it all is.
        #[command(flatten)]
        place: OfflinePlace,
    },
    /// Show how far it is, and change nothing
    Status {
        /// Where it all is.
        #[command(flatten)]
        place: OfflinePlace,
    },
}

/// Where an offline split is.
#[derive(clap::Args, Debug)]
pub struct OfflinePlace {
    /// The plan file.
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Folder for the journal, the export and the shaped files. Each offline split needs its own.
    #[arg(long, value_name = "S3-FOLDER", value_parser = folder, help_heading = TASK)]
    pub to: Folder,
    /// Account that owns the bucket, if it is not that of the source.
    #[arg(long, value_name = "ACCOUNT", help_heading = AWS)]
    pub bucket_owner: Option<String>,
    /// Region of the bucket, if it is not that of the source.
    #[arg(long, value_name = "REGION", help_heading = AWS)]
    pub s3_region: Option<String>,
}

/// The export of an offline split.
#[derive(clap::Args, Debug)]
pub struct ExportOptions {
    /// When the last request of a writer had ended. The first command needs it.
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = TASK)]
    pub writers_stopped: Option<u64>,
    /// Use this full export instead of requesting one: its ARN, or the folder of its manifest. It must be at least a minute later than
    /// the stop of the writers.
    #[arg(long, value_name = "EXPORT", value_parser = export, help_heading = TASK)]
    pub export: Option<ExportPlace>,
}

/// The shaped files.
#[derive(clap::Args, Debug)]
pub struct ShapeOptions {
    /// How the files are compressed. The first command decides it.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Packing::Zstd, help_heading = TASK)]
    pub compression: Packing,
    /// Most MiB of a file before compression.
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=1024), help_heading = LIMITS)]
    pub file_size: u64,
    /// Files of the export that are shaped at the same time (default: one per core).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = LIMITS)]
    pub threads: Option<u16>,
}

/// The imports.
#[derive(clap::Args, Debug)]
pub struct ImportOptions {
    /// Delete the partial table of an import that failed, if its id is that of the import, and import again.
    #[arg(long, help_heading = TASK)]
    pub delete_partial: bool,
}

/// The comparison.
#[derive(clap::Args, Debug)]
pub struct VerifyOptions {
    /// Compare with this later export instead of reading the source.
    #[arg(long, value_name = "EXPORT", value_parser = export, help_heading = TASK)]
    pub against: Option<ExportPlace>,
    /// Most mismatches to print.
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = OUTPUT)]
    pub limit: usize,
}

impl OfflineAction {
    /// Where it all is.
    #[must_use]
    pub fn place(&self) -> &OfflinePlace {
        match self {
            Self::Run { place, .. }
            | Self::Export { place, .. }
            | Self::Shape { place, .. }
            | Self::Import { place, .. }
            | Self::Verify { place, .. }
            | Self::Status { place } => place,
        }
    }

    /// The plan file.
    #[must_use]
    pub fn plan(&self) -> &Path {
        &self.place().plan
    }
}
