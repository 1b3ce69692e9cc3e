//! What may happen next, in words.

use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Put,
    PutFirst,
    Delete,
    StrayPut,
    StrayUpdate,
    StrayDelete,
    SourceFenceTakes,
    TargetFenceTakes,
    ForwardSends,
    ForwardLands,
    ForwardDies,
    ForwardGhost,
    PageReads,
    PageLands,
    Copies,
    ReverseSends,
    ReverseLands,
    ReverseDies,
    ReverseDiesUnsaved,
    ReverseGhost,
    LooksAgain,
    Watches,
    Fence,
    Drained,
    Close,
    CloseAcknowledged,
    Pin,
    Switch,
    Cancel,
    FenceBack,
    PinBack,
    Unfence,
    PinsLate,
    CancelsRollback,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Put => "the application puts the item",
            Self::PutFirst => "the application puts the item as it was at first",
            Self::Delete => "the application deletes the item",
            Self::StrayPut => "a forgotten writer puts the item into the source",
            Self::StrayUpdate => "a forgotten writer updates the item in the source",
            Self::StrayDelete => "a forgotten writer deletes the item from the source",
            Self::SourceFenceTakes => "the fence of the source takes effect",
            Self::TargetFenceTakes => "the fence of the target takes effect",
            Self::ForwardSends => "the forward lane takes the next record",
            Self::ForwardLands => "the forward lane's write lands, or is refused by its guard",
            Self::ForwardDies => "the forward lane's worker dies",
            Self::ForwardGhost => "the dead forward worker's write lands",
            Self::PageReads => "a backfill reads a page of the source",
            Self::PageLands => "the page lands, if the target has no item",
            Self::Copies => "the second service takes the next record",
            Self::ReverseSends => "the reverse lane takes the next record",
            Self::ReverseLands => "the reverse lane's write lands, or is refused",
            Self::ReverseDies => "the reverse lane's worker dies",
            Self::ReverseDiesUnsaved => "the reverse lane's worker dies, and has saved nothing since the pin",
            Self::LooksAgain => "the reverse lane looks again at what it could not carry back",
            Self::ReverseGhost => "the dead reverse worker's write lands, or is refused",
            Self::Watches => "the watcher takes the next record of the source",
            Self::Fence => "cutover: the source's fence is asked for",
            Self::Drained => "cutover: the forward lane is found drained",
            Self::Close => "cutover: the forward lane is closed",
            Self::CloseAcknowledged => "cutover: the close is acknowledged",
            Self::Pin => "the target's stream is pinned",
            Self::Switch => "cutover: the application writes the target from now on",
            Self::Cancel => "cutover: cancelled, the source's fence is lifted",
            Self::FenceBack => "rollback: the target's fence is asked for",
            Self::PinBack => "rollback: the reverse lane is drained, the source's stream is pinned",
            Self::Unfence => {
                "rollback: the source's fence is lifted, the application writes the source again"
            }
            Self::PinsLate => "the source's stream is pinned",
            Self::CancelsRollback => "rollback: cancelled, the target's fence is lifted",
        })
    }
}
