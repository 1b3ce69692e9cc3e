//! The windows of incremental exports that cover a time without a break. Pure.

use crate::state::HealWindow;

const MINUTE_MS: u64 = 60_000;
/// DynamoDB makes no incremental export of a shorter time.
pub(super) const SHORTEST_MS: u64 = 15 * MINUTE_MS;
/// Nor of a longer one.
pub(super) const LONGEST_MS: u64 = 24 * 60 * MINUTE_MS;
/// The clocks of the workers that recorded how far a lane is, and when its positions were pinned, differ from that of DynamoDB by less
/// than this: AWS refuses requests whose time is wrong by more than 15 minutes.
pub(super) const MARGIN_MS: u64 = 15 * MINUTE_MS;

/// The windows that cover a time, oldest first. Each begins with the end of the one before, because a beginning is part of a window and an
/// end is not. They begin and end with whole seconds, which DynamoDB counts in.
pub(super) fn windows(from_ms: u64, to_ms: u64) -> Vec<HealWindow> {
    let from_ms = from_ms / 1000 * 1000;
    let to_ms = (to_ms.div_ceil(1000) * 1000).max(from_ms + SHORTEST_MS);
    let (mut found, mut begin) = (Vec::new(), from_ms);
    while begin < to_ms {
        let rest = to_ms - begin;
        let length = match rest {
            ..=LONGEST_MS => rest,
            // What is left would be too short.
            _ if rest - LONGEST_MS < SHORTEST_MS => LONGEST_MS - SHORTEST_MS,
            _ => LONGEST_MS,
        };
        found.push(HealWindow::new(begin, begin + length));
        begin += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_cover_the_time_without_a_break(from_ms in 0..4_000_000_000_000_u64, length in 0..40 * LONGEST_MS) {
            let to_ms = from_ms + length;
            let found = windows(from_ms, to_ms);
            prop_assert!(found[0].from_ms <= from_ms && from_ms - found[0].from_ms < 1000);
            prop_assert!(found[found.len() - 1].to_ms >= to_ms);
            for pair in found.windows(2) {
                prop_assert_eq!(pair[0].to_ms, pair[1].from_ms);
            }
            for window in &found {
                let length = window.to_ms - window.from_ms;
                prop_assert!((SHORTEST_MS..=LONGEST_MS).contains(&length), "{}", length);
                prop_assert_eq!((window.from_ms % 1000, window.to_ms % 1000), (0, 0));
            }
            let longest = usize::try_from(length / LONGEST_MS).unwrap();
            prop_assert!(found.len() <= longest + 2);
        }
    }

    #[test]
    fn a_rest_that_is_too_short_takes_a_part_of_the_window_before() {
        let found = windows(0, LONGEST_MS + MINUTE_MS);
        let lengths: Vec<u64> = found.iter().map(|window| window.to_ms - window.from_ms).collect();
        assert_eq!(lengths, [LONGEST_MS - SHORTEST_MS, SHORTEST_MS + MINUTE_MS]);
    }
}
