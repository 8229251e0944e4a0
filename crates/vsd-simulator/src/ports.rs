//! Containers, their interfaces, the vports of these, and addresses.

use crate::kind::Kind;
use crate::range::{Range, address};
use crate::refusal::Refusal;
use crate::store::{Around, Attributes, Author, Object, Parent, Store, text_of};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// Makes a container with its interfaces, of which the first that fails undoes all.
pub(crate) fn start(
    store: &mut Store,
    author: &Author,
    mut body: Attributes,
    interfaces: Option<Value>,
) -> Result<String, Refusal> {
    let interfaces = match interfaces {
        None => Vec::new(),
        Some(Value::Array(interfaces)) => interfaces,
        Some(_) => return Err(Refusal::invalid("interfaces", "a list is expected")),
    };
    for (name, value) in [
        ("status", json!("INIT")),
        ("reasonType", json!("RUNNING_UNKNOWN")),
        ("userID", json!(author.id)),
        ("userName", json!(author.name)),
    ] {
        body.insert(name.to_owned(), value);
    }
    let uuid = text_of(&body, "UUID").to_owned();
    let id = store.insert(author, Kind::Container, None, body);
    store.uuids.insert(uuid, id.clone());
    for interface in interfaces {
        let plugged = match interface {
            Value::Object(wanted) => plug(store, author, &id, wanted),
            _ => Err(Refusal::invalid("interfaces", "objects are expected")),
        };
        if let Err(refusal) = plugged {
            end(store, &id);
            return Err(refusal);
        }
    }
    Ok(id)
}

/// Takes a container away, with its interfaces.
pub(crate) fn end(store: &mut Store, id: &str) {
    let interfaces = store.below(id, Kind::ContainerInterface);
    let interfaces: Vec<String> = interfaces.into_iter().map(|one| one.id.clone()).collect();
    for interface in interfaces {
        unplug(store, &interface);
    }
    if let Ok(container) = store.get(Kind::Container, id) {
        let uuid = container.text("UUID").to_owned();
        store.uuids.remove(&uuid);
    }
    store.remove(Kind::Container, id);
}

/// A container has another UUID now.
pub(crate) fn renamed(store: &mut Store, id: &str, before: &str) {
    let Ok(container) = store.get(Kind::Container, id) else {
        return;
    };
    let uuid = container.text("UUID").to_owned();
    store.uuids.remove(before);
    store.uuids.insert(uuid, id.to_owned());
}

/// Gives a container one more interface, at a vport of its own or at the one that is named.
pub(crate) fn plug(
    store: &mut Store,
    author: &Author,
    container: &str,
    mut wanted: Attributes,
) -> Result<String, Refusal> {
    wanted.retain(|_, value| !value.is_null());
    let (subnet, named) = place_of(store, &wanted)?;
    let mac = text_of(&wanted, "MAC");
    if mac.is_empty() {
        return Err(Refusal::missing("MAC"));
    }
    if !is_mac(mac) {
        return Err(Refusal::invalid("MAC", format!("'{mac}' is not a MAC")));
    }
    let range = Range::of(&store.get(Kind::Subnet, &subnet)?.attributes)?;
    let address = pick(store, (&subnet, range), mac, address(&wanted, "IPAddress")?)?;
    let vport = match named {
        Some(vport) => vport,
        None => own_vport(store, author, container, &subnet)?,
    };
    let port = store.get(Kind::VPort, &vport)?.text("name").to_owned();
    let uuid = store
        .get(Kind::Container, container)?
        .text("UUID")
        .to_owned();
    describe(&mut wanted, store.around(&subnet)?, range, address);
    for (name, value) in [
        ("VPortID", &vport),
        ("VPortName", &port),
        ("containerUUID", &uuid),
    ] {
        wanted.insert(name.to_owned(), json!(value));
    }
    let parent = Parent {
        kind: Kind::Container,
        id: container.to_owned(),
    };
    let id = store.insert(author, Kind::ContainerInterface, Some(parent), wanted);
    store.addresses.insert((subnet, address), id.clone());
    summarize(store, container);
    Ok(id)
}

/// The subnet that an interface is for, and its vport where one is named.
fn place_of(store: &Store, wanted: &Attributes) -> Result<(String, Option<String>), Refusal> {
    let asked = text_of(wanted, "attachedNetworkID");
    let vport = text_of(wanted, "VPortID");
    if vport.is_empty() {
        return match asked {
            "" => Err(Refusal::missing("attachedNetworkID")),
            subnet => Ok((store.get(Kind::Subnet, subnet)?.id.clone(), None)),
        };
    }
    let subnet = store.get(Kind::VPort, vport)?.text("parentID");
    if !asked.is_empty() && asked != subnet {
        let why = "the vport is in another subnet";
        return Err(Refusal::invalid("attachedNetworkID", why));
    }
    if interface_at(store, vport).is_some() {
        let text = format!("vport {vport} has an interface already");
        return Err(Refusal::rule(7010, "VPortID", "VPort in use", text));
    }
    Ok((subnet.to_owned(), Some(vport.to_owned())))
}

/// Writes what the place of an interface says of it.
fn describe(wanted: &mut Attributes, around: Around<'_>, range: Range, address: Ipv4Addr) {
    let Around {
        subnet,
        zone,
        domain,
        ..
    } = around;
    for (name, value) in [
        ("IPAddress", address.to_string()),
        ("netmask", range.net.netmask().to_string()),
        ("gateway", range.gateway.to_string()),
        ("attachedNetworkID", subnet.id.clone()),
        ("attachedNetworkType", "SUBNET".to_owned()),
        ("networkID", domain.id.clone()),
        ("networkName", subnet.text("name").to_owned()),
        ("domainID", domain.id.clone()),
        ("domainName", domain.text("name").to_owned()),
        ("zoneID", zone.id.clone()),
        ("zoneName", zone.text("name").to_owned()),
    ] {
        wanted.insert(name.to_owned(), json!(value));
    }
}

/// The address that an interface gets.
fn pick(
    store: &Store,
    (subnet, range): (&str, Range),
    mac: &str,
    asked: Option<Ipv4Addr>,
) -> Result<Ipv4Addr, Refusal> {
    let is_used = |address| store.addresses.contains_key(&(subnet.to_owned(), address));
    let reservations: Vec<(Ipv4Addr, bool)> = store
        .below(subnet, Kind::IpReservation)
        .into_iter()
        .filter_map(|one| {
            let address = one.text("IPAddress").parse().ok()?;
            Some((address, one.text("MAC").eq_ignore_ascii_case(mac)))
        })
        .collect();
    let is_anothers = |address| reservations.contains(&(address, false));
    if let Some(address) = asked {
        if !range.has(address) || address == range.gateway {
            let text = format!(
                "IP Address {address} is not valid or cannot be in reserved address space."
            );
            return Err(Refusal::rule(2703, "IPAddress", "Invalid IP", text));
        }
        if is_used(address) || is_anothers(address) {
            let text = format!("IP Address {address} is already in use");
            return Err(Refusal::rule(2704, "IPAddress", "IP in use", text));
        }
        return Ok(address);
    }
    let own = reservations.iter().filter(|(_, own)| *own);
    own.map(|(address, _)| *address)
        .chain(range.hosts().filter(|address| !is_anothers(*address)))
        .find(|address| !is_used(*address))
        .ok_or_else(|| {
            let text = format!("Subnet {subnet} has no free address");
            Refusal::rule(2702, "IPAddress", "Subnet full", text)
        })
}

/// A vport that goes with its interface.
fn own_vport(
    store: &mut Store,
    author: &Author,
    container: &str,
    subnet: &str,
) -> Result<String, Refusal> {
    let parent = Parent {
        kind: Kind::Subnet,
        id: subnet.to_owned(),
    };
    let serial = store.below(container, Kind::ContainerInterface).len();
    let short: String = container.chars().take(8).collect();
    let name = match serial {
        0 => format!("Container VPort {short}"),
        more => format!("Container VPort {short} {more}"),
    };
    let mut attributes = Attributes::new();
    attributes.insert("name".to_owned(), json!(name));
    complete_vport(store, Some(&parent), &mut attributes)?;
    let id = store.insert(author, Kind::VPort, Some(parent), attributes);
    store.get_mut(Kind::VPort, &id)?.is_servers_own = true;
    Ok(id)
}

/// Adds to a new vport what its place says of it.
pub(crate) fn complete_vport(
    store: &Store,
    parent: Option<&Parent>,
    body: &mut Attributes,
) -> Result<(), Refusal> {
    let subnet = parent.map(|parent| parent.id.as_str()).unwrap_or_default();
    let around = store.around(subnet)?;
    for (name, value) in [
        ("domainID", json!(around.domain.id)),
        ("zoneID", json!(around.zone.id)),
    ] {
        body.insert(name.to_owned(), value);
    }
    for (name, value) in [
        ("type", json!("CONTAINER")),
        ("active", json!(true)),
        ("addressSpoofing", json!("INHERITED")),
        ("operationalState", json!("INIT")),
    ] {
        body.entry(name.to_owned()).or_insert(value);
    }
    Ok(())
}

/// Takes an interface away, with what it had.
pub(crate) fn unplug(store: &mut Store, id: &str) {
    let Ok(interface) = store.get(Kind::ContainerInterface, id) else {
        return;
    };
    let container = interface.text("parentID").to_owned();
    let vport = interface.text("VPortID").to_owned();
    let subnet = interface.text("attachedNetworkID").to_owned();
    if let Ok(address) = interface.text("IPAddress").parse() {
        store.addresses.remove(&(subnet, address));
    }
    store.remove(Kind::ContainerInterface, id);
    if store
        .get(Kind::VPort, &vport)
        .is_ok_and(|port| port.is_servers_own)
    {
        store.groups.remove(&vport);
        store.remove(Kind::VPort, &vport);
    }
    summarize(store, &container);
}

/// Who is plugged into a vport.
pub(crate) fn interface_at<'s>(store: &'s Store, vport: &str) -> Option<&'s Object> {
    let mut all = store.all(Kind::ContainerInterface);
    all.find(|interface| interface.text("VPortID") == vport)
}

/// Keeps an address for a MAC.
pub(crate) fn reserve(
    store: &mut Store,
    author: &Author,
    parent: Option<&Parent>,
    body: Attributes,
) -> Result<String, Refusal> {
    let subnet = parent.map(|parent| parent.id.as_str()).unwrap_or_default();
    let range = Range::of(&store.get(Kind::Subnet, subnet)?.attributes)?;
    let mac = text_of(&body, "MAC");
    if !is_mac(mac) {
        return Err(Refusal::invalid("MAC", format!("'{mac}' is not a MAC")));
    }
    let asked = address(&body, "IPAddress")?.ok_or(Refusal::missing("IPAddress"))?;
    pick(store, (subnet, range), mac, Some(asked))?;
    let mut others = store.below(subnet, Kind::IpReservation).into_iter();
    if others.any(|one| one.text("MAC").eq_ignore_ascii_case(mac)) {
        let text = format!("MAC {mac} has a reservation already");
        return Err(Refusal::rule(2510, "MAC", "Duplicate object", text));
    }
    Ok(store.insert(author, Kind::IpReservation, parent.cloned(), body))
}

/// Writes what a container's interfaces say of it.
fn summarize(store: &mut Store, container: &str) {
    let interfaces = store.below(container, Kind::ContainerInterface);
    let ids = |attribute: &str| {
        let mut ids: Vec<Value> = Vec::new();
        for interface in &interfaces {
            let id = json!(interface.text(attribute));
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Value::Array(ids)
    };
    let mut lines = vec![
        ("subnetIDs", ids("attachedNetworkID")),
        ("domainIDs", ids("domainID")),
        ("zoneIDs", ids("zoneID")),
    ];
    let first = interfaces.first();
    let subnet = first.map(|interface| interface.text("attachedNetworkID"));
    if let Some(Ok(around)) = subnet.map(|subnet| store.around(subnet)) {
        lines.push(("enterpriseID", json!(around.enterprise.id)));
        let name = around.enterprise.text("name");
        lines.push(("enterpriseName", json!(name)));
    }
    if let Ok(object) = store.get_mut(Kind::Container, container) {
        let lines = lines
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        object.attributes.extend(lines);
    }
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let is_byte = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.len() == 6 && parts.iter().all(is_byte)
}
