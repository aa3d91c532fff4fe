//! Which of the table's replicas can be reached.
//!
//! A replica counts as serving until a connection to it is refused, and again once one is made. Requests find that out as
//! they go. Without them, those that refused are tried every second; and while nobody follows up the table, because the
//! controller is gone, so are all: the fleet may have been stopped.

use super::table::Routes;
use crate::upstream::Replica;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Pause between two rounds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks forever.
pub(crate) async fn look_for_replicas(routes: &Routes) {
    loop {
        sleep(LOOK_EVERY).await;
        let all = !routes.is_followed();
        let tiers = routes.tiers();
        let serving = tiers.iter().flat_map(|tier| tier.serving_by_table());
        let doubted: Vec<Arc<Replica>> = serving.filter(|replica| all || !replica.origin.is_reachable()).collect();
        join_all(doubted.iter().map(|replica| replica.origin.look())).await;
    }
}
