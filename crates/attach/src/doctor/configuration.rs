//! Declarations, what follows from them, and CNI files.

use super::{Finding, settings};
use crate::{AttachError, Node};
use fairlead_config::{Problem, Reason, Target};
use fairlead_networks::{Catalog, NetworkError, Report, Source, Step};
use fairlead_plugins::NAMES;
use fairlead_types::NetworkName;
use std::collections::BTreeSet;
use std::path::Path;

pub(super) fn declarations(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let (_, problems) = node.config().networks();
    for problem in problems {
        let text = problem.to_string();
        let finding = match problem.is_warning() {
            true => Finding::note("declaration", text),
            false => Finding::problem("declaration", text),
        };
        found.push(finding.cured_by(edit(node, &problem)));
    }
    Ok(())
}

/// The change that mends a declaration. Where it takes a choice, the place for the
/// chosen value is in capitals.
fn edit(node: &Node, problem: &Problem) -> String {
    let option = problem.option.as_deref();
    let key = option.map(|option| format!("{}.{option}", problem.section));
    let is_local = option.is_some_and(|option| {
        node.config()
            .document(Target::Node)
            .get(&problem.section, option)
            .is_some()
    });
    let file = if is_local { "node" } else { "cluster" };
    let set = |key: &str, value: &str| {
        let quote = if value.contains(' ') { "'" } else { "" };
        format!("fairlead {file} set --kw {quote}{key}={value}{quote}")
    };
    match (&*problem.reason, &key, &problem.value) {
        (Reason::HostBits { given, base }, Some(key), Some(value)) => {
            set(key, &value.replace(&given.to_string(), &base.to_string()))
        }
        (
            Reason::UnknownKeyword
            | Reason::OtherType { .. }
            | Reason::UnknownNode { .. }
            | Reason::Unscopable,
            Some(key),
            _,
        ) => format!("fairlead {file} unset --kw {key}"),
        (Reason::NoRange(network), ..) => set(&format!("network#{network}.network"), "CIDR"),
        (Reason::Overlap { .. }, Some(key), _) => set(key, "FREE_CIDR"),
        (_, Some(key), _) => set(key, "VALUE"),
        (_, None, _) => {
            let target = if is_local {
                Target::Node
            } else {
                Target::Cluster
            };
            format!(
                "edit section [{}] of {}",
                problem.section,
                target.path(node.config().root()).display()
            )
        }
    }
}

pub(super) fn setup(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let Report { steps, problems } = fairlead_networks::setup(node.config(), node.known(), true)?;
    let mut missing = Vec::new();
    for step in &steps {
        let subject = match step {
            Step::DeleteBridge { bridge, .. } => format!("link {bridge}"),
            Step::RemoveAddress { address, .. } => format!("address {address}"),
            Step::RemoveFile { path, .. } => format!("file {}", path.display()),
            // A finding of its own.
            Step::SetSysctl { key, .. } if settings::is_forwarding(key) => continue,
            other => {
                missing.push(other.to_string());
                continue;
            }
        };
        let what = format!("it is left of what is not declared any more; setup would {step}");
        found.push(Finding::problem(subject, what).cured_by("fairlead net setup"));
    }
    if !missing.is_empty() {
        let what = format!("not as declared; setup would {}", missing.join(", "));
        found.push(Finding::problem("networks", what).cured_by("fairlead net setup"));
    }
    // What is wrong with declarations is a check of its own.
    let problems = problems
        .iter()
        .filter(|p| !matches!(p, NetworkError::Declaration(_)));
    found.extend(problems.map(|problem| obstacle(node, problem)));
    Ok(())
}

/// What keeps setup from making a network.
fn obstacle(node: &Node, error: &NetworkError) -> Finding {
    let subject = error
        .network()
        .map_or("networks".into(), |name| format!("network {name}"));
    let text = error.to_string();
    let what = text
        .strip_prefix(&format!("{subject}: "))
        .unwrap_or(&text)
        .to_owned();
    let finding = Finding::problem(subject, what);
    let dev = |network: &NetworkName| set_of_network(node, network.as_str(), "dev=NAME");
    match error {
        NetworkError::NoSegment { .. } | NetworkError::NotSetUp { .. } => {
            finding.cured_by("fairlead net setup".to_owned())
        }
        NetworkError::Unresolved {
            network,
            node: peer,
            ..
        } => finding.cured_by(set_of_network(
            node,
            network.as_str(),
            &format!("addr@{peer}=ADDRESS"),
        )),
        NetworkError::NotOnLink { network, .. } => {
            finding.cured_by(set_of_network(node, network.as_str(), "tunnel=auto"))
        }
        NetworkError::Mode { network, .. } => {
            finding.cured_by(set_of_network(node, network.as_str(), "tunnel_mode=gre"))
        }
        NetworkError::Vni { network, .. } => {
            finding.cured_by(set_of_network(node, network.as_str(), "vni=NUMBER"))
        }
        NetworkError::LinkInTheWay { link, .. } => {
            finding.cured_by(format!("ip link delete {link}"))
        }
        NetworkError::Conflict { file, .. } => finding.cured_by(set_aside(file)),
        NetworkError::BridgeTaken { network, .. } | NetworkError::BridgeShared { network, .. } => {
            finding.cured_by(dev(network))
        }
        NetworkError::ForeignAddress { bridge, wanted, .. } => {
            finding.cured_by(format!("ip address add {wanted} dev {bridge}"))
        }
        NetworkError::InUse { network, .. } => finding.cured_by(format!(
            "detach what 'fairlead ls' has on {network}, then 'fairlead net setup'"
        )),
        _ => finding,
    }
}

/// The command that sets a keyword of a network, in the file that declares it.
pub(super) fn set_of_network(node: &Node, network: &str, keyword: &str) -> String {
    let section = format!("network#{network}");
    let is_in = |target| node.config().document(target).has_section(&section);
    let is_local = is_in(Target::Node) && !is_in(Target::Cluster);
    let file = if is_local { "node" } else { "cluster" };
    format!("fairlead {file} set --kw {section}.{keyword}")
}

/// No CNI runtime reads a file that ends so.
fn set_aside(file: &Path) -> String {
    format!("mv {file} {file}.off", file = file.display())
}

pub(super) fn files(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    for entry in Catalog::read(node.config())?.networks {
        if let Source::Broken { path, reason } = &entry.source {
            let subject = format!("file {}", path.display());
            found.push(Finding::problem(subject, reason.to_string()).cured_by(set_aside(path)));
        }
    }
    Ok(())
}

pub(super) fn plugins(node: &Node, found: &mut Vec<Finding>) -> Result<(), AttachError> {
    let own = node.config().cni_plugins()?;
    let path = node.plugin_path();
    let is_there =
        |name: &str| NAMES.contains(&name) || path.iter().any(|dir| dir.join(name).is_file());
    for entry in Catalog::read(node.config())?.networks {
        let Source::Found(file) = &entry.source else {
            continue;
        };
        let plugins = file.list.plugins.iter();
        let types: BTreeSet<&str> = plugins
            .flat_map(|p| [Some(p.plugin_type()), p.ipam_type()])
            .flatten()
            .collect();
        for missing in types.into_iter().filter(|name| !is_there(name)) {
            let what = format!(
                "it needs plugin {missing}, which is not built in and in none of {}",
                list(path)
            );
            let cure = format!(
                "apt-get install containernetworking-plugins, or put {missing} in {}",
                own.display()
            );
            found.push(Finding::problem(format!("network {}", entry.name), what).cured_by(cure));
        }
    }
    if found.is_empty() && !own.is_dir() {
        let what = format!("there is no {}, and no network needs it", own.display());
        found.push(Finding::ok("cni.plugins", what));
    }
    Ok(())
}

fn list(directories: &[std::path::PathBuf]) -> String {
    let names: Vec<_> = directories
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    names.join(", ")
}
