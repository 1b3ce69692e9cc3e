//! The notifications of the plan, beside a command.

use super::screen;
use crate::notify::Notifying;
use crate::worker::Split;

/// Begins to send them, and says to which destinations this process cannot send.
pub async fn begin_notifying(split: &Split) -> Notifying {
    let (notifying, unusable) = Notifying::begin(split).await;
    for (destination, reason) in unusable {
        screen::say(&format!(
            "warning: this process sends no notifications to {destination}: {reason}"
        ));
    }
    notifying
}
