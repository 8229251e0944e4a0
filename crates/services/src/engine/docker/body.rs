//! What the API is told of a container, and what its labels tell of it later.

use super::found::Found;
use crate::engine::{ContainerSpec, EngineError, Network};
use bollard::models::{ContainerCreateBody, HostConfig, RestartPolicy, RestartPolicyNameEnum};
use std::collections::HashMap;
use std::path::Path;

const SERVICE: &str = "fairlead.service";
const RESOURCE: &str = "fairlead.resource";
/// A digest of what the container was made from.
const SPEC: &str = "fairlead.spec";

/// Who made a container, and from what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Labels {
    service: Option<String>,
    resource: Option<String>,
    pub(super) digest: Option<String>,
}

impl Labels {
    pub(super) fn of(found: &Found) -> Self {
        let get = |name| found.label(name).map(str::to_owned);
        Self {
            service: get(SERVICE),
            resource: get(RESOURCE),
            digest: get(SPEC),
        }
    }

    /// What all containers of a service have.
    pub(super) fn of_service(spec: &ContainerSpec) -> (&'static str, &str) {
        (SERVICE, spec.service.as_str())
    }

    pub(super) fn are_of(&self, spec: &ContainerSpec) -> bool {
        self.service.as_deref() == Some(spec.service.as_str())
            && self.resource.as_deref() == Some(spec.resource.as_str())
    }

    pub(super) fn write(spec: &ContainerSpec, digest: &str) -> HashMap<String, String> {
        [
            (SERVICE, spec.service.as_str()),
            (RESOURCE, spec.resource.as_str()),
            (SPEC, digest),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

/// Whether its keywords can be told to the API at all.
pub(super) fn check(spec: &ContainerSpec) -> Result<(), EngineError> {
    check_name(spec)?;
    image(spec)?;
    restart(spec).map(drop)
}

/// A name is a part of the address that is asked, so it must be one that the engine
/// itself would take.
pub(super) fn check_name(spec: &ContainerSpec) -> Result<(), EngineError> {
    let mut names = vec![(spec.name.as_str(), "name")];
    if let Network::Of(name) = &spec.network {
        names.push((name.as_str(), "netns"));
    }
    for (name, keyword) in names {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let first = name
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphanumeric());
        if !first || name.len() < 2 || !name.chars().all(word) {
            let reason = format!(
                "{name:?} is no name of a container: letters, digits, '_', '.' and '-', two \
                 at least, the first a letter or a digit"
            );
            return Err(spec.bad(keyword, reason));
        }
    }
    Ok(())
}

/// The image, which must be given and look like one.
pub(super) fn image(spec: &ContainerSpec) -> Result<&str, EngineError> {
    let Some(image) = spec.image.as_deref() else {
        let reason = format!("{} needs an image; name one", spec.kind);
        return Err(spec.bad("image", reason));
    };
    let word = |c: char| c.is_ascii_alphanumeric() || "_.-/:@".contains(c);
    let first = image
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric());
    if first && image.chars().all(word) && !image.contains("..") {
        return Ok(image);
    }
    let reason = format!("{image:?} is no name of an image, such as busybox:1.36");
    Err(spec.bad("image", reason))
}

/// The image with the tag that is meant where none is given: without one, the API would
/// fetch all of them.
pub(super) fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// What the API is told, without labels; `resolv` is mounted as `/etc/resolv.conf`.
pub(super) fn of(
    spec: &ContainerSpec,
    network: &str,
    resolv: Option<&Path>,
) -> Result<ContainerCreateBody, EngineError> {
    let list = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let environment: Vec<String> = spec
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    // One that is in another's network namespace has that one's host name and resolver.
    let guest = matches!(spec.network, Network::Of(_));
    let cwd = spec.cwd.as_ref();
    Ok(ContainerCreateBody {
        image: Some(image(spec)?.to_owned()),
        cmd: list(&spec.command),
        entrypoint: list(&spec.entrypoint),
        env: list(&environment),
        hostname: spec.hostname.clone().filter(|_| !guest),
        user: spec.user.clone(),
        working_dir: cwd.map(|cwd| cwd.to_string_lossy().into_owned()),
        open_stdin: Some(spec.interactive),
        tty: Some(spec.tty),
        host_config: Some(host_config(spec, network, resolv)?),
        ..ContainerCreateBody::default()
    })
}

fn host_config(
    spec: &ContainerSpec,
    network: &str,
    resolv: Option<&Path>,
) -> Result<HostConfig, EngineError> {
    let list = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let mut volumes = spec.volumes.clone();
    volumes.extend(resolv.map(|path| format!("{}:/etc/resolv.conf:ro", path.display())));
    let mut host = HostConfig {
        binds: list(&volumes),
        network_mode: Some(network.to_owned()),
        privileged: Some(spec.privileged),
        restart_policy: restart(spec)?,
        ..HostConfig::default()
    };
    // The other two have the host's, or that of whose network namespace they are in.
    if spec.network == Network::None && resolv.is_none() {
        let servers: Vec<String> = spec.dns.servers.iter().map(ToString::to_string).collect();
        host.dns = list(&servers);
        host.dns_search = list(&spec.dns.search);
        host.dns_options = list(&spec.dns.options);
    }
    Ok(host)
}

fn restart(spec: &ContainerSpec) -> Result<Option<RestartPolicy>, EngineError> {
    let Some(text) = spec.restart.as_deref() else {
        return Ok(None);
    };
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, Some(count.parse())),
        None => (text, None),
    };
    let (name, maximum_retry_count) = match (name, count) {
        ("no", None) => (RestartPolicyNameEnum::NO, None),
        ("always", None) => (RestartPolicyNameEnum::ALWAYS, None),
        ("unless-stopped", None) => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        ("on-failure", None) => (RestartPolicyNameEnum::ON_FAILURE, None),
        ("on-failure", Some(Ok(count @ 0..))) => (RestartPolicyNameEnum::ON_FAILURE, Some(count)),
        _ => {
            let reason = format!(
                "{text:?} is no restart policy; write no, always, unless-stopped, on-failure \
                 or on-failure:N"
            );
            return Err(spec.bad("restart", reason));
        }
    };
    Ok(Some(RestartPolicy {
        name: Some(name),
        maximum_retry_count,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Kind;
    use crate::engine::digest::digest;
    use fairlead_types::{ObjectName, ResourceName};

    fn spec() -> ContainerSpec {
        let service = ObjectName::new("shop/svc/web").unwrap();
        let resource = ResourceName::new("container#0").unwrap();
        let mut spec = ContainerSpec::new(service, resource, Kind::Docker);
        spec.image = Some("busybox".into());
        spec
    }

    #[test]
    fn a_digest_tells_declarations_apart() {
        let one = digest(&of(&spec(), "none", None).unwrap());
        assert_eq!(one, digest(&of(&spec(), "none", None).unwrap()));
        assert_ne!(one, digest(&of(&spec(), "host", None).unwrap()));
        let mut other = spec();
        other.command = vec!["sh".into()];
        assert_ne!(one, digest(&of(&other, "none", None).unwrap()));
    }

    #[test]
    fn an_image_gets_the_tag_that_is_meant() {
        assert_eq!(with_tag("busybox"), "busybox:latest");
        assert_eq!(with_tag("busybox:1"), "busybox:1");
        assert_eq!(with_tag("host:5000/busybox"), "host:5000/busybox:latest");
        assert_eq!(with_tag("busybox@sha256:0"), "busybox@sha256:0");
    }

    #[test]
    fn what_would_lead_elsewhere_is_no_name() {
        for (name, image) in [
            ("../x", "busybox"),
            ("a", "busybox"),
            ("web", "../x"),
            ("web", "a?b"),
        ] {
            let mut spec = spec();
            spec.name = name.into();
            spec.image = Some(image.into());
            assert!(check(&spec).is_err(), "{name} {image}");
        }
    }

    #[test]
    fn a_restart_policy_is_one_of_dockers() {
        let mut spec = spec();
        for good in [
            "no",
            "always",
            "unless-stopped",
            "on-failure",
            "on-failure:3",
        ] {
            spec.restart = Some(good.into());
            assert!(restart(&spec).is_ok(), "{good}");
        }
        for bad in ["", "yes", "on-failure:x", "on-failure:-1", "always:3"] {
            spec.restart = Some(bad.into());
            assert!(restart(&spec).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_is_in_anothers_network_says_nothing_about_names() {
        let mut spec = spec();
        spec.hostname = Some("web".into());
        spec.dns.search = vec!["shop.svc.c1".into()];
        let body = of(&spec, "none", None).unwrap();
        assert_eq!(body.hostname.as_deref(), Some("web"));
        assert!(body.host_config.unwrap().dns_search.is_some());
        spec.network = Network::Of("other".into());
        let body = of(&spec, "container:0", None).unwrap();
        assert_eq!(body.hostname, None);
        assert_eq!(body.host_config.unwrap().dns_search, None);
    }
}
