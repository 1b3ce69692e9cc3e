use super::args::{Global, Plan};
use super::failure::{Exit, Failed};
use super::{output, text};
use crate::run::{Standing, now_ms, standing};
use crate::state::ShardRecord;

/// Runs `status`.
pub async fn run(global: &Global, args: &Plan) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    let standing = standing(&split).await?;
    output::print(global, &standing, render)?;
    Ok(Exit::Done)
}

fn render(standing: &Standing) -> String {
    let mut lines = vec![format!("split {}: {}", standing.split, standing.phase)];
    let alive = standing.workers.iter().filter(|worker| !worker.overdue).count();
    let dead = standing.workers.len() - alive;
    lines.push(match (alive, dead) {
        (0, 0) => "workers: none".into(),
        (alive, 0) => format!("workers: {alive}"),
        (alive, dead) => format!("workers: {alive}, and {dead} that gave no sign of life for a lease time"),
    });
    lines.push(String::new());
    lines.push(text::lanes(&standing.lanes));
    lines.push(String::new());
    lines.push(backfill(standing));
    if standing.tombstones.holds() {
        lines.push("the lanes are held until the bulk copy has landed".into());
    }
    lines.extend(
        standing
            .backfill_blocked
            .iter()
            .map(|reason| format!("held up: {reason}")),
    );
    if let Some(verify) = &standing.verify {
        let ago = text::duration(now_ms().saturating_sub(verify.ended_ms));
        let what = if verify.clean { "clean" } else { "not clean" };
        lines.push(format!("last verify: {what}, {ago} ago"));
    }
    if !standing.obstacles.is_empty() {
        lines.push(String::new());
        lines.push("in the way of completing:".into());
        lines.extend(
            standing
                .obstacles
                .iter()
                .map(|obstacle| format!("  - {obstacle}")),
        );
    }
    lines.push(String::new());
    lines.push(format!("next: {}", standing.next));
    lines.join("\n")
}

fn backfill(standing: &Standing) -> String {
    let Some(record) = &standing.backfill_record else {
        return "backfill: not started".into();
    };
    let rows: Vec<Vec<String>> = standing
        .backfill
        .iter()
        .filter(|lane| lane.lane != ShardRecord::WATCH)
        .map(|lane| {
            vec![
                lane.lane.clone(),
                format!("{}/{}", lane.segments_done, lane.segments),
                text::count(lane.counters.put),
                text::count(lane.counters.superseded),
                text::count(lane.counters.dead_letters),
            ]
        })
        .collect();
    let table = text::table(&["backfill", "segments", "copied", "superseded", "dead"], &rows);
    let end = match record.finished_ms {
        Some(finished) => format!(
            "finished in {}",
            text::duration(finished.saturating_sub(record.started_ms))
        ),
        None => progress(standing, record.started_ms, record.estimated_items),
    };
    format!(
        "{table}\nbackfill ({}): {} items read, {} read units; {end}",
        record.order,
        text::count(standing.scanned),
        text::units(standing.read_milliunits)
    )
}

/// Rate and time left. No estimate before there is something to estimate from.
fn progress(standing: &Standing, started_ms: u64, estimated: u64) -> String {
    let seconds = now_ms().saturating_sub(started_ms) / 1000;
    let rate = standing.scanned.checked_div(seconds).unwrap_or(0);
    match estimated.saturating_sub(standing.scanned).checked_div(rate) {
        Some(left) if standing.scanned > 0 => {
            format!(
                "{} items a second, about {} left",
                text::count(rate),
                text::duration(left * 1000)
            )
        }
        _ => "running".into(),
    }
}
