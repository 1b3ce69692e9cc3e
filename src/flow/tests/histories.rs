//! Random histories of one item, with everything that may go wrong around the target. What is left when the tail has
//! drained must be what the last image says.

use super::world::{Image, Layout, Step, World};
use crate::model::cases::cases;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

/// How a write's timestamp is written.
#[derive(Clone, Copy, Debug)]
enum Clock {
    /// Later by this much; earlier where it is negative.
    Moves(i16),
    /// There is none.
    Missing,
    /// Text of another format, which sorts before or behind all others.
    Odd(&'static str),
}

/// What becomes of the item: `None` is a delete.
type Writes = Vec<Option<(Image, Clock)>>;

#[derive(Clone, Debug)]
struct Story {
    writes: Writes,
    before: Vec<Step>,
    pages: Vec<usize>,
    during: Vec<Step>,
    after: Vec<Step>,
}

fn writes(clock: impl Strategy<Value = Clock> + Clone + 'static) -> impl Strategy<Value = Writes> {
    let slot = prop_oneof![5 => Just(Some('x')), 3 => Just(Some('y')), 1 => Just(None)];
    let image = (weighted(0.8, Just(())), slot, 0..3u8, 0..2u8, clock).prop_map(
        |(mine, slot, body, hidden, clock)| {
            let image = Image {
                mine: mine.is_some(),
                slot,
                body,
                hidden,
                at: None,
            };
            (image, clock)
        },
    );
    vec(weighted(0.75, image), 1..8)
}

fn step() -> impl Strategy<Value = Step> {
    let tail = (1..4usize, weighted(0.25, 0..4usize), weighted(0.25, 0..3usize));
    prop_oneof![
        5 => tail.prop_map(|(take, dies, page)| Step::Tail { take, dies, page }),
        1 => (1..7usize).prop_map(Step::Back),
        2 => Just(Step::Page),
        1 => (0..9usize).prop_map(Step::Again),
        1 => Just(Step::Sweep),
    ]
}

fn story(clock: impl Strategy<Value = Clock> + Clone + 'static) -> impl Strategy<Value = Story> {
    (
        writes(clock),
        vec(step(), 0..3),
        vec(0..8usize, 1..4),
        vec(step(), 0..9),
        vec(step(), 0..5),
    )
        .prop_map(|(writes, before, pages, during, after)| Story {
            writes,
            before,
            pages,
            during,
            after,
        })
}

/// Stories that are all about one target key, its deletes and its clock: what is rare among the others.
fn close_story() -> impl Strategy<Value = Story> {
    let image = (0..2u8, 0..2u8, -3..3i16).prop_map(|(body, hidden, by)| {
        let image = Image {
            mine: true,
            slot: Some('x'),
            body,
            hidden,
            at: None,
        };
        (image, Clock::Moves(by))
    });
    let tail = (1..3usize, weighted(0.4, 0..4usize), weighted(0.2, 0..3usize));
    let step = prop_oneof![
        8 => tail.prop_map(|(take, dies, page)| Step::Tail { take, dies, page }),
        1 => (1..3usize).prop_map(Step::Back),
        1 => Just(Step::Page),
    ];
    let writes = vec(weighted(0.65, image), 2..6);
    (writes, vec(0..8usize, 1..3), vec(step, 1..8)).prop_map(|(writes, pages, during)| Story {
        writes,
        before: vec![],
        pages,
        during,
        after: vec![],
    })
}

/// The images that the writes make, the first from before the stream was captured.
fn images(writes: &Writes) -> Vec<Option<Image>> {
    let mut clock = 500i16;
    let mut images = vec![];
    for write in writes {
        let image = write.as_ref().map(|(image, moves)| {
            let at = match moves {
                Clock::Moves(by) => {
                    clock += by;
                    Some(format!("{clock:04}"))
                }
                Clock::Missing => None,
                Clock::Odd(text) => Some((*text).to_owned()),
            };
            Image { at, ..image.clone() }
        });
        // What changes nothing leaves no record.
        if images.last() != Some(&image) {
            images.push(image);
        }
    }
    images
}

fn run(layout: Layout, story: &Story) -> World {
    let mut world = World::new(layout, images(&story.writes));
    story.before.iter().for_each(|step| world.step(step));
    world.raise(&story.pages);
    story.during.iter().for_each(|step| world.step(step));
    world.lower();
    story.after.iter().for_each(|step| world.step(step));
    world.drain();
    world
}

fn check(layout: Layout, story: &Story) -> Result<(), TestCaseError> {
    let world = run(layout, story);
    prop_assert_eq!(
        world.visible(),
        world.wanted(),
        "images {:#?}\ntarget {:#?}",
        images(&story.writes),
        world.table()
    );
    let last = images(&story.writes).pop().flatten();
    if last.is_some_and(|image| image.mine && image.slot.is_none()) {
        prop_assert!(world.letters() > 0, "what can't be shaped is a dead letter");
    }
    Ok(())
}

fn forwards() -> impl Strategy<Value = Clock> + Clone {
    prop_oneof![6 => (0..3i16).prop_map(Clock::Moves), 1 => Just(Clock::Missing)]
}

fn anyhow() -> impl Strategy<Value = Clock> + Clone {
    prop_oneof![
        6 => (-4..4i16).prop_map(Clock::Moves),
        1 => Just(Clock::Odd("!")),
        1 => Just(Clock::Odd("zz")),
    ]
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn a_timestamp_that_is_shown_converges(story in story(forwards())) {
        check(Layout::Shown, &story)?;
    }

    #[test]
    fn a_timestamp_that_is_dropped_converges(story in story(forwards())) {
        check(Layout::Hidden, &story)?;
    }

    /// Whatever the clocks say.
    #[test]
    fn the_streams_order_converges(story in story(anyhow())) {
        check(Layout::Sequence, &story)?;
        prop_assert_eq!(run(Layout::Sequence, &story).rechecks(), 0);
    }

}

proptest! {
    // What it looks for is rarer.
    #![proptest_config(cases(3000))]

    /// Where the one assumption of `timestamp` mode breaks, the target may end up wrong, but never unnoticed.
    #[test]
    fn a_breach_is_noticed(
        story in prop_oneof![story(anyhow()), close_story(), close_story()],
        dropped in any::<bool>(),
    ) {
        let layout = if dropped { Layout::Hidden } else { Layout::Shown };
        let world = run(layout, &story);
        prop_assert!(
            world.visible() == world.wanted() || world.rechecks() > 0,
            "images {:#?}\ntarget {:#?}", images(&story.writes), world.table()
        );
    }
}
