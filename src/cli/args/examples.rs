//! An example of each command, shown at the end of its help.

pub(super) const INIT: &str = "Examples: from a live table, and from a file of items
  dynasplit init Shop --write plan.yaml
  dynasplit init Shop --from-file items.jsonl --keys PK,SK --write plan.yaml";

pub(super) const PLAN: &str = "Example: read every item, and forecast a backfill with these budgets
  dynasplit plan plan.yaml --all --read-units 2000 --write-units 1000";

pub(super) const APPLY: &str = "Example:
  dynasplit apply plan.yaml";

pub(super) const REPLICATE: &str = "Example: use at most 500 write units per second on each table
  dynasplit replicate plan.yaml --write-units 500";

pub(super) const BACKFILL: &str = "Examples: leave room for production, or copy an export
  dynasplit backfill plan.yaml --read-units 2000 --write-units 1000
  dynasplit backfill plan.yaml --from-export s3://my-bucket/split/AWSDynamoDB/01234567890123-a1b2c3d4/";

pub(super) const EXPORT_START: &str = "Example:
  dynasplit export start plan.yaml --to s3://my-bucket/split";

pub(super) const VERIFY: &str = "Examples: compare everything, then repair what differs
  dynasplit verify plan.yaml --list mismatches.jsonl
  dynasplit verify plan.yaml --repair";

pub(super) const STATUS: &str = "Examples: look at the split once or all the time, and check it from a script
  dynasplit status plan.yaml
  dynasplit status plan.yaml --watch
  dynasplit status plan.yaml --check --max-lag 600";

pub(super) const REPORT: &str = "Example: with the estimate that `plan` made before the split
  dynasplit plan plan.yaml --all --output json > forecast.json
  dynasplit report plan.yaml --html split.html --forecast forecast.json";

pub(super) const WAIT: &str = "Example: wait at most one hour for the lanes
  dynasplit wait plan.yaml --for caught-up --timeout 3600";

pub(super) const TUNE: &str = "Examples: slow one service down, then go back to the options
  dynasplit tune plan.yaml --write-units orders=200
  dynasplit tune plan.yaml --reset";

pub(super) const LETTERS_LIST: &str = "Example:
  dynasplit dead-letters list plan.yaml --service orders";

pub(super) const LETTERS_SHOW: &str = "Example: take the id from `dynasplit dead-letters list`
  dynasplit dead-letters show plan.yaml 4b1f0c2d";

pub(super) const LETTERS_RECONCILE: &str = "Example: after you have corrected the items in the source
  dynasplit dead-letters reconcile plan.yaml --service orders";

pub(super) const LETTERS_DISCARD: &str = "Example: after the items were corrected in the service's own table
  dynasplit dead-letters discard plan.yaml --service orders";

pub(super) const LEDGER_SHOW: &str = "Examples:
  dynasplit ledger show plan.yaml --key '{\"PK\": {\"S\": \"COURSE#1\"}, \"SK\": {\"S\": \"INFO\"}}'
  dynasplit ledger show plan.yaml --since 2026-11-28T14:00:00Z --output json";

pub(super) const LEDGER_CHECK: &str = "Example:
  dynasplit ledger check plan.yaml";

pub(super) const LEDGER_REPLAY: &str = "Example: after something else has changed the table of a service
  dynasplit ledger replay plan.yaml --service orders --since 2026-11-28T14:00:00Z";

pub(super) const HEAL: &str = "Examples: see what it costs, then heal
  dynasplit heal plan.yaml --from-exports --dry-run
  dynasplit heal plan.yaml --from-exports --to s3://my-bucket/heal --yes";

pub(super) const CUTOVER: &str =
    "Examples: show the steps, then cut a service over, with a pause of at most 30 seconds
  dynasplit cutover plan.yaml --service orders --dry-run
  dynasplit cutover plan.yaml --service orders --max-pause 30s --yes";

pub(super) const ROLLBACK: &str = "Example:
  dynasplit rollback plan.yaml --service orders --max-pause 2min --yes";

pub(super) const PAUSE: &str = "Example:
  dynasplit pause plan.yaml --service orders";

pub(super) const RESUME: &str = "Example:
  dynasplit resume plan.yaml --service orders";

pub(super) const SWITCHED: &str = "Examples: record a switch, and take it back
  dynasplit switched plan.yaml --service orders
  dynasplit switched plan.yaml --service orders --undo";

pub(super) const REVERSE_LIST: &str = "Example:
  dynasplit reverse list plan.yaml --service orders";

pub(super) const REVERSE_SHOW: &str = "Example: take the id from `dynasplit reverse list --service orders`
  dynasplit reverse show plan.yaml orders#4b1f0c2d";

pub(super) const REVERSE_SETTLE: &str = "Example: what the service's own table holds is right
  dynasplit reverse settle plan.yaml --service orders --overwrite";

pub(super) const COMPLETE: &str = "Example: after every service has switched
  dynasplit complete plan.yaml --yes";

pub(super) const PRUNE: &str = "Examples: count, then delete
  dynasplit prune plan.yaml --service orders --dry-run
  dynasplit prune plan.yaml --service orders --yes
  dynasplit prune plan.yaml --service orders --target --yes";

pub(super) const ABANDON: &str = "Examples: list what belongs to the split, then give up one service
  dynasplit abandon plan.yaml
  dynasplit abandon plan.yaml --service orders --yes";

pub(super) const REHEARSE: &str = "Example: load 20,000 items, and write 500 times per second for a minute
  dynasplit rehearse plan.yaml --items 20000 --writes-per-second 500 --seconds 60";

pub(super) const SCHEMA: &str = "Example: for an editor that checks YAML files
  dynasplit schema > plan.schema.json";

pub(super) const SHAPE: &str = "Examples: all services into a directory, and one service in a pipe
  dynasplit shape plan.yaml export/data --to shaped
  gunzip -c export/data/*.json.gz | dynasplit shape plan.yaml --service orders | zstd > orders.json.zst";

pub(super) const OFFLINE_RUN: &str = "Example: all steps, and the same command again after a stop
  dynasplit offline run plan.yaml --to s3://my-bucket/split --writers-stopped 2026-11-28T14:00:00Z";

pub(super) const TABLES: &str = "Example: tables that Terraform will own
  dynasplit tables plan.yaml --format terraform > tables.tf";

pub(super) const IAM: &str = "Examples: for the role that runs dynasplit, and for a service's own role
  dynasplit iam plan.yaml --for tool --account 123456789012 --region eu-central-1
  dynasplit iam plan.yaml --for orders --account 123456789012 --region eu-central-1";

pub(super) const COMPLETIONS: &str = "Example: for bash, in the current session
  source <(dynasplit completions bash)";

pub(super) const MAN: &str = "Example:
  dynasplit man ~/.local/share/man/man1";
