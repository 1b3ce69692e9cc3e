//! What a model is limited to.

use crate::effort::effort;
use crate::held::Held;
use crate::image::Shape;
use crate::plans::{Layout, Mapping};
use crate::product::Product;
use crate::rule::{Rule, Rules};

/// Larger bounds take hours.
const LARGE: u64 = 100;

/// Who needs tombstones on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Copies the source, page by page.
    Backfill,
    /// Brings target keys in order.
    Repair,
    /// Brings dead letters in order.
    Reconcile,
}

impl Kind {
    /// Its name in the split's record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Repair => "repair",
            Self::Reconcile => "reconcile",
        }
    }
}

/// The limits of a model, and the rules that hold in it.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Where versions come from.
    pub layout: Layout,
    /// How target keys are made.
    pub mapping: Mapping,
    /// Source items: one or two.
    pub items: u8,
    /// Services: one or two; two only with one item.
    pub services: u8,
    /// What the items are at first: one entry is one way to begin.
    pub first: Vec<[Option<Shape>; 2]>,
    /// What each item may be made.
    pub shapes: [Vec<Shape>; 2],
    /// Items are deleted, too.
    pub deletes: bool,
    /// Writes of the source.
    pub writes: u8,
    /// By how much a write moves its item's timestamp.
    pub steps: Vec<i8>,
    /// Records that a lane takes at once.
    pub batch: u8,
    /// Deaths of the tail worker.
    pub tail_deaths: u8,
    /// Deaths of holders.
    pub holder_deaths: u8,
    /// Writes of the tail that are given up without an answer.
    pub unanswered: u8,
    /// Requests of the backfill with a page that are given up without an answer.
    pub pages_unanswered: u8,
    /// A repair that is run again may find nothing to do.
    pub finds_nothing: bool,
    /// Who needs tombstones on.
    pub holders: Vec<Kind>,
    /// The backfill runs twice: the second time for a service that was added.
    pub added: bool,
    /// After the switch-on, pages may show anything that is not older than it.
    pub stale: bool,
    /// The split's backfill has ended before, and the targets were exact but for one cell, which holds one of these.
    pub damage: Option<Vec<Damage>>,
    /// The other order: copied without guards, while the lanes are held.
    pub bulk: bool,
    /// Two items at one target key count as a quiet source, too.
    pub collisions: bool,
    /// The rules that hold.
    pub rules: Rules,
}

/// What is wrong with a target before a repair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// Nothing.
    None,
    /// The item is missing.
    Missing,
    /// The item is another: this image, with this timestamp.
    Different(Shape, u8),
    /// There is an extra: this image, with this timestamp, where nothing should be.
    Extra(Shape, u8),
}

/// The first timestamp: there is room below it for clocks that go back.
pub const EPOCH: u8 = 3;

impl Bounds {
    /// One item, one service, three writes, one backfill, nothing that goes wrong: to be widened by each model.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            mapping: Mapping::Vouched,
            items: 1,
            services: 1,
            first: vec![],
            shapes: [vec![], vec![]],
            deletes: true,
            writes: 3,
            steps: vec![0, 1],
            batch: 1,
            tail_deaths: 0,
            holder_deaths: 0,
            unanswered: 0,
            pages_unanswered: 0,
            finds_nothing: false,
            holders: vec![Kind::Backfill],
            added: false,
            stale: false,
            damage: None,
            bulk: false,
            collisions: true,
            rules: Rules::ALL,
        }
    }

    /// The same, with one rule off.
    pub fn without(mut self, rule: Rule) -> Self {
        self.rules = self.rules.without(rule);
        self
    }

    /// The lanes: which item, which service.
    pub fn lanes(&self) -> Vec<(u8, u8)> {
        let each = |item| (0..self.services).map(move |service| (item, service));
        (0..self.items).flat_map(each).collect()
    }

    /// The product's answers under these limits.
    pub fn product(&self) -> Product {
        Product::new(self.layout, self.mapping, self.services, self.rules)
    }

    /// In words.
    pub fn words(&self) -> String {
        let mut words = vec![
            format!("{:?} versions", self.layout).to_lowercase(),
            count(self.items, "item"),
            count(self.services, "service"),
            format!("{} writes", self.writes),
        ];
        if self.batch > 1 {
            words.push(format!("up to {} records at once", self.batch));
        }
        if self.steps.contains(&-1) {
            words.push("timestamps that go back".into());
        } else if self.layout != Layout::Sequence {
            let steps = self.steps.iter().map(i8::to_string).collect::<Vec<_>>();
            words.push(format!("timestamps that move by {}", steps.join(" or ")));
        }
        if !self.deletes {
            words.push("no deletes".into());
        }
        for (bound, what) in [
            (self.stale, "stale pages"),
            (self.added, "a service that is added"),
            (self.damage.is_some(), "damage"),
            (self.bulk, "the bulk order"),
        ] {
            if bound {
                words.push(what.into());
            }
        }
        for (number, what) in [
            (self.tail_deaths, "death of the tail"),
            (self.holder_deaths, "death of a holder"),
            (self.unanswered, "write without an answer"),
            (self.pages_unanswered, "page without an answer"),
        ] {
            if number > 0 {
                words.push(format!("{number} {what}"));
            }
        }
        words.join(", ")
    }
}

fn count(number: u8, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Whether the larger bounds are asked for: by an effort of at least [`LARGE`].
pub fn large() -> bool {
    effort() >= LARGE
}

/// Cells as bits.
pub fn bits(cells: impl IntoIterator<Item = u8>) -> u8 {
    cells.into_iter().fold(0, |all, cell| all | 1 << cell)
}

/// What a cell holds, for an image that the tail wrote before the model begins.
pub fn tail_wrote(product: &Product, item: u8, service: u8, shape: Shape, at: u8) -> Option<(u8, Held)> {
    use crate::image::Image;
    use crate::product::{Next, Records, WRITES};
    let image = Image::new(shape, at);
    let mut images = [Image::NONE; WRITES + 1];
    images[1] = image;
    let records = Records {
        item,
        service,
        from: 0,
        count: 1,
        images,
    };
    let (cell, _) = product.wanted(service, item, image)?;
    let Next::Write(write) = product.next(&records, 0) else {
        return None;
    };
    Some((cell, product.land(service, write, None, Held::NOTHING, true).0))
}
