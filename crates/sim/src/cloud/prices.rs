//! What instances cost, each price a single published fact. us-east-1, Linux.

use evenkeel_core::units::MicroUsd;

/// EC2 on demand.
const EC2: (&str, &str) = ("2026-07-20", "AWS price list, as generated into aws/karpenter-provider-aws@1d92708");
/// SageMaker hosting. AWS's own page could not be read.
const SAGEMAKER: (&str, &str) = ("2025-2026", "community tables that agree with each other");

/// What an instance type costs an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// The type; those of SageMaker begin with `ml.`.
    pub instance: &'static str,
    /// On demand.
    pub on_demand: MicroUsd,
    /// On spot: the median over the zones in SkyPilot's catalog v8 (skypilot-org/skypilot-catalog@00148f2, of unknown date);
    /// `None` where it has none.
    pub spot: Option<MicroUsd>,
    /// Date of the price on demand.
    pub as_of: &'static str,
    /// Its source.
    pub source: &'static str,
}

const fn ec2(instance: &'static str, on_demand: i64, spot: Option<i64>) -> Price {
    let spot = match spot {
        Some(micros) => Some(MicroUsd::from_micros(micros)),
        None => None,
    };
    Price { instance, on_demand: MicroUsd::from_micros(on_demand), spot, as_of: EC2.0, source: EC2.1 }
}

const fn sagemaker(instance: &'static str, on_demand: i64) -> Price {
    let on_demand = MicroUsd::from_micros(on_demand);
    Price { instance, on_demand, spot: None, as_of: SAGEMAKER.0, source: SAGEMAKER.1 }
}

/// Every type that is known, in millionths of a dollar.
pub const PRICES: [Price; 19] = [
    ec2("c5.4xlarge", 680_000, Some(197_300)),
    ec2("g4dn.xlarge", 526_000, Some(203_900)),
    ec2("g4dn.12xlarge", 3_912_000, None),
    ec2("g5.xlarge", 1_006_000, Some(436_000)),
    ec2("g5.2xlarge", 1_212_000, Some(503_600)),
    ec2("g5.4xlarge", 1_624_000, None),
    ec2("g5.12xlarge", 5_672_000, None),
    ec2("g5.48xlarge", 16_288_000, None),
    ec2("g6.xlarge", 804_800, Some(382_050)),
    ec2("g6.2xlarge", 977_600, None),
    ec2("g6.12xlarge", 4_601_600, None),
    ec2("g6e.xlarge", 1_861_000, None),
    ec2("p4d.24xlarge", 21_957_642, None),
    ec2("p5.48xlarge", 55_040_000, None),
    sagemaker("ml.g4dn.xlarge", 736_000),
    sagemaker("ml.g5.xlarge", 1_408_000),
    sagemaker("ml.g5.2xlarge", 1_515_000),
    sagemaker("ml.g6.xlarge", 1_127_000),
    sagemaker("ml.g6.2xlarge", 1_222_000),
];

/// The price of a type; `None` where it is not known.
pub fn price(instance: &str) -> Option<&'static Price> {
    PRICES.iter().find(|price| price.instance == instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_found_by_its_name_alone_and_spot_is_the_cheaper() {
        for known in &PRICES {
            assert_eq!(price(known.instance), Some(known));
            assert!(known.spot.is_none_or(|spot| spot < known.on_demand), "{known:?}");
        }
        assert_eq!(price("g5"), None);
    }

    #[test]
    fn sagemaker_is_dearer_than_the_instance_inside_it() {
        for hosted in PRICES.iter().filter(|price| price.instance.starts_with("ml.")) {
            let bare = price(&hosted.instance["ml.".len()..]).expect("the same instance");
            let premium = hosted.on_demand.as_usd_f64() / bare.on_demand.as_usd_f64();
            assert!((1.24..1.41).contains(&premium), "{}: {premium}", hosted.instance);
        }
    }
}
