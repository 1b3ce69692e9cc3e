//! Chance from a seed: the same place in the same run draws the same.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A generator for one place: `words` and `number` say which.
pub fn at(seed: u64, words: &[&str], number: u64) -> StdRng {
    let mut hash = seed ^ 0x9e37_79b9_7f4a_7c15;
    for byte in words.iter().flat_map(|word| word.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    StdRng::seed_from_u64(hash ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93))
}

/// A number of 32 bits for a text, spread evenly: where an item's key lies among the shards.
pub fn place_of(text: &str) -> u32 {
    at(0, &[text], 0).random()
}
