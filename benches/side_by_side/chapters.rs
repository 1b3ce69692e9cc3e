//! The run: what is measured, in which order.

use crate::args::{Args, Chapter};
use crate::contender::{Contender, Kit};
use crate::peers::Peers;
use crate::product;
use crate::results::{Case, Results};
use crate::shape::shapings;
use crate::stage::{Engine, Setting, Stage};
use crate::trouble::Tried;
use crate::{forecast, tail, verify, workers};

/// Above so many items, what others made and copies on the embedded engine run once.
pub const SMALL: u64 = 20_000;
const MILLION: u64 = 1_000_000;

/// Measures all that is asked for.
pub async fn run(args: Args) -> Tried<(Kit, Results)> {
    let needs_no_peers = args.no_peers || args.only == [Chapter::Shape];
    let peers = match needs_no_peers {
        true => Peers::default(),
        false => Peers::install().await,
    };
    let kit = Kit {
        args,
        peers,
        knows_orders: product::knows_orders().await?,
    };
    let mut results = Results {
        has_bulk: kit.knows_orders,
        ..Results::default()
    };
    for chapter in [Chapter::Null, Chapter::Embedded] {
        if kit.args.wants(chapter) {
            side_by_side(&kit, chapter, &mut results).await?;
        }
    }
    if kit.args.million {
        million(&kit, &mut results).await?;
    }
    if kit.args.wants(Chapter::Services) {
        services(&kit, &mut results).await?;
    }
    if kit.args.wants(Chapter::Verify) {
        verifies(&kit, &mut results).await?;
    }
    if kit.args.wants(Chapter::Tail) {
        tails(&kit.args, &mut results).await?;
    }
    if kit.args.wants(Chapter::Workers) {
        results.shared = workers::speed_up(&kit).await?;
    }
    if kit.args.wants(Chapter::Forecast) {
        results.forecast = Some(forecast::compared(&kit).await?);
    }
    if kit.args.wants(Chapter::Shape) {
        results.shaped = Some(Box::pin(shapings(&kit.args)).await?);
    }
    Ok((kit, results))
}

fn say(text: &str) {
    eprintln!("{text}");
}

/// How often somebody copies: on the embedded engine, large copies show what is asked for, which every run shows alike,
/// and take minutes.
fn runs(kit: &Kit, setting: &Setting, contender: Contender) -> u32 {
    let is_judged = setting.engine == Engine::Null && contender.is_own();
    match is_judged || setting.items <= SMALL {
        true => kit.args.runs,
        false => 1,
    }
}

async fn side_by_side(kit: &Kit, chapter: Chapter, results: &mut Results) -> Tried<()> {
    let engine = match chapter {
        Chapter::Embedded => Engine::Embedded,
        _ => Engine::Null,
    };
    for &items in &kit.args.items {
        let mut contenders = Contender::all(engine, kit);
        contenders.retain(|contender| kit.args.patient || items <= SMALL || !contender.is_slow());
        compare(kit, Setting::new(engine, items, 1), &contenders, results).await?;
    }
    Ok(())
}

/// Runs take turns, so that what else the machine does hits all alike.
async fn compare(kit: &Kit, setting: Setting, contenders: &[Contender], results: &mut Results) -> Tried<()> {
    let new = |contender: &Contender| Case {
        engine: setting.engine,
        items: setting.items,
        services: setting.services,
        contender: *contender,
        copies: Vec::new(),
    };
    let mut cases: Vec<Case> = contenders.iter().map(new).collect();
    let stage = Stage::set(setting).await?;
    let partiql = false;
    let without = match contenders.iter().all(|contender| contender.takes_partiql()) {
        true => None,
        false => Some(Stage::set(Setting { partiql, ..setting }).await?),
    };
    for run in 0..kit.args.runs {
        for case in &mut cases {
            // Who failed once is told in the report, and not asked again.
            if run >= runs(kit, &setting, case.contender) || (run > 0 && case.copies.is_empty()) {
                continue;
            }
            let stage = match &without {
                Some(without) if !case.contender.takes_partiql() => without,
                _ => &stage,
            };
            let copy = match case.contender.copy(stage, kit).await {
                Ok(copy) => copy,
                Err(trouble) => {
                    let place = format!("{}, {} items", setting.engine.name(), setting.items);
                    say(&format!("{place}: {}: {trouble}", case.contender));
                    results.failed.push((case.contender, place, trouble.to_string()));
                    continue;
                }
            };
            say(&format!(
                "{}, {} items to {}, run {}: {}: {:.1} s, {:.2} s of CPU, {:.1} MiB",
                setting.engine.name(),
                setting.items,
                setting.services,
                run + 1,
                case.contender,
                copy.copy_seconds,
                copy.used.cpu_seconds,
                copy.used.peak_bytes as f64 / f64::from(1 << 20),
            ));
            case.copies.push(copy);
        }
    }
    results
        .cases
        .extend(cases.into_iter().filter(|case| !case.copies.is_empty()));
    Ok(())
}

async fn million(kit: &Kit, results: &mut Results) -> Tried<()> {
    let mut contenders = Contender::all(Engine::Null, kit);
    contenders.retain(|contender| contender.is_own());
    compare(kit, Setting::new(Engine::Null, MILLION, 1), &contenders, results).await
}

async fn services(kit: &Kit, results: &mut Results) -> Tried<()> {
    for &items in &kit.args.items {
        for &services in &kit.args.services {
            if results
                .find(Engine::Null, items, services, Contender::Concurrent)
                .is_some()
            {
                continue;
            }
            let mut contenders = vec![Contender::Concurrent];
            contenders.extend(results.has_bulk.then_some(Contender::Bulk));
            compare(
                kit,
                Setting::new(Engine::Null, items, services),
                &contenders,
                results,
            )
            .await?;
        }
    }
    Ok(())
}

async fn verifies(kit: &Kit, results: &mut Results) -> Tried<()> {
    for &items in &kit.args.items {
        let stage = Stage::set(Setting::new(Engine::Embedded, items, 1)).await?;
        let mut runs = Vec::new();
        for _ in 0..kit.args.runs {
            let verified = verify::verify(&stage, kit).await?;
            say(&format!(
                "verify of {items} items: {:.3} of point reads",
                verified.share()
            ));
            runs.push(verified);
        }
        results.verified.push((Engine::Embedded, runs));
    }
    Ok(())
}

async fn tails(args: &Args, results: &mut Results) -> Tried<()> {
    for &records in &args.backlog {
        for null_targets in [false, true] {
            let mut runs = Vec::new();
            for _ in 0..args.runs {
                let run = tail::catch_up(args, records, null_targets).await?;
                say(&format!(
                    "{records} records caught up with in {:.1} s",
                    run.seconds
                ));
                runs.push(run);
            }
            results.caught_up.push((null_targets, runs));
        }
    }
    for _ in 0..args.runs {
        let lag = tail::lag(args).await?;
        say(&format!(
            "lag at {:.0}/s: {:.0} ms, p99 {:.0} ms",
            lag.rate,
            lag.at(0.5),
            lag.at(0.99)
        ));
        results.lags.push(lag);
    }
    Ok(())
}
