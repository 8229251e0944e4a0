//! Who a container is: an endpoint is made for nobody, and the engine tells afterwards for
//! whom. The record then says so, and DNS with it.

use crate::{Door, DoorError};
use fairlead_attach::Node;
use fairlead_libnetwork::engine::Inspected;
use fairlead_store::{
    Attachment, AttachmentFilter, AttachmentState, Identity, NetnsRef, Port, Tenant,
};
use fairlead_types::{
    ContainerId, Expose, HostName, Naming, ObjectName, PortNames, Protocol, Root,
};
use std::path::{Path, PathBuf};

/// What a user may say of a container: the whole object, instead of project and name.
const OBJECT: &str = "fairlead.object";
/// Its host name in DNS.
const HOSTNAME: &str = "fairlead.hostname";
/// What it offers, in the words of a service's file.
const EXPOSE: &str = "fairlead.expose";
/// The project of a container that Compose made.
const PROJECT: &str = "com.docker.compose.project";
/// The namespace of containers without a project.
const NO_PROJECT: &str = "docker";
/// The longest part of an object's name that is made here.
const LONGEST: usize = 120;
/// The most ports that one container has in DNS on every node.
const MOST: usize = 1024;

/// Who a container is, by what the engine tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Who {
    object: Option<ObjectName>,
    naming: Naming,
    /// What is wrong with its labels; what they say does not count then.
    wrong: Vec<String>,
}

impl Who {
    fn of(found: &Inspected, names: &PortNames) -> Self {
        let mut wrong = Vec::new();
        let mut refuse = |label: &str, reason: String| wrong.push(format!("{label}: {reason}"));
        let labelled = found.label(OBJECT).and_then(|label| match object(label) {
            Ok(object) => Some(object),
            Err(reason) => {
                refuse(OBJECT, reason);
                None
            }
        });
        let hostname = match found.label(HOSTNAME).map(HostName::new) {
            Some(Ok(hostname)) => Some(hostname),
            Some(Err(error)) => {
                refuse(HOSTNAME, error.to_string());
                None
            }
            None => found.hostname().and_then(|name| HostName::new(name).ok()),
        };
        let labelled_ports = found.label(EXPOSE).map(|text| Expose::list(text, names));
        let expose = match labelled_ports {
            Some(Ok(expose)) => expose,
            Some(Err(error)) => {
                refuse(EXPOSE, error.to_string());
                exposed(found)
            }
            None => exposed(found),
        };
        let project = found.label(PROJECT).unwrap_or(NO_PROJECT);
        let own = || {
            let name = word(found.name(), found.id());
            let object = format!("{}/svc/{name}", word(project, NO_PROJECT));
            ObjectName::new(object).ok()
        };
        Self {
            object: labelled.or_else(own),
            naming: Naming {
                hostname,
                app: None,
                expose,
            },
            wrong,
        }
    }
}

fn object(label: &str) -> Result<ObjectName, String> {
    let object = ObjectName::new(label).map_err(|error| error.to_string())?;
    match object.parts() {
        Some((_, "svc", _)) => Ok(object),
        _ => Err(format!(
            "{label:?} is no object of a service, as in shop/svc/web"
        )),
    }
}

/// A segment of an object's name, with a dash for whatever it cannot have.
fn word(text: &str, otherwise: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let all: String = text
        .chars()
        .map(|c| if good(c) { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(LONGEST)
        .collect();
    match all.is_empty() {
        true => otherwise.chars().take(LONGEST).collect(),
        false => all,
    }
}

/// The ports that its image or its user named, of the protocols that DNS is told.
fn exposed(found: &Inspected) -> Vec<Expose> {
    let port = |text: &str| {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
        let protocol: Protocol = protocol.parse().ok()?;
        (protocol != Protocol::Sctp).then_some(Expose {
            port,
            protocol,
            host_port: None,
        })
    };
    let mut all: Vec<Expose> = found.ports().into_iter().filter_map(port).collect();
    all.sort_unstable();
    all.truncate(MOST);
    all
}

/// The same with the ports of the host that lead there.
fn with_host_ports(mut naming: Naming, ports: &[Port]) -> Naming {
    for expose in naming.expose.iter_mut().filter(|e| e.host_port.is_none()) {
        let leads = |port: &&Port| {
            let claim = &port.claim;
            (claim.protocol, claim.target.port()) == (expose.protocol, expose.port)
        };
        let mut leading = ports.iter().filter(leads);
        expose.host_port = leading.next().map(|port| port.claim.port);
    }
    naming
}

/// The namespace behind the first of the paths that leads to the same as the last one does:
/// that is the one of a process, and certain. None if it is the node's own: the process has
/// ended, and another one has its number.
fn netns(paths: &[PathBuf]) -> Option<NetnsRef> {
    let place = |netns: &NetnsRef| (netns.dev, netns.ino);
    let found = paths.iter().filter_map(|path| NetnsRef::of(path).ok());
    let found: Vec<NetnsRef> = found.collect();
    let certain = found.last().map(place)?;
    let own = NetnsRef::of(Path::new("/proc/thread-self/ns/net")).ok()?;
    if certain == place(&own) {
        return None;
    }
    found.into_iter().find(|netns| place(netns) == certain)
}

impl Door {
    /// Notes whose the endpoints of a running container are. What is known already is not
    /// written again: each write has the node's addresses looked at. Says whether all its
    /// endpoints are there.
    pub(super) fn identify(&self, found: &Inspected) -> Result<bool, DoorError> {
        let node = self.ground.node();
        // The names of ports are the system's, wherever our own files are.
        let names = match found.label(EXPOSE) {
            Some(_) => PortNames::read(&Root::default()),
            None => PortNames::default(),
        };
        let who = Who::of(found, &names);
        let netns = netns(&found.sandboxes());
        let mut whole = true;
        let mut ours = false;
        for place in found.places() {
            let records = match place.endpoint.as_deref().map(ContainerId::new) {
                Some(Ok(endpoint)) => node.plugs(Some(&endpoint))?,
                _ => Vec::new(),
            };
            whole &= !records.is_empty() || self.recorded(&place.network)?.is_none();
            ours |= !records.is_empty();
            for record in &records {
                note(&node, found.id(), &who, netns.as_ref(), record)?;
            }
        }
        for record in by_runtime(&node, found.id())? {
            ours = true;
            note(&node, found.id(), &who, None, &record)?;
        }
        let wrong = format!("container {}: label {}", found.name(), who.wrong.join("; "));
        let wrong = (ours && !who.wrong.is_empty()).then_some(wrong);
        self.problems.set(&labels_of(found.id()), wrong);
        Ok(whole)
    }

    /// Whether a container has its interfaces by the runtime in front of the engine's own,
    /// and not by an endpoint of the engine's.
    pub(super) fn is_by_runtime(&self, id: &str) -> Result<bool, DoorError> {
        Ok(!by_runtime(&self.ground.node(), id)?.is_empty())
    }

    /// Forgets what is kept for a container that is gone.
    pub(super) fn forget_container(&self, id: &str) -> Result<(), DoorError> {
        self.problems.forget(&labels_of(id));
        let node = self.ground.node();
        if let Ok(container) = ContainerId::new(id) {
            node.forget_endpoint(&container)?;
        }
        node.host()
            .store(|store| store.write(|tx| tx.forget_resting_of(id)))?;
        Ok(())
    }
}

/// The records of a container that the runtime in front of the engine's own has made: under
/// its own id, or under that of the container whose endpoint it has. What is for a resource
/// of a service has its names from there, whichever engine runs the container.
fn by_runtime(node: &Node, id: &str) -> Result<Vec<Attachment>, DoorError> {
    let Ok(container) = ContainerId::new(id) else {
        return Ok(Vec::new());
    };
    let mut records = node.host().store(|store| {
        store.read(|view| {
            let endpoint = view.endpoint_of(&container)?;
            let is_tenant = |t: &Tenant| t.container == container;
            let owner = match endpoint {
                Some(endpoint) if endpoint.tenant.as_ref().is_some_and(is_tenant) => endpoint.owner,
                Some(_) => return Ok(Vec::new()),
                None => container.clone(),
            };
            view.attachments(&AttachmentFilter {
                container: Some(&owner),
                state: Some(AttachmentState::Ready),
                ..AttachmentFilter::default()
            })
        })
    })?;
    records.retain(|record| record.resource.is_none());
    Ok(records)
}

/// The ids of those that have something and no name yet, of whichever engine.
pub(super) fn nameless(node: &Node) -> Result<Vec<String>, DoorError> {
    let (records, endpoints) = node.host().store(|store| {
        store.read(|view| {
            let all = AttachmentFilter {
                state: Some(AttachmentState::Ready),
                ..AttachmentFilter::default()
            };
            Ok((view.attachments(&all)?, view.endpoints()?))
        })
    })?;
    let nameless = records.into_iter().filter(|record| record.object.is_none());
    let who = |record: Attachment| {
        let owner = record.owner.container;
        match endpoints.iter().find(|endpoint| endpoint.owner == owner) {
            Some(endpoint) => endpoint.tenant.as_ref().map(|t| t.container.to_string()),
            None => Some(owner.to_string()),
        }
    };
    Ok(nameless.filter_map(who).collect())
}

/// Under which name wrong labels are told.
fn labels_of(container: &str) -> String {
    format!("labels/{container}")
}

fn note(
    node: &Node,
    id: &str,
    who: &Who,
    netns: Option<&NetnsRef>,
    record: &Attachment,
) -> Result<(), DoorError> {
    let owner = &record.owner;
    let ports = node.host().store(|store| store.view().ports_of(owner))?;
    let naming = with_host_ports(who.naming.clone(), &ports);
    let known = record.id == id
        && (netns.is_none() || record.netns.as_ref() == netns)
        && record.object == who.object
        && record.naming == naming;
    // One that is being taken away is nobody's soon.
    if known || record.state == AttachmentState::Detaching {
        return Ok(());
    }
    let identity = Identity {
        id,
        netns,
        object: who.object.as_ref(),
        naming: &naming,
    };
    node.host()
        .store(|store| store.write(|tx| tx.identify_attachment(owner, &identity)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_store::PortClaim;
    use serde_json::{Value, json};

    const ID: &str = "4c0b3c11c0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b";

    fn found(config: Value, host: Value) -> Inspected {
        Inspected::new(json!({
            "Id": ID, "Name": "/web_1", "State": {"Running": true, "Pid": 7},
            "Config": config, "HostConfig": host,
        }))
    }

    fn who(config: Value, host: Value) -> Who {
        Who::of(&found(config, host), &PortNames::common())
    }

    fn text(who: &Who) -> (String, String, Vec<String>) {
        let name = |name: Option<String>| name.unwrap_or_default();
        (
            name(who.object.as_ref().map(ToString::to_string)),
            name(who.naming.hostname.as_ref().map(ToString::to_string)),
            who.naming.expose.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn a_container_is_its_project_its_name_and_its_ports() {
        let plain = who(
            json!({"Hostname": &ID[..12], "Labels": null, "ExposedPorts": {"80/tcp": {}, "9/sctp": {}}}),
            json!({"PortBindings": {"53/udp": [{"HostPort": ""}], "80/tcp": null}}),
        );
        let wanted = vec!["53/udp".to_owned(), "80/tcp".to_owned()];
        assert_eq!(text(&plain), ("docker/svc/web_1".into(), "".into(), wanted));
        let composed = who(
            json!({"Hostname": "front", "Labels": {PROJECT: "-my shop"}}),
            json!({}),
        );
        let wanted = ("my-shop/svc/web_1".into(), "front".into(), vec![]);
        assert_eq!(text(&composed), wanted);
        assert!(composed.wrong.is_empty());
    }

    #[test]
    fn labels_of_ours_count_before_everything_else() {
        let labels = json!({OBJECT: "shop/svc/api", HOSTNAME: "a.b", EXPOSE: "http/tcp:8001"});
        let labelled = who(
            json!({"Hostname": "x", "Labels": labels, "ExposedPorts": {"1/tcp": {}}}),
            json!({}),
        );
        let wanted = vec!["80/tcp:8001".to_owned()];
        assert_eq!(
            text(&labelled),
            ("shop/svc/api".into(), "a.b".into(), wanted)
        );
        let labels = json!({OBJECT: "shop", HOSTNAME: "a b", EXPOSE: "80"});
        let wrong = who(
            json!({"Hostname": "x", "Labels": labels, "ExposedPorts": {"1/tcp": {}}}),
            json!({}),
        );
        let wanted = vec!["1/tcp".to_owned()];
        assert_eq!(text(&wrong), ("docker/svc/web_1".into(), "".into(), wanted));
        assert_eq!(wrong.wrong.len(), 3, "{:?}", wrong.wrong);
    }

    #[test]
    fn a_name_that_cannot_be_one_is_made_one() {
        for (given, wanted) in [
            ("a/b c", "a-b-c"),
            ("_x", "x"),
            ("é", "docker"),
            ("", "docker"),
        ] {
            assert_eq!(word(given, NO_PROJECT), wanted, "{given}");
        }
        assert_eq!(word(&"a".repeat(300), "").len(), LONGEST);
    }

    #[test]
    fn a_port_of_the_host_is_told_where_one_leads_there() {
        let node = fairlead_attach::owner(
            &fairlead_types::NetworkName::new("web").unwrap(),
            ContainerId::new("e1").unwrap(),
        );
        let port = Port {
            owner: node.unwrap(),
            claim: PortClaim {
                protocol: Protocol::Tcp,
                host: None,
                port: 8080,
                target: "10.1.0.2:80".parse().unwrap(),
                hairpin: None,
                conditions: None,
            },
            netns: None,
        };
        let expose = Expose::list("80/tcp 80/udp 81/tcp:9", &PortNames::common()).unwrap();
        let naming = Naming {
            expose,
            ..Naming::default()
        };
        let told = with_host_ports(naming, &[port]);
        let told: Vec<String> = told.expose.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["80/tcp:8080", "80/udp", "81/tcp:9"]);
    }

    #[test]
    fn the_nodes_own_namespace_is_no_containers() {
        assert_eq!(netns(&[]), None);
        assert_eq!(netns(&["/proc/self/ns/net".into()]), None);
        assert_eq!(netns(&["/does/not/exist".into()]), None);
    }
}
