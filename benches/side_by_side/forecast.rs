//! What `plan` forecasts of a backfill, against a backfill from and to tables that serve what new tables of AWS serve.

use crate::contender::Kit;
use crate::product::Product;
use crate::stage::{Engine, Setting, Stage};
use crate::trouble::{Told, Tried};
use serde::Serialize;
use serde_json::Value;

/// Read and write units a second of a new on-demand table:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html>.
const RATES: [u64; 2] = [12_000, 4_000];
/// So many items of 1 KB are a copy of some minutes at these rates: what a start and an end take is little of it.
const ITEMS: u64 = 400_000;
/// The first word of the steps of a copy.
const COPY: &str = "backfill: ";

/// A forecast, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct ForecastCheck {
    /// Items of the source.
    pub items: u64,
    /// What is compared.
    pub lines: Vec<Line>,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Of what, with its unit.
    pub what: String,
    /// What `plan` said.
    pub forecast: f64,
    /// What it was.
    pub actual: f64,
}

impl Line {
    /// By how much the forecast is off, as a share of what it was.
    pub fn error(&self) -> f64 {
        (self.forecast - self.actual) / self.actual
    }
}

/// Makes a forecast, copies, and compares.
pub async fn compared(kit: &Kit) -> Tried<ForecastCheck> {
    let items = if kit.args.quick { ITEMS / 20 } else { ITEMS };
    let setting = Setting {
        rates: RATES,
        ..Setting::new(Engine::Null, items, 1)
    };
    let stage = Stage::set(setting).await?;
    let product = Product::on(&stage, kit.args.lease_seconds)?;
    let plan = product.succeed(&["plan", "--all", "--output", "json"]).await?;
    let file = tempfile::NamedTempFile::new().told("the forecast")?;
    std::fs::write(file.path(), plan.stdout).told("the forecast")?;
    let tail = product.begin().await?;
    product.succeed(&Product::backfill(kit.concurrent())).await?;
    let name = file.path().to_string_lossy();
    let status = product
        .succeed(&["status", "--forecast", &name, "--output", "json"])
        .await?;
    tail.stop().await?;
    let status: Value = serde_json::from_str(&status.stdout).told("the status")?;
    let lines = lines(&status["spent"]).told("a status without what was spent")?;
    for line in &lines {
        eprintln!(
            "{}: forecast {:.4}, actual {:.4}, {:+.1} %",
            line.what,
            line.forecast,
            line.actual,
            100.0 * line.error()
        );
    }
    Ok(ForecastCheck { items, lines })
}

/// The steps of the copy, its time and its price.
fn lines(spent: &Value) -> Option<Vec<Line>> {
    let mut lines = vec![Line {
        what: "backfill, seconds".into(),
        forecast: 3600.0 * spent["forecast_backfill_hours"].as_f64()?,
        actual: 3600.0 * spent["backfill_hours"].as_f64()?,
    }];
    let (mut forecast_dollars, mut dollars) = (0.0, 0.0);
    for line in spent["lines"].as_array()? {
        let what = line["what"].as_str()?;
        if !what.starts_with(COPY) {
            continue;
        }
        let forecast = &line["forecast"];
        for kind in ["read", "write"] {
            let actual = line[format!("{kind}_milliunits")].as_f64()? / 1000.0;
            if actual > 0.0 {
                lines.push(Line {
                    what: format!("{what}, {kind} units"),
                    forecast: forecast[format!("{kind}_units")].as_f64()?,
                    actual,
                });
            }
        }
        forecast_dollars += forecast["dollars"].as_f64()?;
        dollars += line["dollars"].as_f64()?;
    }
    lines.push(Line {
        what: "backfill, US dollars".into(),
        forecast: forecast_dollars,
        actual: dollars,
    });
    Some(lines)
}
