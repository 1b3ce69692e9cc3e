//! An engine with faults: what AWS does and no emulator does.
//!
//! It speaks DynamoDB's wire protocol in front of an embedded engine, which holds the items. On the way, [`Rule`]s let
//! chosen requests go wrong ([`Fault`]): throttled with a reason, answered by a server error, by a proxy or not at all,
//! landed although nothing was answered, landed late, held and released in another order, refused by a policy, left
//! unprocessed, stale. Streams are its own ([`stream`]): the embedded engine's single shard is read in order, and its
//! records are dealt onto shards that roll, split, close and are trimmed; iterators expire; a page may be empty before
//! the tip; a stream may be switched off and on again under a new ARN. A write that changes nothing leaves no record. Pages
//! of a scan may be made short ([`Script::scanned_at_once`]), and a [`Record`] keeps what was asked of a table.
//!
//! Roles and resource policies are its own, too ([`Policies`]).
//! It makes exports of tables ([`exports`]) and tables of imported objects ([`imports`]), and its clock can be set forward ([`Faulty::pass`]).
//!
//! There are two ports: the product is given [`Faulty::endpoint`], where rules hold; the test's own clients use
//! [`Faulty::clean_endpoint`], where the same tables and streams are served without them.
//!
//! # What a seed decides
//! What becomes of the n-th call of an operation on a table: whether a rule with a probability strikes it, which reason
//! or delay is drawn, which part of a batch is left out. It is drawn from the seed, the rule, the operation, that number
//! and the table's *role*: its name without what makes it unique ([`super::role`]), so that it is the same in every run.
//! And behind which record of a table's stream a shard rolls or splits by itself, and which one: that is drawn from the
//! seed, the role, and the number of records dealt so far. The same calls, one after another, meet the same faults and
//! the same shards, in every run of a seed.
//!
//! A seed does not decide how processes and their workers interleave, how long anything takes, or what the product
//! draws for itself (how long it pauses, which segment it begins with). So it does not say which call is the n-th, which
//! ones come first to a rule that counts ([`Rule::skip`], [`Rule::times`]), or which record comes behind which: two runs
//! of a split with one seed are alike, not equal.
//!
//! # What it is not
//! It refuses nothing that the embedded engine takes, keeps records in memory until they are trimmed, and knows no
//! capacity: it throttles where a rule says so, not by rate.

mod answer;
pub mod backend;
mod batch;
mod call;
mod chance;
mod changes;
pub mod exports;
mod fault;
mod holder;
pub mod imports;
mod ion;
mod policies;
mod reason;
mod record;
mod rule;
mod script;
mod server;
pub mod stream;
mod tally;

pub use backend::{Backend, tables};
pub use call::Call;
pub use chance::place_of;
pub use changes::Changes;
pub use exports::{Exports, Lie};
pub use fault::{Fault, Gate, Landing, Loss};
pub use holder::Holder;
pub use imports::{ImportEnd, Imports};
pub use policies::{Policies, role_arn};
pub use reason::{Reason, Throttle};
pub use record::{Asked, Record};
pub use rule::{Rule, Switch};
pub use script::{SILENT, Script};
pub use server::Faulty;
pub use stream::control::Stream;
pub use tally::Kind as FaultKind;
