//! The partition keys by which the policy of a fence tells the writers of one service from all others.

use super::expr::Condition;
use super::path::Path;
use super::remark::{Remark, Remarks};
use super::{FenceScope, Owns, Plan, Service};
use crate::model::{AttributeKind, Value};

/// Patterns for the condition key `dynamodb:LeadingKeys`: they match the partition keys of a service and of nothing else.
pub type LeadingKeys = Vec<String>;

/// The partition keys that a condition allows: one, or those that begin with a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Head<'p> {
    text: &'p str,
    exact: bool,
}

impl Head<'_> {
    fn meets(self, other: Self) -> bool {
        match (self.exact, other.exact) {
            (true, true) => self.text == other.text,
            (true, false) => self.text.starts_with(other.text),
            (false, true) => other.text.starts_with(self.text),
            (false, false) => self.text.starts_with(other.text) || other.text.starts_with(self.text),
        }
    }

    /// As `StringLike` reads it, in which `*`, `?` and `$` have a meaning of their own.
    fn pattern(self) -> String {
        let mut pattern = String::new();
        for c in self.text.chars() {
            match c {
                '*' | '?' | '$' => pattern.push_str(&format!("${{{c}}}")),
                c => pattern.push(c),
            }
        }
        if !self.exact {
            pattern.push('*');
        }
        pattern
    }
}

impl Plan {
    /// The partition keys that the policy of a service's fence denies; `None` if it denies all writes of the table, or if
    /// the fence has no policy.
    ///
    /// # Errors
    /// The line of the plan that prevents a policy for the keys of the service alone.
    pub fn leading_keys(&self, service: &Service) -> Result<Option<LeadingKeys>, Remark> {
        let policy = self.fence_of(service).policy;
        if policy.is_none_or(|policy| policy.scope == FenceScope::Table) {
            return Ok(None);
        }
        let found = self.heads(service).map_err(|(path, message)| {
            let mut remarks = Remarks::of(self);
            let hint = "stop its writers by the hook `fence`, or write `scope: table` to stop the writers of all services";
            remarks.add(&path, message, Some(hint));
            remarks.list.remove(0)
        })?;
        Ok(Some(found.into_iter().map(Head::pattern).collect()))
    }

    fn heads<'p>(&'p self, service: &'p Service) -> Result<Vec<Head<'p>>, (Path, String)> {
        let path = |service: &Service| {
            let n = self.services.iter().position(|each| each.name == service.name);
            Path::root().field("services").index(n.unwrap_or_default())
        };
        let key = &self.source.keys.partition;
        if key.kind != AttributeKind::S {
            let message =
                "a policy cannot tell the writers of the service apart, because the partition key is no text"
                    .to_owned();
            return Err((Path::root().field("source").field("keys"), message));
        }
        let mut heads = Vec::new();
        for (n, shape) in service.shapes.iter().enumerate() {
            match head(shape.own_condition(), &key.name) {
                Some(head) if head.exact && self.source.keys.sort.is_none() => {
                    let message =
                        "a policy for this one key cannot be tried without touching its item".to_owned();
                    return Err((self.shape_path(&path(service), n).field("where"), message));
                }
                Some(head) if !heads.contains(&head) => heads.push(head),
                Some(_) => {}
                None => {
                    let message = format!(
                        "a policy cannot tell the writers of the service apart, because `where` does not require that `{}` begins with a text",
                        key.name
                    );
                    return Err((self.shape_path(&path(service), n).field("where"), message));
                }
            }
        }
        for other in self.services.iter().filter(|other| other.name != service.name) {
            for (n, shape) in other.shapes.iter().enumerate() {
                let same = |one: &super::Shape| one.own_condition() == shape.own_condition();
                // It receives the same items, and nobody writes others for it.
                if *other.owns() == Owns::Nothing && service.shapes.iter().any(same) {
                    continue;
                }
                let other_head = head(shape.own_condition(), &key.name);
                if other_head.is_none_or(|other| heads.iter().any(|head| head.meets(other))) {
                    let message = format!(
                        "a policy for the keys of `{}` would also stop writers of `{}`, whose keys may begin alike",
                        service.name, other.name
                    );
                    return Err((self.shape_path(&path(other), n).field("where"), message));
                }
            }
        }
        if let Some(condition) = &self.left_behind {
            let left = condition.heads(&key.name);
            let meets = |text: &str, exact| heads.iter().any(|head| head.meets(Head { text, exact }));
            if left.is_none_or(|left| left.iter().any(|(text, exact)| meets(text, *exact))) {
                let message = format!(
                    "a policy for the keys of `{}` would also stop writers of items that are left behind, whose keys may begin alike",
                    service.name
                );
                return Err((Path::root().field("unrouted").field("left-behind"), message));
            }
        }
        Ok(heads)
    }
}

fn head<'c>(condition: &'c Condition, name: &str) -> Option<Head<'c>> {
    if let Some(Value::S(text)) = condition.pinned(name) {
        return Some(Head { text, exact: true });
    }
    let text = condition.prefix(name).filter(|text| !text.is_empty())?;
    Some(Head { text, exact: false })
}
