//! What the plan says of a cutover of each service from which there is a way back.

use super::layout::Page;
use crate::plan::{Cutover, Remark, Reversible};

/// The services, each with what prevents or limits its cutover.
pub(super) fn cutover(page: &mut Page, services: &[Cutover]) {
    page.heading("Cutover with a way back", "by the plan alone");
    for service in services {
        let whether = if service.can_be_cut_over {
            "possible"
        } else {
            "not possible"
        };
        let back = match service.reversible {
            Reversible::Yes => "reversible",
            Reversible::WithConditions => "reversible with conditions",
            Reversible::No => "not reversible",
        };
        page.wrapped(&format!("  {}: ", service.service), &format!("{whether}, {back}"));
        let remarks = service
            .not_reversible
            .iter()
            .chain(&service.refusals)
            .chain(&service.conditions);
        for remark in remarks {
            self::remark(page, remark);
        }
    }
}

fn remark(page: &mut Page, remark: &Remark) {
    let line = remark.line.map_or(String::new(), |line| format!("line {line}: "));
    page.wrapped("    - ", &format!("{line}{}", remark.message));
    if let Some(hint) = &remark.hint {
        page.wrapped("      -> ", hint);
    }
}
