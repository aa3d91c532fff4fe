//! An operator's override, while it lasts.

use super::Context;

pub(super) fn guard(count: u32, context: &Context<'_>) -> u32 {
    match context.operator {
        Some(order) if context.now < order.until => {
            count.max(order.at_least.unwrap_or(0)).min(order.at_most.unwrap_or(u32::MAX))
        }
        _ => count,
    }
}
