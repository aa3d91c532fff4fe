//! Virtual time: autoscalers against demand that is known, on a cloud whose delays and bills are modelled, beside an
//! oracle that knows the future.
//!
//! The way of the data: a series becomes [`demand`] in replicas a slot; [`fluid`] lets an [`Autoscaler`](autoscaler::Autoscaler)
//! staff it on a [`cloud`], slot by slot, ours ([`ours`]) or a peer's ([`peers`]), and [`requests`] does the same request by
//! request; [`score`] sets what it cost and what it missed beside what the [`oracle`] would have paid to miss as little.
//! Apart from these, [`faults`] lets our decision live through whatever breaks.
//!
//! Everything is a pure function of its arguments: a seed gives the same bytes on every platform.

pub mod autoscaler;
pub mod backtest;
pub mod cloud;
pub mod compare;
pub mod demand;
pub mod faults;
pub mod fluid;
pub mod hindsight;
pub mod oracle;
pub mod ours;
pub mod peers;
pub mod requests;
pub mod score;
pub mod setting;
