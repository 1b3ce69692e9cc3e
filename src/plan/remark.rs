//! What follows from a line of the plan.

use super::Plan;
use super::path::Path;
use serde::Serialize;

/// Something that follows from a line of the plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Remark {
    /// The line of the setting, or of what it would stand in.
    pub line: Option<usize>,
    /// The setting.
    pub path: String,
    /// What follows from it.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Remarks while they are gathered.
pub(super) struct Remarks<'p> {
    plan: &'p Plan,
    pub list: Vec<Remark>,
}

impl<'p> Remarks<'p> {
    pub fn of(plan: &'p Plan) -> Self {
        Self { plan, list: vec![] }
    }

    /// Notes what follows from a setting.
    pub fn add(&mut self, path: &Path, message: String, hint: Option<&str>) {
        self.list.push(Remark {
            line: self.plan.lines.line(path),
            path: path.to_string(),
            message,
            hint: hint.map(str::to_owned),
        });
    }
}

impl Plan {
    /// Where a shape stands: in the list, or in the service itself.
    pub(super) fn shape_path(&self, service: &Path, n: usize) -> Path {
        let list = service.field("shapes");
        if self.lines.has(&list) {
            list.index(n)
        } else {
            service.clone()
        }
    }
}
