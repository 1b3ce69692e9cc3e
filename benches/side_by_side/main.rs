//! The benchmark: one table copied in several ways, side by side on one engine.
//!
//! `cargo bench --bench side_by_side -- --help` tells the options, `docs/performance.md` what is measured and how. In short:
//! everybody is a process of its own ([`process`]), copies the same items ([`items`]) on the same server ([`host`]), which
//! counts what each of them asks for, and is looked at afterwards ([`stage`]).
//!
//! | file | is |
//! |---|---|
//! | `host/` | the server: an embedded engine, or a null endpoint, behind a front that counts |
//! | `floor.rs` | the bare SDK loop |
//! | `product.rs` | the product's own binary |
//! | `peers.rs`, `benches/peers/` | what a user might take instead |
//! | `contender.rs`, `verify.rs`, `tail.rs`, `workers.rs`, `forecast.rs` | one measurement each |
//! | `shape/` | shaping of an export |
//! | `chapters.rs`, `results.rs` | all of them, and their medians |
//! | `report/` | Markdown, JSON, and the bars |

mod args;
mod chapters;
mod contender;
mod floor;
mod forecast;
mod host;
mod items;
mod peers;
mod process;
mod product;
mod report;
mod results;
mod shape;
mod size;
mod stage;
mod tail;
mod tally;
mod trouble;
mod verify;
mod wire;
mod workers;

use args::{Args, Part};
use clap::Parser;
use std::process::ExitCode;
use trouble::{Told, Tried};

/// The product's: what the floor is measured for is what the product adds to it, and an allocator is nothing that it adds.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.part.clone() {
        Some(Part::Host(host)) => host.run().map(|()| ExitCode::SUCCESS),
        Some(Part::Floor(floor)) => floor.run().map(|()| ExitCode::SUCCESS),
        Some(Part::Measured(measured)) => {
            // Only whether it succeeded is asked.
            let code = measured.run().map(|code| u8::try_from(code).unwrap_or(u8::MAX));
            code.map(ExitCode::from)
        }
        None => run(args.settled()),
    };
    done.unwrap_or_else(|trouble| {
        eprintln!("error: {trouble}");
        ExitCode::FAILURE
    })
}

fn run(args: Args) -> Tried<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .told("a runtime")?;
    runtime.block_on(async {
        items::check()?;
        let (began, load) = (std::time::Instant::now(), report::load());
        let (kit, results) = chapters::run(args).await?;
        let report = report::Report::of(&kit, &results, began.elapsed(), load);
        println!("{}", report.markdown());
        if let Some(path) = &kit.args.output {
            let before = std::fs::read_to_string(path).unwrap_or_default();
            std::fs::write(path, report.placed(&before)).told("the report")?;
        }
        if let Some(path) = &kit.args.json {
            std::fs::write(path, report.json()).told("the figures")?;
        }
        Ok(match results.has_own_failure() {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    })
}
