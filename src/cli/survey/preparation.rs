//! What a cutover of each service would refuse now.

use super::layout::Page;
use crate::cutover::Preparation;

/// The services, each with what would refuse its cutover, what may go wrong, and what cannot be tried.
pub(super) fn preparation(page: &mut Page, services: &[Preparation]) {
    if services.is_empty() {
        return;
    }
    page.heading("Preparation of the cutovers", "as it is now; nothing was changed");
    for service in services {
        let whether = if service.refused.is_empty() {
            "nothing would refuse a cutover"
        } else {
            "a cutover would be refused"
        };
        page.wrapped(&format!("  {}: ", service.service), whether);
        for objection in &service.refused {
            page.wrapped("    - ", &objection.what);
        }
        for warning in &service.warnings {
            page.wrapped("    warning: ", &warning.what);
        }
        for untried in &service.untried {
            page.wrapped("    not tried: ", untried);
        }
    }
}
