//! One line of `make bench`.

/// A figure beside what it should be.
pub(crate) struct Goal {
    name: &'static str,
    figure: f64,
    unit: &'static str,
    bound: Bound,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    /// A figure that should not be above `bound`.
    pub(crate) const fn at_most(name: &'static str, figure: f64, unit: &'static str, bound: f64) -> Self {
        Self { name, figure, unit, bound: Bound::AtMost(bound) }
    }

    /// A figure that should not be below `bound`.
    pub(crate) const fn at_least(name: &'static str, figure: f64, unit: &'static str, bound: f64) -> Self {
        Self { name, figure, unit, bound: Bound::AtLeast(bound) }
    }

    pub(crate) fn print(&self) {
        let (reached, goal) = match self.bound {
            Bound::AtMost(bound) => (self.figure <= bound, format!("<={bound}")),
            Bound::AtLeast(bound) => (self.figure >= bound, format!(">={bound}")),
        };
        // Four digits tell all that a measurement on a shared machine can.
        let digits = (3 - self.figure.abs().max(1.0).log10().floor() as i32).max(0) as usize;
        let verdict = if reached { "ok" } else { "short" };
        println!("{}\t{:.digits$}\t{}\t{goal}\t{verdict}", self.name, self.figure, self.unit);
    }
}
