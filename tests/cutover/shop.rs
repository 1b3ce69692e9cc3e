//! A split with two services that share no items, flags that hooks set, and an application that obeys them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::application::{Application, Tables, Written};
use crate::support::contents::{self, Plain};
use crate::support::faulty::{Policies, Script, role_arn};
use crate::support::process::{Cli, Done, LIMIT, Running};
use crate::support::stage::{LEASE_SECONDS, Stage};
use crate::support::table::{self, item, number, text};
use crate::support::trial::{Mode, STAMP};
use crate::support::{Engine, unique};

pub const CUTOVER: &[&str] = &["cutover", "--service", "people", "--yes"];
pub const CANCEL: &[&str] = &["cutover", "--service", "people", "--cancel", "--yes"];
pub const ROLLBACK: &[&str] = &["rollback", "--service", "people", "--yes"];
pub const CANCEL_ROLLBACK: &[&str] = &["rollback", "--service", "people", "--cancel", "--yes"];

/// Between two looks at something that is waited for.
const POLL: Duration = Duration::from_millis(300);

/// The script of every hook: it sets a flag, or fails or hangs if a file says so.
const SCRIPT: &str = r#"#!/bin/sh
set -eu
cd "$(dirname "$0")"
hook=$1
echo "$hook of $DYNASPLIT_SERVICE" >>calls
if [ -e "fail.$hook" ]; then echo "the $hook hook fails" >&2; exit 7; fi
if [ -e "hang.$hook" ]; then sleep 600; fi
if [ $# -eq 3 ]; then
    printf '%s\n' "$3" >"$DYNASPLIT_SERVICE.$2.new"
    mv "$DYNASPLIT_SERVICE.$2.new" "$DYNASPLIT_SERVICE.$2"
fi
"#;

/// The hooks of the plan: name, and the flag that it sets.
const HOOKS: [(&str, &str); 13] = [
    ("before-fence", ""),
    ("fence", "source, stop"),
    ("fenced", ""),
    ("drained", ""),
    ("before-switch", ""),
    ("switch", "target, write"),
    ("switched", ""),
    ("unfence", "source, write"),
    ("cancelled", ""),
    ("fence-target", "target, stop"),
    ("unfence-target", "target, write"),
    ("rollback", "source, write"),
    ("failed", ""),
];

/// The same, if a policy is the fence: the application writes where it wrote before, and is refused.
const HOOKS_BESIDE_A_POLICY: [(&str, &str); 3] = [
    ("switch", "target, write"),
    ("rollback", "target, stop"),
    ("cancelled", ""),
];

/// How the writers of the service are stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FencedBy {
    /// The application reads flags that hooks set.
    Hooks,
    /// A policy refuses the writes of the application, which knows nothing of it. The engine is a scripted one.
    Policy,
}

/// The role by which the application writes, where policies are enforced.
pub fn application_role() -> String {
    role_arn("application")
}

/// A split with its application.
pub struct Shop {
    pub stage: Stage,
    pub cli: Cli,
    pub people: String,
    pub orders: String,
    /// The table of a service that receives the people whose `kind` is `shared`, if there is one.
    pub copy: Option<String>,
    fenced_by: FencedBy,
    /// What a policy denies.
    scope: &'static str,
    drain: &'static str,
    folder: TempDir,
}

impl Shop {
    /// A split that is verified, whose tail runs, and whose application writes.
    pub async fn open(mode: Mode) -> (Self, Running, Application) {
        Self::open_on(Engine::embedded().await, mode).await
    }

    /// The same, on another engine.
    pub async fn open_on(engine: Engine, mode: Mode) -> (Self, Running, Application) {
        Self::set(engine, mode, FencedBy::Hooks, None)
            .await
            .opened()
            .await
    }

    /// The same, with another drain than by quiet.
    pub async fn open_drained(
        engine: Engine,
        mode: Mode,
        drain: &'static str,
    ) -> (Self, Running, Application) {
        let mut shop = Self::set(engine, mode, FencedBy::Hooks, None).await;
        shop.drain_by(drain);
        shop.opened().await
    }

    /// Writes another drain into the plan.
    fn drain_by(&mut self, drain: &'static str) {
        let path = self.path("plan.yaml");
        let plan = std::fs::read_to_string(&path).expect("the plan is read");
        let plan = plan.replace(&format!("drain: {}\n", self.drain), &format!("drain: {drain}\n"));
        assert!(plan.contains(drain), "the plan has a drain");
        std::fs::write(path, plan).expect("the plan is written");
        self.drain = drain;
    }

    /// The same, with a third service that receives the people whose `kind` is `shared`, and one of them.
    pub async fn open_with_copy(engine: Engine, mode: Mode) -> (Self, Running, Application) {
        let shop = Self::set(engine, mode, FencedBy::Hooks, Some(unique("copy"))).await;
        let shared = item("PER#900", "P", [("n", number(1)), ("kind", text("shared"))]);
        table::put(&shop.stage.client, &shop.stage.trial.source, shared).await;
        shop.opened().await
    }

    /// The same, with a policy as the fence. `policy` is that of the source before.
    pub async fn open_with_policy(mode: Mode, policy: Option<&str>) -> (Self, Running, Application) {
        Self::open_with_policy_of(mode, "prefix", policy).await
    }

    /// The same, with another scope of the policy than a prefix.
    pub async fn open_with_policy_of(
        mode: Mode,
        scope: &'static str,
        policy: Option<&str>,
    ) -> (Self, Running, Application) {
        let engine = Engine::scripted(Script::quiet(0)).await;
        let mut shop = Self::set(engine, mode, FencedBy::Policy, None).await;
        shop.scope_of_policy(scope);
        if let Some(policy) = policy {
            shop.policies().set(&shop.stage.trial.source, policy);
        }
        shop.opened().await
    }

    fn scope_of_policy(&mut self, scope: &'static str) {
        let path = self.path("plan.yaml");
        let plan = std::fs::read_to_string(&path).expect("the plan is read");
        let plan = plan.replace(&format!("scope: {}", self.scope), &format!("scope: {scope}"));
        assert!(plan.contains(&format!("scope: {scope}")), "the plan has a policy");
        std::fs::write(path, plan).expect("the plan is written");
        self.scope = scope;
    }

    async fn opened(self) -> (Self, Running, Application) {
        let shop = self;
        let tail = shop.cli.begin().await;
        let application = shop.application(Written::default());
        until_written(&application, |written| written.source >= 40).await;
        shop.succeed(&["backfill"]).await;
        shop.verify().await;
        (shop, tail, application)
    }

    async fn set(engine: Engine, mode: Mode, fenced_by: FencedBy, copy: Option<String>) -> Self {
        let stage = Stage::set(engine, mode).await;
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("hook.sh");
        std::fs::write(&script, SCRIPT).expect("the script is written");
        let (people, orders, split) = (unique("people"), unique("orders"), unique("shop"));
        let path = folder.path().join("plan.yaml");
        let shop = Self {
            cli: Cli::new(path.clone(), stage.engine.endpoint(), LEASE_SECONDS),
            stage,
            people,
            orders,
            copy,
            fenced_by,
            scope: "prefix",
            drain: "{ quiet-for: 1 }",
            folder,
        };
        std::fs::write(path, shop.plan(&split)).expect("the plan is written");
        let line = item("ORD#1", "L", [("n", number(1))]);
        table::put(&shop.stage.client, &shop.stage.trial.source, line).await;
        shop
    }

    fn plan(&self, split: &str) -> String {
        let timestamp = match self.stage.trial.mode {
            Mode::Timestamp => "{ attribute: n, type: N }",
            Mode::Sequence => "none",
        };
        let (source, orders, people) = (&self.stage.trial.source, &self.orders, &self.people);
        let (script, drain) = (self.folder.path().join("hook.sh"), self.drain);
        let hooks: String = self
            .hooks()
            .iter()
            .map(|(name, flag)| {
                let flag = if flag.is_empty() {
                    String::new()
                } else {
                    format!(", {flag}")
                };
                format!(
                    "  {name}: {{ run: [sh, '{}', {name}{flag}], timeout: 5 }}\n",
                    script.display()
                )
            })
            .collect();
        let copy = self.copy.as_ref().map_or_else(String::new, |table| {
            format!(
                "  - name: copy
    where: begins_with(PK, 'PER#') AND kind = 'shared'
    owns: nothing
    table:
      name: {table}
      keys: {{ partition: id, sort: part }}
    transform:
      keys:
        from: {{ PK: 'PER#{{id}}', SK: '{{part}}' }}
        to: {{ id: '{{id}}', part: '{{part}}' }}
      keep: [kind, n]
"
            )
        });
        let (mut policy, mut source_role, mut table_role) = (String::new(), String::new(), String::new());
        if self.fenced_by == FencedBy::Policy {
            let (own, application) = (role_arn("dynasplit"), application_role());
            policy = format!(
                ", policy: {{ scope: prefix, probe-roles: ['{application}'], target-probe-roles: ['{application}'] }}"
            );
            source_role = format!("  role: {own}\n");
            table_role = format!("      role: {own}\n");
        }
        format!(
            r"version: 1
split: {split}
source:
  table: {source}
  keys: {{ partition: PK, sort: SK }}
{source_role}timestamp: {timestamp}
unrouted: fail
fence: {{ prove-for: 1{policy} }}
drain: {drain}
hooks:
{hooks}services:
  - name: orders
    where: begins_with(PK, 'ORD#')
    owns: items
    table:
      name: {orders}
      keys: {{ partition: PK, sort: SK }}
  - name: people
    where: begins_with(PK, 'PER#')
    owns: items
    table:
      name: {people}
      keys: {{ partition: id, sort: part }}
{table_role}    transform:
      keys:
        from: {{ PK: 'PER#{{id}}', SK: '{{part}}' }}
        to: {{ id: '{{id}}', part: '{{part}}' }}
      drop: [PK, SK, secret]
      rename: {{ amount: total }}
{copy}"
        )
    }

    fn hooks(&self) -> &'static [(&'static str, &'static str)] {
        match self.fenced_by {
            FencedBy::Hooks => &HOOKS,
            FencedBy::Policy => &HOOKS_BESIDE_A_POLICY,
        }
    }

    /// The policies of the tables.
    pub fn policies(&self) -> &Policies {
        self.stage.engine.faults().policies()
    }

    /// The policy of the source.
    pub fn source_policy(&self) -> Option<String> {
        self.policies().policy(&self.stage.trial.source)
    }

    /// The policy of the service's own table.
    pub fn target_policy(&self) -> Option<String> {
        self.policies().policy(&self.people)
    }

    /// The application, which goes on after what it wrote before.
    pub fn application(&self, written: Written) -> Application {
        let tables = Tables {
            client: match self.fenced_by {
                FencedBy::Hooks => self.stage.client.clone(),
                FencedBy::Policy => self.stage.engine.dynamodb_as(&application_role()),
            },
            source: self.stage.trial.source.clone(),
            target: self.people.clone(),
            flags: self.folder.path().to_owned(),
        };
        Application::start(tables, written, self.stage.seed, 100)
    }

    /// Lets a hook fail, hang, or work again.
    pub fn spoil(&self, how: &str, hook: &str) {
        std::fs::write(self.path(&format!("{how}.{hook}")), "").expect("a file");
    }

    /// See [`Shop::spoil`].
    pub fn mend(&self, how: &str, hook: &str) {
        std::fs::remove_file(self.path(&format!("{how}.{hook}"))).expect("a file is removed");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How often a hook was run.
    pub fn calls(&self, hook: &str) -> usize {
        let calls = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        let line = format!("{hook} of people");
        calls.lines().filter(|call| *call == line).count()
    }

    /// A clean verify while the application writes: what it wrote at the same moment is looked at once more.
    pub async fn verify(&self) {
        let words = ["verify"];
        for _ in 0..3 {
            if self.run(&self.cli, &words).await.code == Some(0) {
                return;
            }
        }
        self.succeed(&words).await;
    }

    pub async fn cutover(&self) -> Done {
        self.succeed(CUTOVER).await
    }

    /// Runs a command that must succeed.
    pub async fn succeed(&self, words: &[&str]) -> Done {
        self.run(&self.cli, words).await.with_code(words, 0)
    }

    /// Runs a command. On a busy machine, the worker may give no sign of life for longer than its lease lasts: a command that
    /// refuses for this reason is run again.
    pub async fn run(&self, cli: &Cli, words: &[&str]) -> Done {
        let began = Instant::now();
        loop {
            let done = cli.run(words).await;
            let is_starved = [&done.stdout, &done.stderr]
                .iter()
                .any(|text| text.contains("no live worker"));
            if !is_starved || done.code == Some(0) || began.elapsed() >= LIMIT {
                return done;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The cutover of the service, as `status` shows it.
    pub async fn stand(&self) -> Value {
        let status = self.cli.look().await;
        let cutovers = status["cutovers"].as_array().expect("cutovers").clone();
        cutovers
            .into_iter()
            .find(|each| each["service"] == "people")
            .unwrap_or(Value::Null)
    }

    /// Where the service is.
    pub async fn phase(&self) -> String {
        self.stand().await["phase"].as_str().unwrap_or("none").to_owned()
    }

    /// Waits until both sides hold what the application wrote, which has stopped.
    ///
    /// # Panics
    /// With the differences, where that does not come.
    pub async fn assert_both_sides(&self, written: &Written) {
        let began = Instant::now();
        loop {
            let wrong = self.wrong(written).await;
            if wrong.is_empty() {
                return;
            }
            let status = self.cli.look().await;
            assert!(
                began.elapsed() < LIMIT,
                "the sides differ from what was written:\n{}\n{:#}",
                wrong.join("\n"),
                status["cutovers"]
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// What differs from what the application wrote, on each side.
    pub async fn wrong(&self, written: &Written) -> Vec<String> {
        let (client, mut wrong) = (&self.stage.client, Vec::new());
        let mut source = contents::read(client, &self.stage.trial.source).await;
        source.retain(|key, _| matches!(&key[0], Plain::Text(pk) if pk.starts_with("PER#")));
        let target = contents::read(client, &self.people).await;
        for (side, amount, found) in [("source", "amount", &source), ("target", "total", &target)] {
            for (id, person) in &written.people {
                let key = match side {
                    "source" => vec![Plain::Text(format!("PER#{id}")), Plain::Text("P".into())],
                    _ => vec![Plain::Text(id.to_string()), Plain::Text("P".into())],
                };
                let Some(item) = found.get(&key) else {
                    wrong.push(format!("{side}: {id} is missing, {person:?}"));
                    continue;
                };
                let value = |name: &str| item.get(name).cloned();
                let is_right =
                    value("n") == Some(plain(person.n)) && value(amount) == Some(plain(person.n * 10));
                let is_kept = side == "target"
                    || person
                        .secret
                        .is_none_or(|secret| value("secret") == Some(plain(secret)));
                let reserved = item.keys().filter(|name| name.starts_with("dynasplit:"));
                let is_clean = side == "source" || reserved.into_iter().all(|name| name == STAMP);
                if !(is_right && is_kept && is_clean) {
                    wrong.push(format!("{side}: {id} should be {person:?}, and is {item:?}"));
                }
            }
            if found.len() != written.people.len() {
                wrong.push(format!(
                    "{side}: {} items, and {} people",
                    found.len(),
                    written.people.len()
                ));
            }
        }
        wrong
    }
}

fn plain(value: u64) -> Plain {
    Plain::Number(value.into())
}

/// Waits until the application has written something.
pub async fn until_written(application: &Application, is: impl Fn(&Written) -> bool) {
    let began = Instant::now();
    while !is(&application.written().await) {
        assert!(began.elapsed() < LIMIT, "the application does not write");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ends a worker, which must end well.
pub async fn end(tail: Running) {
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}
