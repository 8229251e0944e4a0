//! An instance in few bytes: the agent holds one for each address of the cluster.

use crate::Instance;
use fairlead_types::{Expose, HostName, Naming, ObjectName, ResourceName};

/// The instance as one line; none where its node's name could not be told apart in it.
pub(crate) fn pack(instance: &Instance) -> Option<Box<str>> {
    let Instance {
        node,
        object,
        resource,
        ip,
        naming,
    } = instance;
    if node.contains('\n') {
        return None;
    }
    let resource = resource.as_ref().map_or("", ResourceName::as_str);
    let hostname = naming.hostname.as_ref().map_or("", HostName::as_str);
    let app = naming.app.as_ref().map_or("", HostName::as_str);
    let mut line = format!("{node}\n{object}\n{resource}\n{ip}\n{hostname}\n{app}\n");
    for expose in &naming.expose {
        line.push_str(&expose.to_string());
        line.push(' ');
    }
    Some(line.into())
}

/// The instance of such a line.
pub(crate) fn unpack(line: &str) -> Option<Instance> {
    let mut fields = line.split('\n');
    let mut next = || fields.next();
    let node = next()?.to_owned();
    let object = ObjectName::new(next()?).ok()?;
    let resource = ResourceName::new(next()?).ok();
    let ip = next()?.parse().ok()?;
    let hostname = HostName::new(next()?).ok();
    let app = HostName::new(next()?).ok();
    let expose = next()?
        .split_whitespace()
        .map(expose)
        .collect::<Option<_>>()?;
    Some(Instance {
        node,
        object,
        resource,
        ip,
        naming: Naming {
            hostname,
            app,
            expose,
        },
    })
}

/// What [`Expose`] displays as: always numbers, so names of ports are not needed.
fn expose(text: &str) -> Option<Expose> {
    let (port, rest) = text.split_once('/')?;
    let (protocol, host) = match rest.split_once(':') {
        Some((protocol, host)) => (protocol, Some(host.parse().ok()?)),
        None => (rest, None),
    };
    Some(Expose {
        port: port.parse().ok()?,
        protocol: protocol.parse().ok()?,
        host_port: host,
    })
}
