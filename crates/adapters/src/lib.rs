//! Outside systems: engines' metrics, gateway, players, webhooks.
