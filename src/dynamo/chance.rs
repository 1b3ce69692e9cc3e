//! The only source of what differs between two runs besides the clock: jitter, unique names, and the order in which segments
//! are tried. A thread of a simulation seeds it, and gets the same numbers in each run.

use rand::distr::uniform::{SampleRange, SampleUniform};
use rand::distr::{Distribution, StandardUniform};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cell::RefCell;

thread_local! {
    static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// From now on, this thread gets its random numbers from a seed.
pub fn seed(seed: u64) {
    SEEDED.with_borrow_mut(|seeded| *seeded = Some(StdRng::seed_from_u64(seed)));
}

/// Whether this thread simulates.
#[must_use]
pub fn is_seeded() -> bool {
    SEEDED.with_borrow(Option::is_some)
}

/// The number of this process. In a simulation, all processes have the same one, as containers do.
#[must_use]
pub fn process_id() -> u32 {
    if is_seeded() { 1 } else { std::process::id() }
}

/// Any value.
#[must_use]
pub fn any<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(rng) => rng.random(),
        None => rand::rng().random(),
    })
}

/// A value within a range.
pub fn within<T: SampleUniform>(range: impl SampleRange<T>) -> T {
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(rng) => rng.random_range(range),
        None => rand::rng().random_range(range),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_seed_decides_what_is_drawn() {
        let draw = |seed| {
            std::thread::spawn(move || {
                super::seed(seed);
                (super::process_id(), super::any::<u64>(), super::within(0.5..1.0))
            })
            .join()
            .unwrap()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(super::any::<u128>(), super::any::<u128>());
        assert_eq!(super::process_id(), std::process::id());
    }
}
