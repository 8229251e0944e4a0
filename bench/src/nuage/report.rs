//! What was found, as tables.

use super::host::Who;
use super::{Extent, Findings, Found};
use crate::machine;
use crate::quartiles::{Quartiles, cell};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Writes `nuage.md` into `dir`, and returns its path and text.
///
/// # Errors
/// When it cannot be written.
pub fn write(
    findings: &Findings,
    extent: &Extent,
    load: &str,
    dir: &Path,
) -> Result<(PathBuf, String)> {
    let mut text = format!(
        "# Containers on a controller's network, {day}, Linux {kernel}\n\n\
         {processor}; load before {load}, after {after}; {engine}; fairlead {version}\n\n\
         Each plugin has a host of its own, with the same engine, Open vSwitch and controller in small; all was measured in turns, in one run. Shown are medians with the 25th and 75th percentile.\n",
        day = machine::day()?,
        kernel = machine::kernel(),
        processor = machine::processor(),
        after = machine::load(),
        engine = findings.engine,
        version = env!("CARGO_PKG_VERSION"),
    );
    text += &format!(
        "\n## `docker run --rm --net MyNet busybox true`, {} times\n\n\
         | drivers | ms | more than `--net none`, ms | times fairlead's |\n| --- | ---: | ---: | ---: |\n",
        extent.rounds
    );
    let ours = findings.found.first();
    for found in &findings.found {
        text += &format!(
            "| {} | {} | {} | {} |\n",
            found.who,
            cell(Quartiles::of(&found.start), 1),
            cell(Quartiles::of_differences(&found.start, &found.bare), 1),
            times(found, ours, |found| &found.start),
        );
    }
    text += &format!(
        "\n## {} containers at once, {} times\n\n\
         | drivers | start, s | times fairlead's | remove, s | times fairlead's | left at the controller | in memory, kB |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        extent.containers, extent.bursts
    );
    for found in &findings.found {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            found.who,
            cell(Quartiles::of(&found.many), 2),
            times(found, ours, |found| &found.many),
            cell(Quartiles::of(&found.remove), 2),
            times(found, ours, |found| &found.remove),
            found.left,
            found.memory,
        );
    }
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let path = dir.join("nuage.md");
    std::fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
    Ok((path, text))
}

fn times(found: &Found, ours: Option<&Found>, of: impl Fn(&Found) -> &Vec<f64>) -> String {
    match (&found.who, ours) {
        (Who::Peer(_), Some(ours)) => cell(Quartiles::of_ratios(of(found), of(ours)), 2),
        _ => "-".to_owned(),
    }
}
