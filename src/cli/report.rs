//! The command `report`.

use super::args::{Global, Report};
use super::exit::Exit;
use super::failure::Failed;
use super::forecast::{forecast, prices};
use super::next::copyable;
use super::output;
use crate::report::{Moments, ServiceView, Standing, page};
use crate::state::{ChartRecord, SplitRecord, StateError, Store};
use crate::status::{Phase, chart_sample, split_status_with_worker};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Serialize)]
struct Written {
    html: PathBuf,
    phase: Phase,
    next: String,
}

/// Runs `report`.
pub async fn run(global: &Global, args: &Report) -> Result<Exit, Failed> {
    // Read first: a file that is wrong is reported before AWS is asked.
    let forecast = args.forecast.as_deref().map(forecast).transpose()?;
    let prices = prices(args.prices.as_deref())?;
    let split = output::open_to_look(global, &args.plan).await?;
    let record = SplitRecord::read(&split.store).await?.value;
    let status = split_status_with_worker(&split).await?;
    let (phase, next) = (status.phase, status.next.clone());
    let mut history = chart(&split.store).await?.since(record.created_ms);
    // The chart may be sparse, so its lines end with the present figures.
    history.push(chart_sample(&status));
    let standing = Standing {
        source: split.plan.source.table.clone(),
        services: ServiceView::all(&split.plan),
        moments: Moments::from(&record),
        prices,
        forecast,
        history,
        now_ms: split.now_ms(),
        copyable: |text| copyable(text).into_owned(),
        is_live: false,
        status: Arc::new(status),
    };
    write(&args.html, &page(&standing)).map_err(|error| {
        let what = format!(
            "cannot write the page to {}: {error}; name a file in a folder that exists and that you may write",
            args.html.display()
        );
        Failed::of(Exit::Failed, what)
    })?;
    let written = Written {
        html: args.html.clone(),
        phase,
        next,
    };
    output::print(global, &written, |written| {
        format!("wrote {}\nnext: {}", written.html.display(), written.next)
    })?;
    Ok(Exit::Done)
}

/// What was measured during the split. A page without charts is better than none.
async fn chart(store: &Store) -> Result<ChartRecord, StateError> {
    let mut damaged = Vec::new();
    let found = store
        .get_readable::<ChartRecord>(ChartRecord::NAME, &mut damaged)
        .await?;
    for damaged in damaged {
        tracing::warn!(
            record = damaged.record,
            cause = damaged.cause,
            "the page has no charts, because their record cannot be read: {}",
            damaged.cure
        );
    }
    Ok(found.map(|stored| stored.value).unwrap_or_default())
}

/// Writes a file at once, so that a reader never sees a part of a page. Anything else than a file, for example a pipe, is
/// written where it is.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::symlink_metadata(file).is_ok_and(|found| !found.is_file()) {
        return std::fs::write(file, text);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut new = builder().tempfile_in(folder.unwrap_or(Path::new(".")))?;
    new.write_all(text.as_bytes())?;
    new.persist(file)?;
    Ok(())
}

/// A temporary file is private by default. The page is for others, as far as the umask allows.
fn builder() -> tempfile::Builder<'static, 'static> {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}
