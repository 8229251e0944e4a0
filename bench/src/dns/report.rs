//! What was found, as a table and goals.

use super::measure::{CALM, Found, Transport};
use super::server::Kind;
use super::{Column, Extent};
use crate::goals::Limit;
use crate::machine;
use crate::stats::spread;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Writes `dns.md` into `dir`, and returns its path and text.
///
/// # Errors
/// When it cannot be written.
pub fn write(
    columns: &[Column],
    extent: Extent,
    load: &str,
    dir: &Path,
) -> Result<(PathBuf, String)> {
    let mut text = format!(
        "# Answers about names, {day}, Linux {kernel}\n\n\
         {processor}; load before {load}, after {after}; fairlead {version}\n\n\
         {services} services have {few} records and {many} have {all}. The same names are in all servers. One\n\
         processor is the server's, the other is that of `dnsperf`, which asks for addresses, services and names of\n\
         addresses in turns, 8 clients and 100 questions under way. Everything was measured in turns, {rounds} times for\n\
         {seconds} s; shown are medians with the 10th and 90th percentile. `dnsperf` itself uses up its processor:\n\
         where the server waits for it, the server's processor time for an answer says what the server can do.\n\
         99 of 100 answers take less than the last column at {CALM} questions a second.\n",
        day = machine::day()?,
        kernel = machine::kernel(),
        processor = machine::processor(),
        after = machine::load(),
        version = env!("CARGO_PKG_VERSION"),
        services = extent.services,
        few = 9 * extent.services,
        many = extent.many,
        all = 9 * extent.many,
        rounds = extent.rounds,
        seconds = extent.seconds,
    );
    text += "\n## Goals\n\n| what | measured | goal | |\n| --- | ---: | ---: | --- |\n";
    for (what, limit) in goals(columns, extent) {
        text += &format!("| {what} | {limit} |\n");
    }
    text += "\n## All servers\n\n\
             | server | services | | answers/s | processor time, us | 99 of 100 take less, ms | lost |\n\
             | --- | ---: | --- | ---: | ---: | ---: | ---: |\n";
    for column in columns {
        let cell = |value: fn(&Found) -> f64, digits: usize| {
            let found: Vec<f64> = column.found.iter().map(value).collect();
            spread(&found).map_or("-".to_owned(), |(low, median, high)| {
                format!("{median:.digits$} ({low:.digits$}..{high:.digits$})")
            })
        };
        let lost: f64 = column.found.iter().map(|found| found.lost).sum();
        // It serves each connection by a process of its own.
        let is_known = column.kind != Kind::Dnsmasq || column.transport == Transport::Udp;
        let cpu = if is_known {
            cell(|f| f.cpu, 2)
        } else {
            "-".into()
        };
        text += &format!(
            "| {} | {} | {} | {} | {cpu} | {} | {lost} |\n",
            column.kind,
            column.services,
            column.transport,
            cell(|f| f.rate, 0),
            cell(|f| f.p99, 3),
        );
    }
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let path = dir.join("dns.md");
    std::fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
    Ok((path, text))
}

/// The median of the ratios of measurements that followed each other.
fn ratio(columns: [Option<&Column>; 2], value: fn(&Found) -> f64) -> Option<f64> {
    let [one, other] = columns;
    let pairs = one?.found.iter().zip(&other?.found);
    let ratios: Vec<f64> = pairs
        .map(|(one, other)| value(one) / value(other))
        .collect();
    spread(&ratios).map(|(_, median, _)| median)
}

fn goals(columns: &[Column], extent: Extent) -> Vec<(String, Limit)> {
    let mut goals = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let of = |kind, services| {
            columns.iter().find(|column| {
                (column.kind, column.services, column.transport) == (kind, services, transport)
            })
        };
        let mut add = |what: &str, ratio: Option<f64>, limit, at_least| {
            let limit = ratio.map(|ratio| Limit::new(ratio, limit, at_least));
            goals.extend(limit.map(|limit| (format!("{transport}: {what}"), limit)));
        };
        let few = [
            of(Kind::Fairlead, extent.services),
            of(Kind::PowerDns, extent.services),
        ];
        add(
            "answers a second, times PowerDNS",
            ratio(few, |f| f.rate),
            2.0,
            true,
        );
        let power = ratio(few, |f| 1.0 / f.cpu);
        add(
            "answers for the server's processor time, times PowerDNS",
            power,
            2.0,
            true,
        );
        add(
            "time of 99 of 100, times PowerDNS",
            ratio(few, |f| f.p99),
            1.0,
            false,
        );
        let many = [
            of(Kind::Fairlead, extent.many),
            of(Kind::Fairlead, extent.services),
        ];
        let what = format!("answers a second with {} services, times few", extent.many);
        add(&what, ratio(many, |f| f.rate), 0.9, true);
    }
    goals
}
