//! The commands, a file each.

pub(crate) mod backtest;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod gateway;
pub(crate) mod load;
pub(crate) mod operator;
pub(crate) mod replay;
pub(crate) mod replica;
pub(crate) mod run;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod stop;
mod values;
