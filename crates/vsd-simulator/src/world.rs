//! All that a running simulator knows, behind one lock.

use crate::api::Asked;
use crate::faults::Faults;
use crate::kind::Kind;
use crate::login::Logins;
use crate::rules::Strictness;
use crate::store::Store;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// How many requests are remembered.
const REMEMBERED: usize = 20_000;

/// The state.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) logins: Logins,
    pub(crate) faults: Faults,
    pub(crate) strict: Strictness,
    /// How often it went away: what it was about to do then is not done.
    pub(crate) downs: u64,
    requests: VecDeque<Value>,
}

impl World {
    pub(crate) fn new(logins: Logins, strict: Strictness) -> Self {
        Self {
            store: Store::default(),
            logins,
            faults: Faults::default(),
            strict,
            downs: 0,
            requests: VecDeque::new(),
        }
    }

    /// All objects of a kind as they are shown, oldest first.
    pub(crate) fn state(&self, kind: Kind) -> Vec<Value> {
        let objects = self.store.list(None, kind).into_iter();
        let shown = objects.map(|object| {
            let mut shown = self.store.shown(kind, object);
            if kind == Kind::VPort {
                let groups = self.store.groups_of(&object.id);
                let ids: Vec<&str> = groups.iter().map(|group| group.id.as_str()).collect();
                shown["policyGroupIDs"] = json!(ids);
            }
            shown
        });
        shown.collect()
    }

    /// All objects, by the names that paths have for their kinds.
    pub(crate) fn whole(&self) -> Value {
        let kinds = Kind::ALL.into_iter().map(|kind| {
            let name = format!("{}s", kind.rest_name());
            (name, Value::Array(self.state(kind)))
        });
        Value::Object(kinds.collect::<Map<_, _>>())
    }

    /// Remembers a request and how it ended; a status of none is a connection closed.
    pub(crate) fn note(&mut self, asked: &Asked, status: Option<u16>, is_fault: bool) {
        if self.requests.len() == REMEMBERED {
            self.requests.pop_front();
        }
        let wanted = &asked.wanted;
        let shown = self.logins.shown(&asked.credentials);
        self.requests.push_back(json!({
            "method": asked.method,
            "path": asked.path.as_deref().unwrap_or(&asked.full_path),
            "full_path": asked.full_path,
            "query": asked.query,
            "filter": wanted.filter,
            "filter_type": wanted.filter_type,
            "page": wanted.page,
            "page_size": wanted.page_size,
            "order_by": wanted.order,
            "organization": asked.credentials.organization,
            "proxy_user": asked.proxy_user,
            "scheme": asked.credentials.scheme,
            "authorization": shown.word(),
            "status": status,
            "fault": is_fault,
        }));
    }

    /// The requests of before, oldest first.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.iter().cloned().collect()
    }

    /// Forgets them.
    pub(crate) fn forget_requests(&mut self) {
        self.requests.clear();
    }
}
