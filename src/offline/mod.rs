//! Splits exported items without AWS: each service gets files in the form that DynamoDB imports.
//!
//! It is for a system that may stop: export the table, shape the export, import the files. It uses the same route and
//! transform as the live split, so both give the same tables. It keeps a block of lines and the open output files in memory.

mod error;
mod exported;
mod input;
mod input_files;
mod lines;
mod output;
mod pipe;
mod refused;
mod report;
mod shaper;
mod to_files;
mod work_folder;

pub use error::ShapeError;
pub use exported::Exported;
pub use input::Input;
pub use input_files::{FileForm, InputFiles, REFUSED, ShapedInput, TABLES};
pub use output::Written;
pub use pipe::to_pipe;
pub use refused::{Reason, Refused, RefusedItems};
pub use report::{Count, Counts, Report, ServiceReport};
pub use to_files::{Options, Seen, to_files};
pub use work_folder::WorkFolder;
