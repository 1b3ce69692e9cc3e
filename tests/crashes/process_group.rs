//! A group of processes of one kind. The group has one or two members, and a seed arms failpoints in each of them.

use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::crashes::report::Report;
use crate::support::process::{Cli, Done, LIMIT, Running};
use crate::support::stage::LEASE_SECONDS;

/// A kind of process.
pub struct Kind {
    /// The command.
    pub words: &'static [&'static str],
    /// Prefixes of the failpoints that it comes to.
    pub points: &'static [&'static str],
    /// Exit codes that are no failure, while others are killed beside it.
    pub codes: &'static [i32],
}

/// The tail.
pub const REPLICATE: Kind = Kind {
    words: &["replicate"],
    points: &[
        "tail.",
        "lease.",
        "capture.",
        "tombstones.acknowledging",
        "state.shard.",
        "state.worker.",
        "state.recheck.put",
        "state.split.put",
    ],
    codes: &[0],
};
/// The backfill.
pub const BACKFILL: Kind = Kind {
    // Slow, so that it is under fire for a while.
    words: &["backfill", "--read-units", "6", "--workers", "2"],
    points: &[
        "backfill.",
        "probe.",
        "tombstones.",
        "sweep.",
        "recheck.",
        "lease.",
        "state.segment.put",
        "state.backfill.",
        "state.split.put",
        "state.recheck.delete",
        "state.worker.delete",
    ],
    codes: &[0, 3],
};
/// The backfill in the other order.
pub const BULK: Kind = Kind {
    words: &[
        "backfill",
        "--order",
        "bulk",
        "--read-units",
        "6",
        "--workers",
        "2",
    ],
    points: &[
        "bulk.",
        "backfill.page-read",
        "backfill.checkpoint.",
        "backfill.copied",
        "lease.",
        "state.segment.put",
        "state.backfill.",
        "state.split.put",
        "state.worker.delete",
    ],
    codes: &[0, 3],
};
/// A repair. It may find that another one runs or took over, that the backfill has not ended, or (while tails are dead)
/// differences.
pub const REPAIR: Kind = Kind {
    words: &["verify", "--repair", "--discard-target-writes"],
    points: &[
        "repair.",
        "tombstones.",
        "sweep.",
        "recheck.",
        "lease.",
        "state.repair.",
        "state.verify.",
        "state.split.put",
    ],
    codes: &[0, 1, 3, 4],
};
/// Dead letters. There may be none; or another one, or a repair, runs or took over.
pub const RECONCILE: Kind = Kind {
    words: &["dead-letters", "reconcile"],
    points: &[
        "letters.",
        "tombstones.",
        "sweep.",
        "state.repair.",
        "state.letter",
    ],
    codes: &[0, 1, 3, 4],
};
/// What exists is looked at, and left. Of two, each finds what the other one did.
pub const APPLY: Kind = Kind {
    words: &["apply"],
    points: &[
        "apply.state-table.",
        "apply.stream.",
        "apply.target-table.",
        "state.split.put",
        "state.service.put",
    ],
    codes: &[0],
};
/// The end. It refuses while anything is not clean. Of two, each goes on where the other one is, or finds it done.
pub const COMPLETE: Kind = Kind {
    words: &["complete", "--yes", "--quiet-for", "1"],
    points: &[
        "complete.",
        "state.split.put",
        "state.service.put",
        "state.worker.delete",
    ],
    // One that finds that a tail was killed just now refuses.
    codes: &[0, 3],
};

/// The processes of a kind.
pub struct ProcessGroup {
    kind: &'static Kind,
    /// Failpoints that all of them have.
    habit: String,
    running: Vec<Member>,
}

struct Member {
    running: Running,
    standing: Standing,
}

/// Whether a process stands still.
#[derive(Clone, Copy)]
enum Standing {
    /// It never did.
    Runs,
    /// Until then.
    Still(Instant),
    /// It goes on. What it said of it stays on its stderr, so it is asked no more.
    GoesOn,
}

/// How heavily a process is armed.
const KILLED: (u32, u32) = (3, 5);
const STOPPED: (u32, u32) = (1, 4);
const SLOW: (u32, u32) = (1, 3);
const LOSSY: (u32, u32) = (1, 5);

impl Kind {
    /// Failpoints for a process, as chance has it.
    pub fn faults(&self, rng: &mut StdRng) -> String {
        let points: Vec<String> = crate::crashes::deaths::points()
            .filter(|point| self.points.iter().any(|prefix| point.starts_with(prefix)))
            .collect();
        let requests: Vec<&String> = points.iter().filter(|point| is_request(point)).collect();
        let mut faults = Vec::new();
        let draw = |rng: &mut StdRng, odds: (u32, u32)| rng.random_ratio(odds.0, odds.1);
        if draw(rng, KILLED) {
            let point = points.choose(rng).expect("a point");
            faults.push(format!("{point}@{}=kill", pass(rng)));
        } else if draw(rng, STOPPED) {
            let point = points.choose(rng).expect("a point");
            faults.push(format!("{point}@{}=stop", pass(rng)));
        }
        if draw(rng, SLOW) {
            let late: Vec<&String> = points
                .iter()
                .filter(|point| LATE.contains(&point.as_str()))
                .collect();
            let any = points.choose(rng).expect("a point");
            let point = late
                .choose(rng)
                .filter(|_| rng.random())
                .map_or(any, |late| *late);
            faults.push(format!(
                "{point}@/{}=delay:{}",
                rng.random_range(1..12),
                rng.random_range(50..2500)
            ));
        }
        if draw(rng, LOSSY) {
            let point = requests.choose(rng).expect("a request");
            faults.push(format!("{point}@/{}=error", rng.random_range(3..30)));
        }
        faults.join(",")
    }
}

/// Between a read of the source and the write that carries it: where a wait hurts most.
const LATE: [&str; 7] = [
    "backfill.page-read",
    "backfill.put.before",
    "bulk.put.before",
    "recheck.put.before",
    "repair.put.before",
    "letters.put.before",
    "tombstones.acknowledging",
];

/// Which pass: early ones more often.
fn pass(rng: &mut StdRng) -> u32 {
    match rng.random_range(0..8) {
        0..4 => 1,
        4..6 => rng.random_range(1..6),
        6 => rng.random_range(1..30),
        _ => rng.random_range(1..150),
    }
}

fn is_request(point: &str) -> bool {
    dynasplit::fault::REQUESTS.iter().any(|name| {
        point
            .strip_prefix(name)
            .is_some_and(|side| side == ".before" || side == ".after")
    })
}

impl ProcessGroup {
    /// Nobody yet.
    pub fn of(kind: &'static Kind) -> Self {
        Self {
            kind,
            habit: String::new(),
            running: Vec::new(),
        }
    }

    /// The same, of whom all have these failpoints as well.
    pub fn with_habit(self, habit: String) -> Self {
        Self { habit, ..self }
    }

    /// Looks after those that run, and starts processes until there are as many as wanted.
    pub async fn ensure(&mut self, cli: &Cli, wanted: usize, rng: &mut StdRng, report: &mut Report) {
        self.tend(rng, report).await;
        while self.running.len() < wanted {
            let faults = format!("{},{}", self.habit, self.kind.faults(rng));
            self.join(cli.armed(&faults).start(self.kind.words), report);
        }
    }

    /// Starts a tail without failpoints, beside those that there are, and ends those that wait at failpoints: each of their writes
    /// may take seconds, and nobody takes the lanes of a process that lives. It has begun when this returns.
    pub async fn ensure_sound(&mut self, cli: &Cli, report: &mut Report) {
        let began = Instant::now();
        loop {
            let mut sound = cli.start(self.kind.words);
            while !sound.has_ended() && !sound.told().contains("reading shard") {
                // Another one may have all the shards, or a bulk copy holds the lanes.
                let told = sound.told();
                if told.contains("tailing;") || told.contains("no lane moves") {
                    break;
                }
                assert!(began.elapsed() < LIMIT, "it does not begin: {}", sound.told());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if !sound.has_ended() {
                self.end_slow(report).await;
                return self.join(sound, report);
            }
            self.take_out(sound.end().await, report);
        }
    }

    async fn end_slow(&mut self, report: &mut Report) {
        let (slow, others) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|member| member.running.faults().contains("=delay:"));
        self.running = slow;
        self.give_up(report).await;
        self.running = others;
    }

    fn join(&mut self, running: Running, report: &mut Report) {
        *report.started.entry(running.name().to_owned()).or_default() += 1;
        let standing = Standing::Runs;
        self.running.push(Member { running, standing });
    }

    /// Removes processes that have ended, and continues those that were suspended for long enough.
    pub async fn tend(&mut self, rng: &mut StdRng, report: &mut Report) {
        for mut member in std::mem::take(&mut self.running) {
            if member.running.has_ended() {
                self.take_out(member.running.end().await, report);
                continue;
            }
            match member.standing {
                Standing::Runs if member.running.stands_still() => {
                    member.standing = Standing::Still(Instant::now() + held_up(rng));
                    report.stops += 1;
                }
                Standing::Still(until) if Instant::now() > until => {
                    member.running.signal("CONT");
                    member.standing = Standing::GoesOn;
                }
                _ => {}
            }
            self.running.push(member);
        }
    }

    fn take_out(&self, done: Done, report: &mut Report) {
        if report.deaths.note(&done) {
            return;
        }
        let words = self.kind.words.join(" ");
        assert!(
            done.is_unreached()
                || done.code.is_some_and(|code| self.kind.codes.contains(&code))
                    && !done.stderr.contains("panicked"),
            "`{words}` ended with {:?} (signal {:?})\nstdout: {}\nstderr: {}",
            done.code,
            done.signal,
            done.stdout,
            done.stderr
        );
        let end = format!("{words} {}", done.code.unwrap_or(-1));
        *report.ended.entry(end).or_default() += 1;
    }

    /// Starts one that dies at a failpoint, unless there is one.
    pub fn doom(&mut self, cli: &Cli, point: &str, report: &mut Report) {
        let faults = format!("{point}=kill");
        let mut running = self.running.iter();
        if running.all(|member| member.running.faults() != faults) {
            self.join(cli.armed(&faults).start(self.kind.words), report);
        }
    }

    /// Kills one from outside, or holds it up for longer than its lease. Whoever stands still is let be.
    pub async fn strike(&mut self, rng: &mut StdRng, report: &mut Report) {
        self.tend(rng, report).await;
        let awake: Vec<usize> = (0..self.running.len())
            .filter(|place| !matches!(self.running[*place].standing, Standing::Still(_)))
            .collect();
        let Some(place) = awake.choose(rng) else { return };
        let mut victim = self.running.swap_remove(*place);
        if rng.random_ratio(1, 4) {
            victim.running.signal("STOP");
            victim.standing = Standing::Still(Instant::now() + held_up(rng));
            report.held += 1;
            self.running.push(victim);
        } else {
            victim.running.kill().await;
            report.kills += 1;
        }
    }

    /// Kills all that have not ended.
    pub async fn give_up(&mut self, report: &mut Report) {
        for mut member in std::mem::take(&mut self.running) {
            if member.running.has_ended() {
                self.take_out(member.running.end().await, report);
            } else {
                member.running.kill().await;
                report.cleared += 1;
            }
        }
    }

    /// Lets all that stand still go on, and hands them over.
    pub fn hand_over(&mut self) -> Vec<Running> {
        self.running
            .drain(..)
            .map(|member| {
                member.running.signal("CONT");
                member.running
            })
            .collect()
    }
}

/// Longer than a lease, by more or less.
fn held_up(rng: &mut StdRng) -> Duration {
    Duration::from_millis(LEASE_SECONDS * 1000 + rng.random_range(300..3000))
}
