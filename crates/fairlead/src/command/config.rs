//! `cluster` and `node`: the configuration files.

use super::{Context, Status};
use crate::cli::{ConfigCommand, EvalArgs, GetArgs, KeysArgs, SetArgs};
use crate::output::note;
use anyhow::Result;
use fairlead_cluster::{Cluster, ClusterError};
use fairlead_config::{
    Change, Config, ConfigError, KeyOp, KeyPath, Keyword, Target, change, keywords, nodename,
};
use serde_json::json;

pub(crate) fn run(context: &Context, target: Target, command: ConfigCommand) -> Result<Status> {
    match command {
        ConfigCommand::Set(arguments) => set(context, target, &arguments),
        ConfigCommand::Unset(arguments) => unset(context, target, &arguments),
        ConfigCommand::Get(GetArgs { kw, eval: true }) => eval(
            context,
            &EvalArgs {
                kw,
                impersonate: None,
            },
        ),
        ConfigCommand::Get(arguments) => get(context, target, &arguments),
        ConfigCommand::Eval(arguments) => eval(context, &arguments),
        ConfigCommand::Keywords => list_keywords(context, keywords()),
    }
}

fn set(context: &Context, target: Target, arguments: &SetArgs) -> Result<Status> {
    let mut changes = Vec::new();
    for text in &arguments.kw {
        // The documents have command lines that end in '--kw' or have two in a row.
        if text.is_empty() {
            note("fairlead: --kw without KEY=VALUE is ignored");
            continue;
        }
        changes.push(Change::Set(text.parse::<KeyOp>()?));
    }
    apply(context, target, &changes, arguments.dry_run)
}

fn unset(context: &Context, target: Target, arguments: &KeysArgs) -> Result<Status> {
    let changes: Result<Vec<Change>> = arguments.kw.iter().map(|text| removal(text)).collect();
    apply(context, target, &changes?, arguments.dry_run)
}

/// A section with an index and no option is meant whole.
pub(super) fn removal(text: &str) -> Result<Change> {
    if text.contains('#') && !text.contains('.') {
        return Ok(Change::Delete(text.to_owned()));
    }
    Ok(Change::Unset(text.parse()?))
}

fn apply(context: &Context, target: Target, changes: &[Change], dry_run: bool) -> Result<Status> {
    // What nodes share is changed where they share it.
    let changed = match target {
        Target::Cluster => {
            Cluster::open(&context.root).and_then(|cluster| cluster.change(changes, dry_run))
        }
        Target::Node => {
            change(&context.root, target, &nodename(), changes, dry_run).map_err(ClusterError::from)
        }
    };
    match changed {
        Ok(outcome) => {
            for warning in &outcome.warnings {
                note(format_args!("fairlead: warning: {warning}"));
            }
            Ok(Status::Done)
        }
        Err(ClusterError::Config(ConfigError::Refused { path, problems })) => {
            for problem in problems.iter().filter(|problem| !problem.is_warning()) {
                note(format_args!("fairlead: refused: {problem}"));
            }
            note(format_args!("fairlead: {} is as it was", path.display()));
            Ok(Status::Failed)
        }
        Err(error) => Err(error.into()),
    }
}

fn get(context: &Context, target: Target, arguments: &GetArgs) -> Result<Status> {
    let config = Config::load(&context.root, &nodename())?;
    let path: KeyPath = arguments.kw.parse()?;
    let value = config.get(target, &path).map(str::to_owned);
    show_value(context, value)
}

fn eval(context: &Context, arguments: &EvalArgs) -> Result<Status> {
    let config = Config::load(&context.root, &nodename())?;
    let path: KeyPath = arguments.kw.parse()?;
    let value = match &arguments.impersonate {
        None => config.eval(&path)?,
        Some(node) => config.eval_for(&path, node)?,
    };
    context.output.show(&value, |value| match value {
        None => "None\n".into(),
        Some(value) => format!("{value}\n"),
    })?;
    Ok(Status::Done)
}

/// A keyword that is not set is `None`, as `om` prints it.
pub(super) fn show_value(context: &Context, value: Option<String>) -> Result<Status> {
    context.output.show(&value, |value| {
        format!("{}\n", value.as_deref().unwrap_or("None"))
    })?;
    Ok(Status::Done)
}

pub(super) fn list_keywords(context: &Context, keywords: &[Keyword]) -> Result<Status> {
    let all: Vec<_> = keywords
        .iter()
        .map(|keyword| {
            json!({
                "section": keyword.section.as_str(),
                "option": keyword.option,
                "kind": keyword.kind.as_str(),
                "default": keyword.default,
                "scopable": keyword.scopable,
                "text": keyword.text,
            })
        })
        .collect();
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        _ => "-".into(),
    };
    context.output.show(&all, |all| {
        let row = |k: &serde_json::Value| {
            let name = format!("{}.{}", text(&k["section"]), text(&k["option"]));
            vec![
                name,
                text(&k["kind"]),
                text(&k["default"]),
                text(&k["scopable"]),
                text(&k["text"]),
            ]
        };
        let header = ["KEYWORD", "TYPE", "DEFAULT", "SCOPABLE", "MEANING"];
        context.output.table(&header, all.iter().map(row).collect())
    })?;
    Ok(Status::Done)
}
