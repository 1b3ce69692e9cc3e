//! Running a model to the end of its states, and what must be said about it.

use crate::bounds::large;
use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Always: when the source is quiet and all is drained, the targets hold what they should.
pub const EXACT: &str = "quiet and drained, every target is exact";
/// Sometimes: quiet and drained. Without it, the promise would say nothing.
pub const DRAINED: &str = "quiet and drained";

/// A model that does not end within this has grown beyond what a test may explore; larger bounds may take their time.
fn longest() -> Duration {
    Duration::from_secs(if large() { 4 * 3600 } else { 900 })
}

/// A state that knows when it is drained, and whether it is exact then.
pub trait Judged {
    /// Nothing is left to do: the source is quiet, and all that was read has landed.
    fn drained(&self) -> bool;
    /// The targets hold what they should, and nothing else.
    fn exact(&self) -> bool;
}

/// What was explored.
#[derive(Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps of the longest way to one.
    pub depth: usize,
    /// For how long.
    pub time: Duration,
}

/// The two properties of every model.
pub fn promise<M: Model>() -> Vec<Property<M>>
where
    M::State: Judged,
{
    vec![
        Property::<M>::always(EXACT, |_, state| !state.drained() || state.exact()),
        Property::<M>::sometimes(DRAINED, |_, state| state.drained()),
    ]
}

/// Explores every state, and demands that the promise holds in each, and that what must happen sometimes does: that
/// some are drained, above all. `bounds` says in words what the model is limited to.
pub fn holds<M>(name: &str, bounds: &str, model: M) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
    M::Action: Clone + Debug + Display + PartialEq + Send + Sync + 'static,
{
    let start = Instant::now();
    let properties = model.properties().into_iter();
    let sometimes = properties.filter(|property| property.expectation == Expectation::Sometimes);
    let sometimes: Vec<_> = sometimes.map(|property| property.name).collect();
    assert!(sometimes.contains(&DRAINED), "{name} must say when it is drained");
    let checker = model.checker().timeout(longest()).spawn_bfs().join();
    let explored = Explored {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        time: start.elapsed(),
    };
    println!(
        "{name}: {} states, {} steps deep, {:.1} s ({bounds})",
        explored.states,
        explored.depth,
        explored.time.as_secs_f64()
    );
    if let Some(path) = checker.discovery(EXACT) {
        panic!("{name} breaks the promise:\n{}", story(path.into_vec()));
    }
    assert!(explored.time < longest(), "{name} was not explored to its end");
    for property in sometimes {
        assert!(
            checker.discovery(property).is_some(),
            "{name} never is '{property}', so it says nothing"
        );
    }
    explored
}

/// Demands that the promise breaks, and answers how, step by step.
pub fn breaks<M>(name: &str, model: M) -> String
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
    M::Action: Clone + Debug + Display + PartialEq + Send + Sync + 'static,
{
    let checker = model
        .checker()
        .timeout(longest())
        .finish_when(HasDiscoveries::AllOf([EXACT].into()))
        .spawn_bfs()
        .join();
    let Some(path) = checker.discovery(EXACT) else {
        panic!(
            "{name}: nothing breaks in {} states, so the rule is not checked",
            checker.unique_state_count()
        );
    };
    let path = path.into_vec();
    let steps = path.len() - 1;
    let story = story(path);
    println!(
        "{name} ({steps} steps, {} states):\n{story}",
        checker.unique_state_count()
    );
    story
}

fn story<S: Debug, A: Display>(path: Vec<(S, Option<A>)>) -> String {
    let mut lines = Vec::with_capacity(path.len());
    for (number, (state, action)) in path.into_iter().enumerate() {
        match action {
            Some(action) => lines.push(format!("  {}. {action}", number + 1)),
            None => lines.push(format!("  in the end: {state:?}")),
        }
    }
    lines.join("\n")
}

/// The harness itself: what it says must be able to be false.
mod tests {
    use super::{Judged, breaks, holds, promise};
    use stateright::{Model, Property};
    use std::fmt;

    /// Counts to three; a state is exact below a limit.
    #[derive(Clone)]
    struct Counts {
        exact_below: u8,
    }

    #[derive(Clone, Debug, PartialEq, Hash)]
    struct Count(u8, u8);

    #[derive(Clone, Debug, PartialEq)]
    struct Step;

    impl fmt::Display for Step {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("one more")
        }
    }

    impl Judged for Count {
        fn drained(&self) -> bool {
            self.0 == 3
        }

        fn exact(&self) -> bool {
            self.0 < self.1
        }
    }

    impl Model for Counts {
        type State = Count;
        type Action = Step;

        fn init_states(&self) -> Vec<Count> {
            vec![Count(0, self.exact_below)]
        }

        fn actions(&self, state: &Count, actions: &mut Vec<Step>) {
            actions.extend((state.0 < 3).then_some(Step));
        }

        fn next_state(&self, state: &Count, _: Step) -> Option<Count> {
            Some(Count(state.0 + 1, state.1))
        }

        fn properties(&self) -> Vec<Property<Self>> {
            promise()
        }
    }

    #[test]
    fn what_holds_is_explored_to_its_end() {
        let explored = holds("counting", "three steps", Counts { exact_below: 4 });
        assert_eq!((explored.states, explored.depth), (4, 4));
    }

    #[test]
    #[should_panic(expected = "breaks the promise")]
    fn what_breaks_does_not_hold() {
        holds("counting", "three steps", Counts { exact_below: 3 });
    }

    #[test]
    fn what_breaks_is_told() {
        let story = breaks("counting", Counts { exact_below: 3 });
        assert_eq!(
            story,
            "  1. one more\n  2. one more\n  3. one more\n  in the end: Count(3, 3)"
        );
    }

    #[test]
    #[should_panic(expected = "nothing breaks")]
    fn what_holds_does_not_break() {
        breaks("counting", Counts { exact_below: 4 });
    }
}
