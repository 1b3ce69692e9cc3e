//! The command `heal`.

use super::args::{Global, Heal as Args};
use super::exit::Exit;
use super::failure::Failed;
use super::progress::{Bar, Progress, Shown};
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table::table;
use super::waiting::Waiting;
use super::{output, text};
use crate::heal::{HealForecast, HealOptions, HealReport, HealStep, HealView, forecast_heal, heal};
use crate::model::{duration, moment};
use crate::status::split_status_with_worker;
use crate::worker::read_prices;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Runs `heal`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    if !(args.yes || args.dry_run) {
        let said = "`heal` restarts the tail, DynamoDB bills its exports, and it writes the services' tables, so you must confirm it with \
                    --yes";
        return Err(Failed::of(Exit::Usage, said).hint("to see what it costs first, add --dry-run"));
    }
    let options = HealOptions {
        to: args.to.clone(),
        s3_region: args.s3_region.clone(),
        new_exports: args.new_exports,
    };
    if args.dry_run {
        let split = output::open_to_look(global, &args.plan).await?;
        let prices = read_prices(args.prices.as_deref())?;
        let forecasting = Box::pin(forecast_heal(&split, &options, prices));
        let forecast = stoppable(&global.session, Duration::ZERO, forecasting).await?;
        output::print(global, &forecast, render_forecast)?;
        return Ok(Exit::Done);
    }
    let split = output::open(global, &args.plan).await?;
    let _waiting = Waiting::tell(&split.waits);
    let (told, view) = watch::channel(HealView::default());
    let progress = Progress::of(view);
    let healing = Box::pin(heal(&split, &options, &told, &stop));
    let result = stoppable(&global.session, GRACE, healing).await;
    drop(told);
    progress.end().await;
    let report = result?;
    let next = split_status_with_worker(&split).await?.next;
    output::print_with_next(global, &report, &next, render)?;
    Ok(if report.counts.left() == 0 {
        Exit::Done
    } else {
        Exit::NotClean
    })
}

fn render(report: &HealReport, next: &str) -> String {
    let counts = &report.counts;
    let mut lines = vec![
        format!(
            "healed what changed from {} to {}, by {}: {} read again, {} repaired",
            moment(report.from_ms),
            moment(report.to_ms),
            text::counted(report.exports.len() as u64, "export"),
            text::counted(counts.keys, "key"),
            text::count(counts.repaired)
        ),
        format!("DynamoDB bills {} of changes", text::bytes(counts.billed_bytes)),
    ];
    if counts.left() > 0 {
        lines.push(format!(
            "left unchanged: {} ({} newer than the source, {} invalid, {} busy)",
            text::counted(counts.left(), "item"),
            text::count(counts.newer),
            text::count(counts.invalid),
            text::count(counts.busy)
        ));
    }
    let left = report.left.iter();
    lines.extend(left.map(|left| format!("  {}: {}", left.key, left.reason)));
    if let Some(reason) = &report.repair_required {
        lines.push(format!(
            "an item that was created and deleted within one export is in none of them, so a complete repair stays mandatory ({reason})"
        ));
    }
    lines.push(format!("next: {next}"));
    lines.join("\n")
}

fn render_forecast(forecast: &HealForecast) -> String {
    let mut lines = vec![format!(
        "{} of changes from {} to {} ({})",
        text::counted(forecast.exports as u64, "export"),
        moment(forecast.from_ms),
        moment(forecast.to_ms),
        duration(forecast.to_ms.saturating_sub(forecast.from_ms))
    )];
    lines.push(match (forecast.continues, forecast.restarts) {
        (true, _) => "this continues the heal that was interrupted".into(),
        (false, true) => "the tail would be restarted first, behind the gap".into(),
        (false, false) => "the tail was restarted already".to_owned(),
    });
    lines.push(match forecast.changes {
        Some(changes) => format!(
            "about {}, by the rate at which the lanes received changes before the gap",
            text::counted(changes, "change")
        ),
        None => "the lanes received no changes before the gap, so their rate is not known".into(),
    });
    lines.extend(
        forecast
            .earliest_ms
            .map(|earliest| format!("point-in-time recovery keeps changes since {}", moment(earliest))),
    );
    let rows: Vec<_> = forecast.steps.iter().map(row).collect();
    lines.push(String::new());
    lines.push(table(&["step", "GB", "read units", "US dollars"], rows));
    lines.push(format!(
        "together: about ${:.2} (prices of {}, {})",
        forecast.dollars, forecast.prices.region, forecast.prices.as_of
    ));
    lines.join("\n")
}

fn row(step: &HealStep) -> Vec<String> {
    let or_none = |shown: Option<String>| shown.unwrap_or_else(|| "-".into());
    vec![
        step.what.clone(),
        or_none(step.gigabytes.map(|gigabytes| format!("{gigabytes:.3}"))),
        or_none(step.read_units.map(text::count)),
        or_none(step.dollars.map(|dollars| format!("{dollars:.2}"))),
    ]
}

impl Shown for HealView {
    fn title(&self) -> String {
        match self.phase.as_str() {
            "" => "heal: connecting".into(),
            phase => format!("heal: {phase}"),
        }
    }

    fn bars(&self) -> Vec<Bar> {
        let (healed, all) = self.windows;
        if all == 0 {
            return Vec::new();
        }
        vec![Bar {
            name: "exports".into(),
            position: self.keys,
            unit: "key",
            verb: "read again",
            message: format!(
                "{healed} of {all} exports healed, {} repaired",
                text::count(self.repaired)
            ),
            ..Bar::default()
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Prices;
    use crate::repair::LeftKey;
    use crate::state::HealCounts;

    #[test]
    fn a_report_says_what_is_left_and_why_a_repair_must_follow() {
        let report = HealReport {
            from_ms: 0,
            to_ms: 3_600_000,
            exports: vec!["arn".into()],
            counts: HealCounts {
                keys: 7,
                repaired: 3,
                newer: 1,
                billed_bytes: 2_000_000,
                ..HealCounts::default()
            },
            left: vec![LeftKey {
                key: serde_json::json!({ "PK": { "S": "x" } }),
                reason: "orders: newer".into(),
            }],
            repair_required: Some("the tail was restarted".into()),
        };
        let told = render(&report, "run `dynasplit verify --repair`");
        for expected in [
            "from 1970-01-01T00:00:00Z to 1970-01-01T01:00:00Z, by 1 export: 7 keys read again, 3 repaired",
            "bills 1.9 MB of changes",
            "left unchanged: 1 item (1 newer than the source",
            "orders: newer",
            "a complete repair stays mandatory (the tail was restarted)",
            "next: run `dynasplit verify --repair`",
        ] {
            assert!(told.contains(expected), "{expected:?} is not in {told}");
        }
    }

    #[test]
    fn a_forecast_shows_what_is_not_known_as_such() {
        let forecast = HealForecast {
            from_ms: 0,
            to_ms: 90_000_000,
            exports: 2,
            earliest_ms: None,
            restarts: true,
            continues: false,
            changes: None,
            steps: vec![HealStep {
                what: "export the changes".into(),
                gigabytes: None,
                read_units: None,
                dollars: None,
            }],
            dollars: 0.0,
            prices: Prices::published(),
        };
        let told = render_forecast(&forecast);
        assert!(
            told.contains("2 exports of changes from 1970-01-01T00:00:00Z"),
            "{told}"
        );
        assert!(told.contains("their rate is not known"), "{told}");
        let row = told.lines().find(|line| line.contains("export the changes"));
        let unknown = row.map(|row| row.matches(" -").count());
        assert_eq!(unknown, Some(3), "{told}");
    }
}
