//! The one table at the end: what was measured, against what, and the target of each line.

use std::fmt::Write;

pub(crate) enum Target {
    AtLeast(f64),
    Below(f64),
    /// Reported, without a target.
    Report,
}

impl Target {
    fn verdict(&self, value: f64) -> String {
        let (met, text) = match self {
            Target::AtLeast(bound) => (value >= *bound, format!(">= {bound}")),
            Target::Below(bound) => (value < *bound, format!("< {bound}")),
            Target::Report => return String::new(),
        };
        format!("{text}  {}", if met { "met" } else { "MISSED" })
    }
}

struct Line {
    name: String,
    value: f64,
    unit: &'static str,
    target: Target,
    detail: String,
}

#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

impl Report {
    pub(crate) fn add(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Target,
        detail: impl Into<String>,
    ) {
        let line = Line { name: name.into(), value, unit, target, detail: detail.into() };
        eprintln!("  {}: {} {}", line.name, number(line.value), line.unit);
        self.lines.push(line);
    }

    pub(crate) fn table(&self) -> String {
        let widest = self.lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for line in &self.lines {
            let verdict = line.target.verdict(line.value);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:widest$}  {:>10} {:7} {verdict:16} {}",
                line.name,
                number(line.value),
                line.unit,
                line.detail
            );
        }
        text
    }
}

/// Three figures are what such a measurement is good for.
fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The middle value, and how far it spreads.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value that `share` of the sorted values lie below.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_sorted_values() {
        let values: Vec<u64> = (0..=100).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99)), (50, 99));
        assert_eq!(quantile(&[], 0.5), 0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
