//! The tables, as Markdown and as JSON.

use crate::goals::{Goal, judge, ratio};
use crate::inside::Place;
use crate::prepare::{Bed, Programs};
use crate::round::Measured;
use crate::scenario::{Case, Scenario, TAKEN, Who};
use crate::stats::Summary;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where and when it was measured.
#[derive(Debug)]
pub struct Circumstances {
    /// The day, `2026-01-31`.
    pub day: String,
    /// The kernel's release.
    pub kernel: String,
    /// The processor, and how many of them.
    pub processor: String,
    /// How busy the machine was before and after, `/proc/loadavg`.
    pub load: [String; 2],
    /// How often each scenario was measured.
    pub repeats: u32,
    /// What was measured.
    pub programs: Programs,
}

const NOTES: &str = "\
Every scenario has a host of its own (a network namespace) with one container attached already, and its files are
in memory. A round measures each of them once, in turns, from the start of the process to its end; where a runtime
starts two plugins, both are counted. The floor sends the messages that make the attachment and keeps no record.

The reference plugins use iptables; those cases stop at 1,000 taken, since 10,000 chains make a call take many
seconds. The floor keeps no addresses: its plain case is measured empty and compared with at any fullness.
Times are medians, in brackets the 10th and the 90th percentile.
";

/// The report as Markdown.
#[must_use]
pub fn markdown(measured: &Measured, about: &Circumstances) -> String {
    let Circumstances {
        day,
        kernel,
        processor,
        load: [before, after],
        repeats,
        programs,
    } = about;
    let mut text = format!(
        "# Attach and detach, {day}, Linux {kernel}\n\n{processor}; {repeats} rounds; \
         load before {before}, after {after}\n\nOurs: fairlead {}; reference: the plugins in \
         `{}`\n\n{NOTES}\n",
        env!("CARGO_PKG_VERSION"),
        programs.reference.display()
    );
    text += &times(measured, "ADD", true);
    text += &times(measured, "DEL", false);
    text += &memory(measured);
    text += &goals(&judge(measured));
    text + &left_out(measured)
}

/// Each reason once, with all that it holds for.
fn left_out(measured: &Measured) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for (scenario, reason) in &measured.left_out {
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, scenarios)) => scenarios.push(scenario.to_string()),
            None => reasons.push((reason, vec![scenario.to_string()])),
        }
    }
    let mut text = String::new();
    for (reason, scenarios) in reasons {
        text += &format!("\nLeft out, since: {}\n\n", reason.trim());
        text.extend(scenarios.iter().map(|scenario| format!("- {scenario}\n")));
    }
    text
}

fn times(measured: &Measured, command: &str, add: bool) -> String {
    let mut text = format!(
        "## {command}\n\n\
         | case | taken | who | ms | times the floor | the reference takes |\n\
         | --- | ---: | --- | ---: | ---: | ---: |\n"
    );
    for case in Case::ALL {
        for taken in TAKEN {
            for who in Who::ALL {
                let scenario = Scenario { who, case, taken };
                if let Some(bed) = measured.bed(scenario) {
                    text += &row(measured, bed, add);
                }
            }
        }
    }
    text + "\n"
}

fn row(measured: &Measured, bed: &Bed, add: bool) -> String {
    let Scenario { who, case, taken } = bed.scenario;
    let Some(summary) = Summary::of(if add { &bed.add } else { &bed.del }) else {
        return String::new();
    };
    let times = |ratio: Option<f64>| ratio.map_or("-".into(), |ratio| format!("{ratio:.2}x"));
    let floor = ratio(Some(bed), measured.floor_of(bed.scenario), add);
    let reference = measured.bed(Scenario {
        who: Who::Reference,
        ..bed.scenario
    });
    let reference = ratio(reference, Some(bed), add);
    let Summary { median, low, high } = summary;
    format!(
        "| {case} | {taken} | {who} | {median:.2} ({low:.2}..{high:.2}) | {} | {} |\n",
        times(floor),
        times(reference)
    )
}

fn memory(measured: &Measured) -> String {
    let mut text = String::from(
        "## Peak of memory in one ADD\n\nThe greatest of its processes.\n\n\
         | case | who | KiB |\n| --- | --- | ---: |\n",
    );
    for bed in &measured.beds {
        if let Some(peak) = bed.peak {
            text += &format!(
                "| {} | {} | {peak} |\n",
                bed.scenario.case, bed.scenario.who
            );
        }
    }
    text + "\n"
}

fn goals(goals: &[Goal]) -> String {
    let mut text = String::from(
        "## Goals\n\n| who | case | taken | what | measured | goal | |\n\
         | --- | --- | ---: | --- | ---: | ---: | --- |\n",
    );
    for goal in goals {
        let Scenario { who, case, taken } = goal.scenario;
        text += &format!(
            "| {who} | {case} | {taken} | {} | {} |\n",
            goal.what, goal.limit
        );
    }
    text
}

/// The report as JSON: every measurement, in milliseconds, in the order of the rounds.
#[must_use]
pub fn json(measured: &Measured, about: &Circumstances) -> Value {
    let scenario = |s: &Scenario| json!({"who": s.who.to_string(), "case": s.case.to_string(), "taken": s.taken});
    let times = |all: &[std::time::Duration]| {
        let each: Vec<f64> = all.iter().map(|d| d.as_secs_f64() * 1e3).collect();
        let summary = Summary::of(all);
        let summary = summary.map(|s| json!({"median": s.median, "p10": s.low, "p90": s.high}));
        json!({"summary": summary, "all": each})
    };
    let beds = measured.beds.iter().map(|bed| {
        json!({"scenario": scenario(&bed.scenario), "peak_kib": bed.peak,
               "add_ms": times(&bed.add), "del_ms": times(&bed.del)})
    });
    let goals = judge(measured).into_iter().map(|goal| {
        json!({"scenario": scenario(&goal.scenario), "what": goal.what, "value": goal.limit.value,
               "limit": goal.limit.limit, "at_least": goal.limit.at_least,
               "reached": goal.limit.is_reached()})
    });
    let left_out = measured.left_out.iter();
    let left_out = left_out.map(|(s, why)| json!({"scenario": scenario(s), "reason": why}));
    json!({
        "day": about.day,
        "kernel": about.kernel,
        "processor": about.processor,
        "load": about.load,
        "repeats": about.repeats,
        "scenarios": beds.collect::<Vec<_>>(),
        "goals": goals.collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
    })
}

/// Writes both reports into `dir` and returns the Markdown file's path.
///
/// # Errors
/// When they cannot be written.
pub fn write(dir: &Path, measured: &Measured, about: &Circumstances) -> Result<PathBuf> {
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let stem = format!("{}-{}", about.day, about.kernel);
    let save = |ending: &str, content: String| {
        let path = dir.join(format!("{stem}.{ending}"));
        std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        anyhow::Ok(path)
    };
    save("json", format!("{:#}\n", json(measured, about)))?;
    save("md", markdown(measured, about))
}

/// The directory of reports: the chosen one, else `results` beside the program's source.
///
/// # Errors
/// When it lies where everything ends with the run.
pub fn directory(chosen: Option<&Path>) -> Result<PathBuf> {
    let chosen = chosen.map(Path::to_owned).unwrap_or_else(|| {
        let source = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        source.unwrap_or_else(|| "bench".into()).join("results")
    });
    let absolute = std::path::absolute(chosen).context("find the directory of the reports")?;
    if absolute.starts_with(Place::DIR) || absolute.starts_with("/var/lib/cni") {
        bail!(
            "the reports would be lost in {}: choose another directory",
            absolute.display()
        );
    }
    Ok(absolute)
}
