//! How long the driver takes for the engine's calls, as the agent counts it.

use anyhow::{Context, Result};
use fairlead_tests::{Agent, Node};
use std::collections::BTreeMap;

/// The name of the times in the agent's metrics.
const NAME: &str = "fairlead_docker_call_time_seconds_";

/// The calls of each method.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(pub(super) BTreeMap<String, Times>);

/// How long calls took.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Times {
    pub(super) count: f64,
    /// All together, in seconds.
    sum: f64,
    /// How many took no longer than each bound in seconds, the bounds in order.
    buckets: Vec<(f64, f64)>,
}

impl Times {
    /// In milliseconds.
    pub(super) fn mean(&self) -> f64 {
        self.sum * 1e3 / self.count.max(1.0)
    }

    /// The bounds, in milliseconds, between which the call lies that `part` of them do not
    /// exceed.
    pub(super) fn bounds(&self, part: f64) -> (f64, f64) {
        let wanted = (self.count * part).ceil();
        let at = self.buckets.iter().position(|(_, count)| *count >= wanted);
        let at = at.unwrap_or(self.buckets.len());
        let bound = |at: usize| self.buckets.get(at).map(|(bound, _)| bound * 1e3);
        let below = at.checked_sub(1).and_then(bound);
        (below.unwrap_or(0.0), bound(at).unwrap_or(f64::INFINITY))
    }

    fn since(&self, earlier: &Self) -> Self {
        let mut buckets = self.buckets.clone();
        for (bucket, (_, before)) in buckets.iter_mut().zip(&earlier.buckets) {
            bucket.1 -= before;
        }
        Self {
            count: self.count - earlier.count,
            sum: self.sum - earlier.sum,
            buckets,
        }
    }
}

impl Calls {
    /// All calls since the agent has started.
    pub(super) fn read(node: &Node) -> Result<Self> {
        Self::parse(&Agent::get(node, fairlead_control::METRICS))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut calls = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix(NAME)) {
            // `bucket{le="0.001",method="Join"} 7`
            let parts = line.split_once('{').and_then(|(kind, rest)| {
                let (labels, value) = rest.split_once("} ")?;
                Some((kind, labels, value.split(' ').next()?))
            });
            let (kind, labels, value) = parts.with_context(|| format!("read {line}"))?;
            let label = |name: &str| {
                let mut labels = labels.split(',').filter_map(|label| label.split_once('='));
                let found = labels.find(|(key, _)| *key == name);
                found.map(|(_, value)| value.trim_matches('"'))
            };
            let value: f64 = value.parse().with_context(|| format!("read {line}"))?;
            let method = label("method").with_context(|| format!("a method in {line}"))?;
            let times = calls.0.entry(method.to_owned()).or_default();
            match kind {
                "count" => times.count = value,
                "sum" => times.sum = value,
                _ => {
                    let bound = label("le").with_context(|| format!("a bound in {line}"))?;
                    let bound = bound.parse().unwrap_or(f64::INFINITY);
                    times.buckets.push((bound, value));
                }
            }
        }
        Ok(calls)
    }

    /// Those that came after an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let none = Times::default();
        let calls = self.0.iter().map(|(method, times)| {
            let before = earlier.0.get(method).unwrap_or(&none);
            (method.clone(), times.since(before))
        });
        Self(calls.filter(|(_, times)| times.count > 0.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_what_was_before_does_not_count() {
        let text = |counts: [u32; 3], sum: f64| {
            let [one, two, all] = counts;
            format!(
                "# TYPE fairlead_docker_call_time_seconds histogram\n\
                 {NAME}sum{{method=\"Join\"}} {sum}\n{NAME}count{{method=\"Join\"}} {all}\n\
                 {NAME}bucket{{le=\"0.001\",method=\"Join\"}} {one}\n\
                 {NAME}bucket{{le=\"0.002\",method=\"Join\"}} {two}\n\
                 {NAME}bucket{{le=\"+Inf\",method=\"Join\"}} {all}\n"
            )
        };
        let before = Calls::parse(&text([1, 1, 1], 0.0005)).unwrap();
        let after = Calls::parse(&text([3, 4, 5], 0.0085)).unwrap();
        let join = &after.since(&before).0["Join"];
        assert_eq!((join.count, join.mean()), (4.0, 2.0));
        assert_eq!(join.bounds(0.5), (0.0, 1.0));
        assert_eq!(join.bounds(0.75), (1.0, 2.0));
        assert_eq!(join.bounds(0.99), (2.0, f64::INFINITY));
        assert!(after.since(&after).0.is_empty());
    }
}
