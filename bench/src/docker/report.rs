//! What was found, as tables and goals.

use super::calls::Calls;
use super::engine::Who;
use super::many::{Many, WORKERS};
use super::traffic::Rates;
use super::{Extent, Findings};
use crate::goals::Limit;
use crate::machine;
use crate::quartiles::{Quartiles, cell};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// In this call is the time that the kernel takes to end a link, which is nobody's to spare.
const WAITS: &str = "NetworkDriver.DeleteEndpoint";

/// Writes `docker.md` into `dir`, and returns its path and text.
///
/// # Errors
/// When it cannot be written.
pub fn write(
    findings: &Findings,
    extent: Extent,
    load: &str,
    dir: &Path,
) -> Result<(PathBuf, String)> {
    let mut text = format!(
        "# Containers of Docker, {day}, Linux {kernel}\n\n\
         {processor}; load before {load}, after {after}; {engine}; fairlead {version}\n\n\
         Everything was measured in turns, in one run. Shown are medians with the 25th and 75th percentile.\n\
         Docker has its rules of the firewall, as it is by default.\n",
        day = machine::day()?,
        kernel = machine::kernel(),
        processor = machine::processor(),
        after = machine::load(),
        engine = findings.engine,
        version = env!("CARGO_PKG_VERSION"),
    );
    text += "\n## Goals\n\n| what | measured | goal | |\n| --- | ---: | ---: | --- |\n";
    for (what, limit) in goals(findings, extent) {
        text += &format!("| {what} | {limit} |\n");
    }
    text += &starts(findings, extent);
    text += &calls(findings, extent);
    text += &many(findings, extent);
    text += &traffic(findings, extent);
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let path = dir.join("docker.md");
    std::fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
    Ok((path, text))
}

/// The times of `docker run` on a network, in milliseconds.
fn times(findings: &Findings, who: Who) -> &[f64] {
    let mut starts = findings.starts.iter();
    let found = starts.find(|start| start.who == who);
    found.map_or(&[], |start| &start.ms)
}

/// What a network adds to the time of `docker run`.
fn share(findings: &Findings, who: Who) -> Option<Quartiles> {
    Quartiles::of_differences(times(findings, who), times(findings, Who::None))
}

fn goals(findings: &Findings, extent: Extent) -> Vec<(String, Limit)> {
    let mut goals = Vec::new();
    let mut add = |what: &str, value: Option<f64>, limit, at_least| {
        let limit = value.map(|value| Limit::new(value, limit, at_least));
        goals.extend(limit.map(|limit| (what.to_owned(), limit)));
    };
    let ours = share(findings, Who::Ours).map(|share| share.median);
    let bridge = share(findings, Who::Bridge).map(|share| share.median);
    let ratio = ours.zip(bridge).map(|(ours, bridge)| ours / bridge);
    let what = "what the network adds to `docker run`, times Docker's bridge";
    add(what, ratio, 0.8, false);
    if let Some((method, bound)) = slowest(&findings.alone) {
        let what = format!("99 of 100 calls take less, ms: {method}, the slowest but {WAITS}");
        add(&what, Some(bound), 10.0, false);
    }
    let left = findings.many.iter().map(|many| many.left).sum::<usize>();
    let left = u32::try_from(left).ok().map(f64::from);
    let what = format!("addresses left after {} containers", extent.containers);
    add(&what, left, 0.0, false);
    let of = |rates: &[Rates], one: usize, other: usize| {
        let ratio = Quartiles::of_ratios(&rates.get(one)?.all, &rates.get(other)?.all);
        ratio.map(|ratio| ratio.median)
    };
    let what = "throughput on one node, times Docker's bridge";
    add(what, of(&findings.same, 1, 0), 0.97, true);
    let what = "throughput across nodes, times Docker's bridges with routes by hand";
    add(what, of(&findings.across, 1, 0), 0.97, true);
    let what = "throughput across nodes, times Docker's bridge on one node";
    add(what, of(&findings.across, 1, 2), 0.97, true);
    goals
}

/// The method with the greatest upper bound of 99 of 100 calls, and that bound.
fn slowest(calls: &Calls) -> Option<(&str, f64)> {
    let calls = calls.0.iter().filter(|(method, _)| *method != WAITS);
    let bounds = calls.map(|(method, times)| (method.as_str(), times.bounds(0.99).1));
    bounds.max_by(|(_, one), (_, other)| one.total_cmp(other))
}

fn starts(findings: &Findings, extent: Extent) -> String {
    let mut text = format!(
        "\n## `docker run --rm busybox true`\n\n\
         As a person types it, {} times on each network: from the start of the command to its end, which is after\n\
         the container is gone. What a network adds is the difference to no network in the same round.\n\n\
         | network | ms | the network adds, ms |\n| --- | ---: | ---: |\n",
        extent.rounds
    );
    for start in &findings.starts {
        let added = match start.who {
            Who::None => "-".to_owned(),
            who => cell(share(findings, who), 1),
        };
        let ms = cell(Quartiles::of(&start.ms), 1);
        text += &format!("| {} | {ms} | {added} |\n", start.who);
    }
    text
}

fn calls(findings: &Findings, extent: Extent) -> String {
    let mut text = format!(
        "\n## Our driver's calls\n\n\
         As the agent counts them (`fairlead_docker_call_time_seconds`), which knows only the two bounds between\n\
         which a call lies: the goal counts the upper one. Up to a hundred calls, 99 of 100 means all. One at a time are\n\
         those of the table above; at once are those of {} containers, {WORKERS} commands at a time.\n\
         {WAITS} has in it the time the kernel takes to end a link.\n",
        extent.containers
    );
    for (title, calls) in [
        ("One at a time", &findings.alone),
        ("At once", &findings.crowded),
    ] {
        text += &format!(
            "\n### {title}\n\n| call | count | mean, ms | half take less, ms | 99 of 100 take less, ms |\n\
             | --- | ---: | ---: | ---: | ---: |\n"
        );
        for (method, times) in &calls.0 {
            let [half, most] = [0.5, 0.99].map(|part| {
                let (low, high) = times.bounds(part);
                format!("{low}..{high}")
            });
            let (count, mean) = (times.count, times.mean());
            text += &format!("| {method} | {count} | {mean:.2} | {half} | {most} |\n");
        }
    }
    text
}

fn many(findings: &Findings, extent: Extent) -> String {
    let mut text = format!(
        "\n## {} containers at once\n\n\
         `docker run -d` of each and then `docker rm -f` of each, {WORKERS} commands at a time, {} times on each\n\
         network. Ratios are those of measurements that followed each other.\n\n\
         | network | start, s | remove, s | both, times Docker's bridge |\n| --- | ---: | ---: | ---: |\n",
        extent.containers,
        extent.many_rounds()
    );
    let both = |many: &Many| -> Vec<f64> {
        let pairs = many.start.iter().zip(&many.remove);
        pairs.map(|(start, remove)| start + remove).collect()
    };
    let bridge = findings.many.first().map(both).unwrap_or_default();
    for many in &findings.many {
        let ratio = match many.who {
            Who::Bridge => "-".to_owned(),
            _ => cell(Quartiles::of_ratios(&both(many), &bridge), 2),
        };
        let [start, remove] = [&many.start, &many.remove].map(|s| cell(Quartiles::of(s), 1));
        text += &format!("| {} | {start} | {remove} | {ratio} |\n", many.who);
    }
    text
}

fn traffic(findings: &Findings, extent: Extent) -> String {
    let mut text = format!(
        "\n## Throughput\n\n\
         One connection of TCP between two containers, {} times for {} s. `iperf3` is the host's, in the containers'\n\
         network namespaces; the one that sends has a processor and the one that receives has the other. The two\n\
         nodes are namespaces of this machine on one switch, so that what goes across them costs the same\n\
         processors several times. Ours is a `routed_bridge` there, without a tunnel. Docker's bridge does not go\n\
         across nodes by itself: routes were laid by hand, without translation of addresses.\n\n\
         | where | network | Gbit/s |\n| --- | --- | ---: |\n",
        extent.traffic_rounds(),
        extent.seconds
    );
    let one = findings.same.iter().map(|rates| ("one node", rates));
    let two = findings.across.iter().map(|rates| ("two nodes", rates));
    for (place, rates) in one.chain(two) {
        let rate = cell(Quartiles::of(&rates.all), 2);
        text += &format!("| {place} | {} | {rate} |\n", rates.what);
    }
    text
}
