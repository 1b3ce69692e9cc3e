//! The backfill's pages: read at any moment, landing late.

use crate::action::Action;
use crate::held::{Held, WriteId};
use crate::image::Image;
use crate::rule::Rule;
use crate::script::Answer;
use crate::split::Split;
use crate::state::{Page, State};
use dynasplit::state::{Lease, Requests};

impl Split {
    /// What the backfill can do with pages; whether all have landed.
    pub fn page_actions(&self, state: &State, actions: &mut Vec<Action>) -> bool {
        let mut all = true;
        for item in 0..self.bounds.items {
            match state.pages[usize::from(item)] {
                Page::Unread => {
                    all = false;
                    self.reads(state, item, actions);
                }
                Page::Flying(image) => {
                    all = false;
                    if state.ghost.is_none() && state.spent.pages < self.bounds.pages_unanswered {
                        actions.push(Action::GivesPageUp { item, image });
                    }
                    let (held, lands) = self
                        .page_would_land(state, item, image)
                        .unwrap_or((Held::NOTHING, false));
                    actions.push(Action::PageLands {
                        item,
                        image,
                        held,
                        lands,
                    });
                }
                Page::Landed => {}
            }
        }
        all
    }

    fn reads(&self, state: &State, item: u8, actions: &mut Vec<Action>) {
        let source = &state.sources[usize::from(item)];
        let settled = if self.in_bulk(state) {
            self.rules.hold(Rule::BulkSettled)
        } else {
            self.rules.hold(Rule::Settled)
        };
        let oldest = if !settled {
            0
        } else if self.bounds.stale {
            state.floors[usize::from(item)]
        } else {
            source.writes
        };
        actions.extend((oldest..=source.writes).map(|at| Action::Reads {
            item,
            image: source.images[usize::from(at)],
            behind: source.writes - at,
        }));
    }

    /// A page is read. One that holds nothing for anybody has landed.
    pub fn page_read(&self, state: &mut State, item: u8, image: Image) {
        let landed = self.page_write(state, item, image).is_none();
        state.pages[usize::from(item)] = if landed { Page::Landed } else { Page::Flying(image) };
    }

    /// The one write of a page, and for which service.
    fn page_write(&self, state: &State, item: u8, image: Image) -> Option<(u8, WriteId)> {
        let service = image.shape()?.service;
        let added = self.bounds.added.then_some(state.holders[0].round);
        if service >= self.bounds.services || added.is_some_and(|round| round != service) {
            return None;
        }
        let write = self.product.page(service, item, image, self.in_bulk(state))?;
        Some((service, write))
    }

    /// The request with a page is given up without an answer, and made again.
    pub fn gives_page_up(&self, state: &mut State, item: u8, image: Image) {
        state.spent.pages += 1;
        state.ghost = Some((item, image));
        // What the product's own count of such a request says when the segment is given back.
        let requests = Requests::default();
        drop(requests.begin());
        if self.rules.hold(Rule::UnansweredUnsettled) {
            state.settled &= Lease::given_back(requests.are_settled()).is_settled();
        }
    }

    /// A request without an answer has landed, or never will. That it was one makes no difference any more: it is forgotten,
    /// so that there are fewer states.
    pub fn ghost_is_over(&self, state: &mut State) {
        state.ghost = None;
        state.settled = true;
    }

    /// Whether nothing of the backfill's pages can land any more, as far as it is known; if it is not known, it is waited for.
    pub fn pages_have_landed(&self, state: &State) -> bool {
        state.settled || state.ghost.is_none()
    }

    /// What the target would make of a page.
    pub fn page_would_land(&self, state: &State, item: u8, image: Image) -> Option<(Held, bool)> {
        let (service, write) = self.page_write(state, item, image)?;
        let cell = self.product.cell_of(service, write);
        let held = state.cells[usize::from(cell)];
        let (held, answer) = self.product.land(service, write, None, held, state.table_fixed);
        Some((held, answer == Answer::Written))
    }

    /// A page lands.
    pub fn page_lands(&self, state: &mut State, item: u8, image: Image) {
        let Some((service, write)) = self.page_write(state, item, image) else {
            return;
        };
        let cell = usize::from(self.product.cell_of(service, write));
        let (held, answer) = self
            .product
            .land(service, write, None, state.cells[cell], state.table_fixed);
        state.cells[cell] = held;
        if answer == Answer::Rejected {
            let lane = self.lane_of(item, service);
            state.dead_letters[usize::from(lane)] = crate::state::Entry {
                there: true,
                fresh: true,
                epoch: 0,
                suspects: crate::bounds::bits([u8::try_from(cell).unwrap()]),
                image,
            };
        }
    }
}
