//! From a request to what is done and answered.

use crate::kind::Kind;
use crate::listing::{Wanted, list};
use crate::login::Credentials;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::rules;
use crate::store::{Attributes, Parent};
use crate::world::World;
use serde_json::{Value, json};

/// The versions of the API that are served, all in the same way.
const BASES: [&str; 3] = ["/nuage/api/v6", "/nuage/api/v5_0", "/nuage/api/v4_0"];

/// A request, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path below the base; none for what is not below one.
    pub(crate) path: Option<String>,
    /// The path as it came.
    pub(crate) full_path: String,
    pub(crate) query: String,
    pub(crate) credentials: Credentials,
    pub(crate) proxy_user: Option<String>,
    pub(crate) wanted: Wanted,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// The path below the base of a version.
    pub(crate) fn below_base(path: &str) -> Option<String> {
        let below = BASES.iter().find_map(|base| path.strip_prefix(base))?;
        (below.is_empty() || below.starts_with('/')).then(|| below.to_owned())
    }

    /// Was the question of a 300 answered with yes?
    pub(crate) fn has_chosen(&self) -> bool {
        self.query.split('&').any(|part| part == "responseChoice=1")
    }

    fn json(&self) -> Result<Value, Refusal> {
        let parsed = serde_json::from_slice(&self.body);
        parsed.map_err(|_| Refusal::Malformed("body is not JSON"))
    }

    fn attributes(&self) -> Result<Attributes, Refusal> {
        match self.json()? {
            Value::Object(attributes) => Ok(attributes),
            _ => Err(Refusal::Malformed("an object is expected")),
        }
    }
}

/// Where a path leads.
enum Target {
    Me,
    List(Option<Parent>, Kind),
    Object(Kind, String),
}

impl Target {
    fn of(path: &str) -> Result<Self, Refusal> {
        let nowhere = || Refusal::NoResource(path.to_owned());
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let kind = |part: &str| Kind::of_path(part).ok_or_else(nowhere);
        match parts.as_slice() {
            ["me"] => Ok(Self::Me),
            [many] => Ok(Self::List(None, kind(many)?)),
            [many, id] => Ok(Self::Object(kind(many)?, (*id).to_owned())),
            [many, id, children] => {
                let parent = Parent {
                    kind: kind(many)?,
                    id: (*id).to_owned(),
                };
                Ok(Self::List(Some(parent), kind(children)?))
            }
            _ => Err(nowhere()),
        }
    }
}

/// Carries a request out.
pub(crate) fn answer(world: &mut World, asked: &Asked) -> Reply {
    carry_out(world, asked).unwrap_or_else(Reply::from)
}

fn carry_out(world: &mut World, asked: &Asked) -> Result<Reply, Refusal> {
    let nowhere = || Refusal::NoResource(asked.full_path.clone());
    let path = asked.path.as_deref().ok_or_else(nowhere)?;
    let target = Target::of(path);
    let is_login = matches!((&target, asked.method.as_str()), (Ok(Target::Me), "GET"));
    let World {
        store,
        logins,
        strict,
        ..
    } = world;
    let strict = *strict;
    let author = logins.check(store, &asked.credentials, is_login)?;
    match (target.map_err(|_| nowhere())?, asked.method.as_str()) {
        (Target::Me, "GET") => {
            let me = logins.me(store, &asked.credentials);
            Ok(Reply::new(200).with_json(&me))
        }
        (Target::List(parent, kind), "GET" | "HEAD") => {
            let place = parent.as_ref().map(|parent| parent.kind);
            if !kind.is_listed_below(place) {
                return Err(nowhere());
            }
            if let Some(parent) = &parent {
                store.get(parent.kind, &parent.id)?;
            }
            list(store, parent.as_ref(), kind, &asked.wanted)
        }
        (Target::List(parent, kind), "POST") => {
            let place = parent.as_ref().map(|parent| parent.kind);
            if !kind.is_made_below(place) {
                return Err(match kind.is_listed_below(place) {
                    true => Refusal::NotAllowed,
                    false => nowhere(),
                });
            }
            let body = asked.attributes()?;
            let id = rules::create(store, strict, &author, (parent.as_ref(), kind), body)?;
            let shown = store.shown(kind, store.get(kind, &id)?);
            Ok(Reply::new(201).with_json(&json!([shown])))
        }
        (Target::List(Some(parent), Kind::PolicyGroup), "PUT") if parent.kind == Kind::VPort => {
            rules::assign(store, &parent.id, &asked.json()?)?;
            Ok(Reply::new(204))
        }
        (Target::Object(kind, id), "GET" | "HEAD") => {
            let shown = store.shown(kind, store.get(kind, &id)?);
            Ok(Reply::new(200).with_json(&json!([shown])))
        }
        (Target::Object(kind, id), "PUT") => {
            store.get(kind, &id)?;
            rules::update(store, strict, kind, &id, asked.attributes()?)?;
            Ok(Reply::new(204))
        }
        (Target::Object(kind, id), "DELETE") => {
            rules::delete(store, kind, &id)?;
            Ok(Reply::new(204))
        }
        _ => Err(Refusal::NotAllowed),
    }
}
