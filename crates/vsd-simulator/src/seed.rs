//! Objects that are there from the start, from one tree. What is there already by its name is
//! gone into, not made again.

use crate::kind::Kind;
use crate::login;
use crate::refusal::Refusal;
use crate::rules::{self, Strictness};
use crate::store::{Attributes, Author, Parent, Store, text_of};
use serde_json::{Map, Value, json};

/// Why a tree cannot be planted. What came before the fault is there.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A part is of another form than it should be.
    #[error("the seed has no {wanted} at {place}")]
    Form {
        /// Where, from the root.
        place: String,
        /// What should be there.
        wanted: &'static str,
    },
    /// A rule of the VSD is against it.
    #[error("the seed's {place} cannot be: {reason}")]
    Refused {
        /// Where, from the root.
        place: String,
        /// The rule's words.
        reason: String,
    },
}

/// Plants a tree.
pub(crate) fn plant(store: &mut Store, author: &Author, tree: &Value) -> Result<(), SeedError> {
    let mut planter = Planter { store, author };
    for (name, below) in object(tree, "the root")? {
        planter.enterprise(name, below)?;
    }
    Ok(())
}

struct Planter<'s> {
    store: &'s mut Store,
    author: &'s Author,
}

impl Planter<'_> {
    fn enterprise(&mut self, name: &str, tree: &Value) -> Result<(), SeedError> {
        let enterprise = self.one(None, Kind::Enterprise, name, Attributes::new(), name)?;
        for (below, tree) in object(tree, name)? {
            let place = format!("{name}/{below}");
            match tree {
                Value::Array(users) if below == "users" => {
                    for user in users {
                        let user = object(user, &place)?;
                        let who = text_of(user, "userName");
                        let body = login::user(who, text_of(user, "password"));
                        self.one(Some(&enterprise), Kind::User, who, body, &place)?;
                    }
                }
                tree => self.domain(&enterprise, below, tree, &place)?,
            }
        }
        Ok(())
    }

    fn domain(
        &mut self,
        enterprise: &Parent,
        name: &str,
        tree: &Value,
        place: &str,
    ) -> Result<(), SeedError> {
        let none = Attributes::new();
        let template = format!("{name} template");
        let kind = Kind::DomainTemplate;
        let template = self.one(Some(enterprise), kind, &template, none.clone(), place)?;
        let body = attributes("templateID", &template.id);
        let domain = self.one(Some(enterprise), Kind::Domain, name, body, place)?;
        for (below, tree) in object(tree, place)? {
            let place = format!("{place}/{below}");
            match tree {
                Value::Array(groups) if below == "policygroups" => {
                    for group in groups {
                        let group = group.as_str().ok_or_else(|| form(&place, "names"))?;
                        let body = attributes("type", "SOFTWARE");
                        self.one(Some(&domain), Kind::PolicyGroup, group, body, &place)?;
                    }
                }
                tree => {
                    let zone = self.one(Some(&domain), Kind::Zone, below, none.clone(), &place)?;
                    for (name, subnet) in object(tree, &place)? {
                        let place = format!("{place}/{name}");
                        let body = object(subnet, &place)?.clone();
                        self.one(Some(&zone), Kind::Subnet, name, body, &place)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The object of that name, made if it is not there.
    fn one(
        &mut self,
        parent: Option<&Parent>,
        kind: Kind,
        name: &str,
        mut body: Attributes,
        place: &str,
    ) -> Result<Parent, SeedError> {
        let property = if kind == Kind::User {
            "userName"
        } else {
            "name"
        };
        let there = self.store.list(parent, kind);
        let known = there.iter().find(|object| object.text(property) == name);
        if let Some(known) = known {
            let id = known.id.clone();
            return Ok(Parent { kind, id });
        }
        body.insert(property.to_owned(), json!(name));
        let strict = Strictness::default();
        let made = rules::create(self.store, strict, self.author, (parent, kind), body);
        let refused = |refusal: Refusal| SeedError::Refused {
            place: place.to_owned(),
            reason: refusal.to_string(),
        };
        made.map(|id| Parent { kind, id }).map_err(refused)
    }
}

fn attributes(name: &str, value: &str) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(name.to_owned(), json!(value));
    attributes
}

fn object<'v>(value: &'v Value, place: &str) -> Result<&'v Map<String, Value>, SeedError> {
    value.as_object().ok_or_else(|| form(place, "object"))
}

fn form(place: &str, wanted: &'static str) -> SeedError {
    SeedError::Form {
        place: place.to_owned(),
        wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> Author {
        Author {
            id: "author".to_owned(),
            name: "csproot".to_owned(),
        }
    }

    #[test]
    fn a_tree_is_planted_with_any_names_and_twice_is_once() {
        let tree = json!({"An \"Enterprise\"": {
            "users": [{"userName": "ann", "password": "p"}],
            "Dömäin/1": {"policygroups": ["web", "db"], "policygroups ": {
                "Subnet 2": {"address": "10.21.59.0", "netmask": "255.255.255.0"}}},
            "policygroups": {"users": {}}}});
        let mut store = Store::default();
        for _ in 0..2 {
            plant(&mut store, &author(), &tree).unwrap();
            let counts = Kind::ALL.map(|kind| store.all(kind).count());
            assert_eq!(counts, [1, 2, 2, 2, 1, 0, 0, 0, 2, 1, 0]);
        }
        let subnet = store.all(Kind::Subnet).next().unwrap();
        assert_eq!(subnet.text("gateway"), "10.21.59.1");
    }

    #[test]
    fn a_bad_tree_says_where_it_is_bad() {
        for (tree, place) in [
            (json!([]), "the root"),
            (json!({"E": {"D": []}}), "E/D"),
            (
                json!({"E": {"D": {"policygroups": [7]}}}),
                "E/D/policygroups",
            ),
            (
                json!({"E": {"D": {"Z": {"S": {"address": "x"}}}}}),
                "E/D/Z/S",
            ),
        ] {
            let error = plant(&mut Store::default(), &author(), &tree).unwrap_err();
            assert!(error.to_string().contains(place), "{error}");
        }
    }
}
