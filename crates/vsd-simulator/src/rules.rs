//! What may be made, changed and taken away.

use crate::kind::Kind;
use crate::ports;
use crate::range::Range;
use crate::refusal::Refusal;
use crate::store::{Attributes, Author, Parent, Store, now_ms, text_of};
use serde::Deserialize;
use serde_json::{Value, json};

/// Rules that not every VSD has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Strictness {
    /// Refuses a PUT that changes nothing, with the code 2039.
    pub refuse_unchanged: bool,
    /// Refuses a container whose name another one has.
    pub unique_container_names: bool,
}

/// What only the server sets.
const SERVERS: [&str; 14] = [
    "ID",
    "parentID",
    "parentType",
    "owner",
    "creationDate",
    "lastUpdatedDate",
    "interfaces",
    "enterpriseID",
    "enterpriseName",
    "domainIDs",
    "zoneIDs",
    "subnetIDs",
    "userID",
    "domainID",
];

/// Makes an object and returns its ID.
///
/// # Errors
/// [`Refusal`]; then nothing was made.
pub(crate) fn create(
    store: &mut Store,
    strict: Strictness,
    author: &Author,
    (parent, kind): (Option<&Parent>, Kind),
    mut body: Attributes,
) -> Result<String, Refusal> {
    if let Some(parent) = parent {
        store.get(parent.kind, &parent.id)?;
    }
    // A null means "not set".
    body.retain(|_, value| !value.is_null());
    let given = body.remove("interfaces");
    if kind == Kind::ContainerInterface {
        let container = parent.map(|parent| parent.id.clone()).unwrap_or_default();
        return ports::plug(store, author, &container, body);
    }
    for name in SERVERS {
        body.remove(name);
    }
    check_name(store, strict, (parent, kind), &body, None)?;
    match kind {
        Kind::Container => return ports::start(store, author, body, given),
        Kind::IpReservation => return ports::reserve(store, author, parent, body),
        Kind::Domain => check_template(store, parent, &body)?,
        Kind::Subnet => {
            let zone = parent.map(|parent| parent.id.as_str()).unwrap_or_default();
            let range = check_range(store, zone, &body, None)?;
            range.write(&mut body);
        }
        Kind::VPort => ports::complete_vport(store, parent, &mut body)?,
        _ => {}
    }
    Ok(store.insert(author, kind, parent.cloned(), body))
}

/// Changes an object.
///
/// # Errors
/// [`Refusal`]; then nothing was changed.
pub(crate) fn update(
    store: &mut Store,
    strict: Strictness,
    kind: Kind,
    id: &str,
    mut body: Attributes,
) -> Result<(), Refusal> {
    let object = store.get(kind, id)?;
    body.retain(|name, value| !value.is_null() && !SERVERS.contains(&name.as_str()));
    if kind == Kind::ContainerInterface {
        // What the server has given stays: an interface is taken away and made anew.
        body.retain(|name, _| matches!(name.as_str(), "name" | "externalID"));
    }
    body.retain(|name, value| object.attributes.get(name) != Some(value));
    if body.is_empty() {
        return match strict.refuse_unchanged {
            false => Ok(()),
            true => Err(Refusal::rule(
                2039,
                "",
                "No change",
                "There are no attribute changes to modify the entity",
            )),
        };
    }
    let mut whole = object.attributes.clone();
    whole.extend(body.clone());
    let parent = object.parent.clone();
    check_name(store, strict, (parent.as_ref(), kind), &whole, Some(id))?;
    if kind == Kind::Subnet {
        let addresses = ["address", "netmask", "gateway"];
        if addresses.iter().any(|name| body.contains_key(*name)) {
            check_unused(store, kind, id)?;
            let zone = parent.map(|parent| parent.id).unwrap_or_default();
            check_range(store, &zone, &whole, Some(id))?.write(&mut body);
        }
    }
    let object = store.get_mut(kind, id)?;
    let before = object.text("UUID").to_owned();
    object.attributes.extend(body);
    let now = json!(now_ms());
    object.attributes.insert("lastUpdatedDate".to_owned(), now);
    if kind == Kind::Container {
        ports::renamed(store, id, &before);
    }
    Ok(())
}

/// Takes an object away.
///
/// # Errors
/// [`Refusal`]; then it is still there.
pub(crate) fn delete(store: &mut Store, kind: Kind, id: &str) -> Result<(), Refusal> {
    store.get(kind, id)?;
    match kind {
        Kind::Container => ports::end(store, id),
        Kind::ContainerInterface => ports::unplug(store, id),
        _ => {
            check_unused(store, kind, id)?;
            store.groups.remove(id);
            store.remove(kind, id);
        }
    }
    Ok(())
}

/// Replaces the policy groups of a vport.
///
/// # Errors
/// [`Refusal`]; then it has those of before.
pub(crate) fn assign(store: &mut Store, vport: &str, body: &Value) -> Result<(), Refusal> {
    let domain = store.get(Kind::VPort, vport)?.text("domainID").to_owned();
    let ids = body.as_array();
    let ids = ids.ok_or(Refusal::Malformed("a list of IDs is expected"))?;
    let mut groups: Vec<String> = Vec::new();
    for id in ids {
        let id = id.as_str();
        let id = id.ok_or(Refusal::Malformed("a list of IDs is expected"))?;
        let group = store.get(Kind::PolicyGroup, id)?;
        if group.text("parentID") != domain {
            let text = "The policy group and the vport are not in the same domain";
            return Err(Refusal::rule(7309, "", "Invalid policy group", text));
        }
        if !groups.iter().any(|known| known == id) {
            groups.push(id.to_owned());
        }
    }
    store.groups.insert(vport.to_owned(), groups);
    Ok(())
}

/// Names are there and of one only, where they must be; so are UUIDs.
fn check_name(
    store: &Store,
    strict: Strictness,
    (parent, kind): (Option<&Parent>, Kind),
    body: &Attributes,
    own: Option<&str>,
) -> Result<(), Refusal> {
    let property = match kind {
        Kind::User => "userName",
        Kind::IpReservation | Kind::ContainerInterface => return Ok(()),
        _ => "name",
    };
    let name = text_of(body, property);
    if name.is_empty() {
        return Err(Refusal::missing(property));
    }
    if name.chars().count() > 255 {
        return Err(Refusal::invalid(property, "longer than 255 characters"));
    }
    if kind == Kind::Container {
        let uuid = text_of(body, "UUID");
        if uuid.is_empty() {
            return Err(Refusal::missing("UUID"));
        }
        if store
            .uuids
            .get(uuid)
            .is_some_and(|id| Some(id.as_str()) != own)
        {
            let text = format!("UUID {uuid} is already in use");
            return Err(Refusal::rule(2748, "UUID", "UUID in use", text));
        }
        if !strict.unique_container_names {
            return Ok(());
        }
    }
    let siblings = match parent {
        None => store.all(kind).collect(),
        Some(parent) => store.below(&parent.id, kind),
    };
    let is_taken = |one: &&crate::store::Object| one.text(property) == name;
    let mut others = siblings
        .into_iter()
        .filter(|one| Some(one.id.as_str()) != own);
    if others.any(|one| is_taken(&one)) {
        let code = if kind == Kind::PolicyGroup {
            9501
        } else {
            2510
        };
        let text = format!("{} with name {name} already exists", kind.rest_name());
        return Err(Refusal::rule(code, property, "Duplicate object", text));
    }
    Ok(())
}

/// A domain is made from a template of its enterprise.
fn check_template(
    store: &Store,
    parent: Option<&Parent>,
    body: &Attributes,
) -> Result<(), Refusal> {
    let id = text_of(body, "templateID");
    if id.is_empty() {
        return Err(Refusal::missing("templateID"));
    }
    let template = store.get(Kind::DomainTemplate, id)?;
    match template.parent.as_ref() == parent {
        true => Ok(()),
        false => Err(Refusal::invalid(
            "templateID",
            "it is of another enterprise",
        )),
    }
}

/// A subnet's range is its own in the whole domain.
fn check_range(
    store: &Store,
    zone: &str,
    body: &Attributes,
    own: Option<&str>,
) -> Result<Range, Refusal> {
    let range = Range::of(body)?;
    let domain = store.get(Kind::Zone, zone)?.text("parentID");
    for zone in store.below(domain, Kind::Zone) {
        for other in store.below(&zone.id, Kind::Subnet) {
            if Some(other.id.as_str()) == own {
                continue;
            }
            let there = Range::of(&other.attributes)?.net;
            if there.contains(&range.net) || range.net.contains(&there) {
                let text = format!("Network {} overlaps with existing network", range.net);
                return Err(Refusal::rule(2556, "address", "Network overlaps", text));
            }
        }
    }
    Ok(range)
}

/// What others need, or are in, stays.
fn check_unused(store: &Store, kind: Kind, id: &str) -> Result<(), Refusal> {
    let in_use = |code, text: String| Err(Refusal::rule(code, "", "In use", text));
    let name = kind.rest_name();
    if let Some(child) = store.first_child(id) {
        let child = child.rest_name();
        return in_use(2518, format!("{name} {id} has a {child}"));
    }
    match kind {
        Kind::DomainTemplate
            if store
                .all(Kind::Domain)
                .any(|domain| domain.text("templateID") == id) =>
        {
            in_use(2518, format!("{name} {id} has a domain"))
        }
        Kind::PolicyGroup if !store.members_of(id).is_empty() => {
            in_use(7097, format!("{name} {id} is assigned to a vport"))
        }
        Kind::VPort if ports::interface_at(store, id).is_some() => {
            in_use(2518, format!("{name} {id} has an interface"))
        }
        _ => Ok(()),
    }
}
