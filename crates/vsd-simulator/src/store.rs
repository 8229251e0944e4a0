//! The objects and how they hang together.

use crate::kind::Kind;
use crate::refusal::Refusal;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The attributes of an object by their names.
pub(crate) type Attributes = Map<String, Value>;

/// Who makes or changes something.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What an object is below of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) kind: Kind,
    pub(crate) id: String,
}

/// One object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: String,
    /// Counts up in the order of making.
    pub(crate) serial: u64,
    pub(crate) parent: Option<Parent>,
    pub(crate) attributes: Attributes,
    /// Was it made by the server for another one, with which it goes?
    pub(crate) is_servers_own: bool,
}

impl Object {
    /// An attribute's text; empty where there is none.
    pub(crate) fn text(&self, attribute: &str) -> &str {
        text_of(&self.attributes, attribute)
    }
}

/// An attribute's text; empty where there is none.
pub(crate) fn text_of<'a>(attributes: &'a Attributes, name: &str) -> &'a str {
    attributes
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// All objects.
#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: BTreeMap<Kind, HashMap<String, Object>>,
    children: HashMap<String, Vec<Parent>>,
    serial: u64,
    /// The addresses in use, by the subnet's ID: who has them.
    pub(crate) addresses: HashMap<(String, Ipv4Addr), String>,
    /// The policy groups of a vport, by its ID.
    pub(crate) groups: HashMap<String, Vec<String>>,
    /// The containers' IDs by their UUIDs.
    pub(crate) uuids: HashMap<String, String>,
}

impl Store {
    /// The object of that kind and ID.
    ///
    /// # Errors
    /// [`Refusal::NoObject`], also for an ID of another kind.
    pub(crate) fn get(&self, kind: Kind, id: &str) -> Result<&Object, Refusal> {
        let found = self.objects.get(&kind).and_then(|all| all.get(id));
        found.ok_or_else(|| Refusal::no_object(kind, id))
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, kind: Kind, id: &str) -> Result<&mut Object, Refusal> {
        let found = self.objects.get_mut(&kind).and_then(|all| all.get_mut(id));
        found.ok_or_else(|| Refusal::no_object(kind, id))
    }

    /// All objects of a kind, in no order.
    pub(crate) fn all(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects
            .get(&kind)
            .into_iter()
            .flat_map(HashMap::values)
    }

    /// The objects of a kind that are right below this one, oldest first.
    pub(crate) fn below(&self, id: &str, kind: Kind) -> Vec<&Object> {
        let children = self.children.get(id).into_iter().flatten();
        children
            .filter(|child| child.kind == kind)
            .filter_map(|child| self.get(kind, &child.id).ok())
            .collect()
    }

    /// The kind of something right below this one, if there is anything.
    pub(crate) fn first_child(&self, id: &str) -> Option<Kind> {
        Some(self.children.get(id)?.first()?.kind)
    }

    /// Puts a new object in, with what the server adds to each, and returns its ID.
    pub(crate) fn insert(
        &mut self,
        author: &Author,
        kind: Kind,
        parent: Option<Parent>,
        mut attributes: Attributes,
    ) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.serial += 1;
        let (parent_type, parent_id) = match &parent {
            Some(parent) => (json!(parent.kind.rest_name()), json!(parent.id)),
            None => (Value::Null, Value::Null),
        };
        let now = now_ms();
        for (name, value) in [
            ("ID", json!(id)),
            ("parentType", parent_type),
            ("parentID", parent_id),
            ("owner", json!(author.id)),
            ("creationDate", json!(now)),
            ("lastUpdatedDate", json!(now)),
        ] {
            attributes.insert(name.to_owned(), value);
        }
        attributes
            .entry("externalID".to_owned())
            .or_insert(Value::Null);
        if let Some(parent) = &parent {
            let siblings = self.children.entry(parent.id.clone()).or_default();
            siblings.push(Parent {
                kind,
                id: id.clone(),
            });
        }
        let object = Object {
            id: id.clone(),
            serial: self.serial,
            parent,
            attributes,
            is_servers_own: false,
        };
        self.objects
            .entry(kind)
            .or_default()
            .insert(id.clone(), object);
        id
    }

    /// Takes an object away; what is below it is the caller's.
    pub(crate) fn remove(&mut self, kind: Kind, id: &str) {
        let object = self.objects.get_mut(&kind).and_then(|all| all.remove(id));
        if let Some(parent) = object.and_then(|object| object.parent)
            && let Some(siblings) = self.children.get_mut(&parent.id)
        {
            siblings.retain(|sibling| sibling.id != id);
        }
        self.children.remove(id);
    }

    /// The object that this one is below of.
    pub(crate) fn parent_of(&self, object: &Object) -> Option<&Object> {
        let parent = object.parent.as_ref()?;
        self.get(parent.kind, &parent.id).ok()
    }

    /// The domain, zone and enterprise around a subnet.
    ///
    /// # Errors
    /// [`Refusal::NoObject`] when there is no such subnet.
    pub(crate) fn around(&self, subnet: &str) -> Result<Around<'_>, Refusal> {
        let subnet = self.get(Kind::Subnet, subnet)?;
        let gone = || Refusal::no_object(Kind::Subnet, &subnet.id);
        let zone = self.parent_of(subnet).ok_or_else(gone)?;
        let domain = self.parent_of(zone).ok_or_else(gone)?;
        let enterprise = self.parent_of(domain).ok_or_else(gone)?;
        Ok(Around {
            subnet,
            zone,
            domain,
            enterprise,
        })
    }

    /// The objects of a kind below a parent, near or far, or below the root, oldest first.
    pub(crate) fn list(&self, parent: Option<&Parent>, kind: Kind) -> Vec<&Object> {
        let mut found: Vec<&Object> = match parent {
            None => self.all(kind).collect(),
            Some(parent) => match (parent.kind, kind) {
                (Kind::VPort, Kind::PolicyGroup) => self.groups_of(&parent.id),
                (Kind::PolicyGroup, Kind::VPort) => self.members_of(&parent.id),
                (Kind::Domain, Kind::Subnet) => self
                    .below(&parent.id, Kind::Zone)
                    .into_iter()
                    .flat_map(|zone| self.below(&zone.id, Kind::Subnet))
                    .collect(),
                (Kind::VPort, Kind::Container) => self
                    .all(Kind::ContainerInterface)
                    .filter(|one| one.text("VPortID") == parent.id)
                    .filter_map(|one| self.parent_of(one))
                    .collect(),
                _ => self
                    .all(kind)
                    .filter(|one| self.is_below(one, parent))
                    .collect(),
            },
        };
        found.sort_by_key(|object| object.serial);
        found
    }

    fn is_below(&self, object: &Object, parent: &Parent) -> bool {
        if object.parent.as_ref() == Some(parent) {
            return true;
        }
        let (one, many) = match parent.kind {
            Kind::Domain => ("domainID", "domainIDs"),
            Kind::Zone => ("zoneID", "zoneIDs"),
            Kind::Subnet => ("attachedNetworkID", "subnetIDs"),
            Kind::VPort => ("VPortID", ""),
            _ => return false,
        };
        let has_it = |all: &Vec<Value>| all.iter().any(|id| id == &parent.id);
        let many = object.attributes.get(many).and_then(Value::as_array);
        object.text(one) == parent.id || many.is_some_and(has_it)
    }

    /// The policy groups of a vport.
    pub(crate) fn groups_of(&self, vport: &str) -> Vec<&Object> {
        let groups = self.groups.get(vport).into_iter().flatten();
        groups
            .filter_map(|id| self.get(Kind::PolicyGroup, id).ok())
            .collect()
    }

    /// The vports of a policy group.
    pub(crate) fn members_of(&self, group: &str) -> Vec<&Object> {
        let has_it = |groups: &Vec<String>| groups.iter().any(|id| id == group);
        self.groups
            .iter()
            .filter(|(_, groups)| has_it(groups))
            .filter_map(|(vport, _)| self.get(Kind::VPort, vport).ok())
            .collect()
    }

    /// An object as it is shown.
    pub(crate) fn shown(&self, kind: Kind, object: &Object) -> Value {
        let mut attributes = object.attributes.clone();
        match kind {
            Kind::Container => {
                let interfaces = self.below(&object.id, Kind::ContainerInterface);
                let interfaces = interfaces.into_iter().map(|one| json!(one.attributes));
                attributes.insert("interfaces".to_owned(), interfaces.collect());
            }
            Kind::User => {
                attributes.remove("password");
            }
            _ => {}
        }
        Value::Object(attributes)
    }
}

/// A subnet and what it is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'s> {
    pub(crate) subnet: &'s Object,
    pub(crate) zone: &'s Object,
    pub(crate) domain: &'s Object,
    pub(crate) enterprise: &'s Object,
}

/// Milliseconds since 1970, as a VSD counts.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
