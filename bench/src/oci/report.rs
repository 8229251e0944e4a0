//! What was found, as tables and goals.

use super::engine::Who;
use super::{Extent, Findings};
use crate::goals::Limit;
use crate::machine;
use crate::quartiles::{Quartiles, cell};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Writes `oci.md` into `dir`, and returns its path and text.
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
        "# Containers under our runtime, {day}, Linux {kernel}\n\n\
         {processor}; load before {load}, after {after}; {engine}; fairlead {version}\n\n\
         Everything was measured in turns, in one run. Shown are medians with the 25th and 75th percentile.\n",
        day = machine::day()?,
        kernel = machine::kernel(),
        processor = machine::processor(),
        after = machine::load(),
        engine = findings.engine,
        version = env!("CARGO_PKG_VERSION"),
    );
    text += "\n## Goals\n\n| what | measured | goal | |\n| --- | ---: | ---: | --- |\n";
    for (what, limit) in goals(findings) {
        text += &format!("| {what} | {limit} |\n");
    }
    text += &starts(findings, extent);
    text += &proxied(findings, extent);
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let path = dir.join("oci.md");
    std::fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
    Ok((path, text))
}

fn times(findings: &Findings, who: Who) -> &[f64] {
    let found = findings.starts.iter().find(|start| start.who == who);
    found.map_or(&[], |start| &start.ms)
}

/// What a runtime adds to the time of `docker run`, in milliseconds.
fn more(findings: &Findings, who: Who) -> Option<Quartiles> {
    Quartiles::of_differences(times(findings, who), times(findings, who.plain()))
}

fn goals(findings: &Findings) -> Vec<(String, Limit)> {
    let mut goals = Vec::new();
    let mut add = |what: &str, value: Option<f64>, limit, at_least| {
        let limit = value.map(|value| Limit::new(value, limit, at_least));
        goals.extend(limit.map(|limit| (what.to_owned(), limit)));
    };
    for (what, who) in [
        (
            "what our runtime and bridge add to `docker run`, ms",
            Who::Ours,
        ),
        ("the same as `fairlead-runtime`, ms", Who::Direct),
    ] {
        let more = more(findings, who).map(|more| more.median);
        add(what, more, 12.0, false);
    }
    let [direct, proxy] = &findings.proxied.list;
    let list = Quartiles::of_differences(proxy, direct).map(|more| more.median);
    add(
        "what the proxy adds to the list of containers, ms",
        list,
        0.5,
        false,
    );
    let [direct, proxy] = &findings.proxied.save;
    let save = Quartiles::of_ratios(proxy, direct).map(|ratio| ratio.median);
    add(
        "an image saved through the proxy, times the direct socket",
        save,
        0.9,
        true,
    );
    goals
}

fn starts(findings: &Findings, extent: Extent) -> String {
    let mut text = format!(
        "\n## `docker run --rm --net NETWORK IMAGE true`, {} times each\n\n\
         | runtime | ms | more than runc, ms |\n| --- | ---: | ---: |\n",
        extent.rounds
    );
    for who in Who::ALL {
        let own = cell(Quartiles::of(times(findings, who)), 1);
        let more = match who {
            Who::Plain | Who::PlainHost => "-".to_owned(),
            _ => cell(more(findings, who), 1),
        };
        text += &format!("| {who} | {own} | {more} |\n");
    }
    text
}

fn proxied(findings: &Findings, extent: Extent) -> String {
    let found = &findings.proxied;
    let mut text = format!(
        "\n## Docker's API through the proxy\n\n\
         {} calls each; an image of {} MB\n\n\
         | what | direct | proxy | |\n| --- | ---: | ---: | ---: |\n",
        extent.calls, extent.image
    );
    for (what, [direct, proxy]) in [
        ("list of 10 containers, ms", &found.list),
        (
            "list of 20, 10 of them on a network of ours, ms",
            &found.changed,
        ),
    ] {
        text += &format!(
            "| {what} | {} | {} | {} more |\n",
            cell(Quartiles::of(direct), 2),
            cell(Quartiles::of(proxy), 2),
            cell(Quartiles::of_differences(proxy, direct), 2),
        );
    }
    let [direct, proxy] = &found.save;
    text += &format!(
        "| save, MB/s | {} | {} | {} times |\n",
        cell(Quartiles::of(direct), 0),
        cell(Quartiles::of(proxy), 0),
        cell(Quartiles::of_ratios(proxy, direct), 2),
    );
    let [before, after] = found.memory;
    text += &format!(
        "\nThe most memory that the proxy had: {before} kB before the image, {after} kB after.\n"
    );
    text
}
