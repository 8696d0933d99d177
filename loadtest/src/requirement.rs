//! Requirements such as `p99<50ms`, `lost=0`, `connected>=99%`: read, and held against what was measured.

use std::{fmt, str::FromStr};

/// One requirement.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// What is bounded.
    pub figure: Figure,
    /// How.
    pub relation: Relation,
    /// The bound, in the figure's unit: microseconds, a count, a percentage, or messages a second.
    pub bound: f64,
    text: String,
}

/// What can be bounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Figure {
    /// A percentile of delivery latency, in microseconds; the field is the percentage, 0 to 100.
    Percentile(f64),
    /// The largest delivery latency, in microseconds.
    Max,
    /// Message x member pairs that never arrived.
    Lost,
    /// Pairs that arrived more than a second after the intended send.
    Late,
    /// Pairs that arrived more than once.
    Duplicated,
    /// Pairs that arrived after a later message of the same sender.
    OutOfOrder,
    /// Deliveries outside the room.
    Leaked,
    /// Connections that stood, in percent.
    Connected,
    /// Deliveries a second.
    Deliveries,
}

/// How a figure and its bound relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

impl Relation {
    /// Whether `value` satisfies it.
    #[must_use]
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
            Self::Equal => (value - bound).abs() < f64::EPSILON,
            Self::AtLeast => value >= bound,
            Self::Above => value > bound,
        }
    }
}

/// Words for a requirement that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot read the requirement {text:?}: {problem}; write for example p99<50ms, max<1s, lost=0, late=0, duplicated=0, out_of_order=0, leaked=0, \
     connected>=99% or deliveries>=1000/s"
)]
pub struct RequirementError {
    text: String,
    problem: String,
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |problem: String| RequirementError { text: text.to_owned(), problem };
        let start = text.find(['<', '>', '=']).ok_or_else(|| wrong("it has no relation".into()))?;
        let (name, rest) = text.split_at(start);
        let (relation, bound) = relation(rest).ok_or_else(|| wrong("the relation is one of < <= = >= >".into()))?;
        let figure = figure(name.trim()).ok_or_else(|| wrong(format!("no figure is called {:?}", name.trim())))?;
        let bound =
            bound_of(figure, bound.trim()).ok_or_else(|| wrong(format!("{:?} is no such bound", bound.trim())))?;
        Ok(Self { figure, relation, bound, text: text.split_whitespace().collect() })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn relation(text: &str) -> Option<(Relation, &str)> {
    [
        ("<=", Relation::AtMost),
        (">=", Relation::AtLeast),
        ("<", Relation::Below),
        (">", Relation::Above),
        ("=", Relation::Equal),
    ]
    .into_iter()
    .find_map(|(sign, relation)| Some((relation, text.strip_prefix(sign)?)))
}

fn figure(name: &str) -> Option<Figure> {
    Some(match name {
        "max" => Figure::Max,
        "lost" => Figure::Lost,
        "late" => Figure::Late,
        "duplicated" => Figure::Duplicated,
        "out_of_order" => Figure::OutOfOrder,
        "leaked" => Figure::Leaked,
        "connected" => Figure::Connected,
        "deliveries" => Figure::Deliveries,
        _ => {
            let percentile: f64 = name.strip_prefix('p')?.parse().ok()?;
            (0.0..=100.0).contains(&percentile).then_some(Figure::Percentile(percentile))?
        }
    })
}

fn bound_of(figure: Figure, text: &str) -> Option<f64> {
    match figure {
        Figure::Percentile(_) | Figure::Max => {
            let (number, micros) = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)]
                .into_iter()
                .find_map(|(unit, micros)| Some((text.strip_suffix(unit)?, micros)))?;
            positive(number).map(|number| number * micros)
        }
        Figure::Connected => positive(text.strip_suffix('%')?).filter(|percent| *percent <= 100.0),
        Figure::Deliveries => positive(text.strip_suffix("/s").unwrap_or(text)),
        Figure::Lost | Figure::Late | Figure::Duplicated | Figure::OutOfOrder | Figure::Leaked => {
            text.parse::<u32>().ok().map(f64::from)
        }
    }
}

fn positive(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_is_read_in_its_unit() {
        let read = |text: &str| text.parse::<Requirement>().map(|r| (r.figure, r.relation, r.bound));
        assert_eq!(read("p99<50ms"), Ok((Figure::Percentile(99.0), Relation::Below, 50_000.0)));
        assert_eq!(read("p99.9 <= 1.5s"), Ok((Figure::Percentile(99.9), Relation::AtMost, 1_500_000.0)));
        assert_eq!(read("lost=0"), Ok((Figure::Lost, Relation::Equal, 0.0)));
        assert_eq!(read("connected>=99%"), Ok((Figure::Connected, Relation::AtLeast, 99.0)));
        assert_eq!(read("deliveries>1000/s"), Ok((Figure::Deliveries, Relation::Above, 1000.0)));
    }

    #[test]
    fn what_cannot_be_read_is_quoted() {
        for text in ["p99<<50ms", "speed<3", "p99<50", "p101<1s", "lost=none", "lost", "connected>=150%", "max<-1s"] {
            let error = text.parse::<Requirement>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
