//! Obstacles as text: obstacles of one kind with the same next step are reported once, with the services that they
//! concern.

use super::obstacle::{Obstacle, ObstacleKind, with_advice};

/// A sentence for each thing to do, in the order of the obstacles.
#[must_use]
pub fn told<'a>(obstacles: impl IntoIterator<Item = &'a Obstacle>) -> Vec<String> {
    let mut groups: Vec<Vec<&Obstacle>> = Vec::new();
    for obstacle in obstacles {
        let is_alike = |group: &&mut Vec<&Obstacle>| {
            group
                .first()
                .is_some_and(|first| first.kind == obstacle.kind && first.next == obstacle.next)
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.push(obstacle),
            None => groups.push(vec![obstacle]),
        }
    }
    groups.iter().map(|group| one(group)).collect()
}

/// Obstacles of one kind with one next step, as one.
fn one(group: &[&Obstacle]) -> String {
    let [first, _, ..] = group else {
        return group.iter().map(ToString::to_string).collect();
    };
    let names: Vec<&str> = group
        .iter()
        .filter_map(|obstacle| obstacle.service.as_deref())
        .collect();
    let what = match first.kind {
        ObstacleKind::NotBackfilled if names.len() == group.len() => {
            format!("{} were not backfilled", names.join(", "))
        }
        ObstacleKind::NotVerified if names.len() == group.len() => {
            format!("{} were not verified", names.join(", "))
        }
        _ => {
            let mut whats: Vec<&str> = group.iter().map(|obstacle| obstacle.what.as_str()).collect();
            whats.dedup();
            whats.join(", ")
        }
    };
    with_advice(&what, &first.next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obstacle(kind: ObstacleKind, service: Option<&str>, what: &str, next: &str) -> Obstacle {
        Obstacle {
            services: Vec::new(),
            kind,
            service: service.map(str::to_owned),
            what: what.into(),
            next: next.into(),
        }
    }

    #[test]
    fn the_advice_for_a_list_has_a_line_of_its_own() {
        let list = "the plan was edited:\n  plan.yaml:4: where\n  plan.yaml:8: where";
        let edited = obstacle(ObstacleKind::OtherPlan, None, list, "restore these settings");
        assert_eq!(told([&edited]), [format!("{list}\n  Restore these settings")]);
    }

    #[test]
    fn what_concerns_several_services_is_told_once() {
        let found = [
            obstacle(ObstacleKind::OtherWorker, None, "a worker is old", "stop it"),
            obstacle(ObstacleKind::OtherWorker, None, "a worker is old", "stop it"),
            obstacle(
                ObstacleKind::NotBackfilled,
                Some("a"),
                "a was not backfilled",
                "run it",
            ),
            obstacle(ObstacleKind::DeadLetters, Some("a"), "1 dead letter of a", "list"),
            obstacle(
                ObstacleKind::NotBackfilled,
                Some("b"),
                "b was not backfilled",
                "run it",
            ),
            obstacle(
                ObstacleKind::DeadLetters,
                Some("b"),
                "2 dead letters of b",
                "list",
            ),
            obstacle(
                ObstacleKind::DeadLetters,
                Some("c"),
                "3 dead letters of c",
                "discard",
            ),
            obstacle(
                ObstacleKind::NotVerified,
                Some("a"),
                "a was not verified",
                "verify",
            ),
        ];
        assert_eq!(
            told(&found),
            [
                "a worker is old: stop it",
                "a, b were not backfilled: run it",
                "1 dead letter of a, 2 dead letters of b: list",
                "3 dead letters of c: discard",
                "a was not verified: verify",
            ]
        );
    }
}
