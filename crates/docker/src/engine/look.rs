//! A look at everything that an engine has.

use crate::view::Container;
use fairlead_libnetwork::engine::{EngineError, Listed, Network, State, Talk};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What an engine has.
#[derive(Debug, Default)]
pub(super) struct Look {
    containers: Vec<Listed>,
    /// Those of our driver, by their ids, with who is on them.
    networks: BTreeMap<String, Network>,
}

impl Look {
    /// Looks; what fails makes the whole look fail, so that nobody takes what was not told
    /// for what is not there.
    pub(super) async fn at(talk: &Talk) -> Result<Self, EngineError> {
        let containers = talk.containers().await?;
        let mut networks = BTreeMap::new();
        for network in talk.networks().await? {
            if let Some(network) = talk.network(network.id()).await? {
                networks.insert(network.id().to_owned(), network);
            }
        }
        Ok(Self {
            containers,
            networks,
        })
    }

    /// How far each container is; `now` in seconds since 1970.
    pub(super) fn view(&self, now: u64) -> BTreeMap<String, Container> {
        let container = |listed: &Listed| match listed.state(now) {
            State::New(age) => {
                let at = Instant::now().checked_sub(Duration::from_secs(age));
                Container::New(at.unwrap_or_else(Instant::now))
            }
            State::Running => Container::Running,
            State::Stopped => Container::Stopped,
        };
        let all = self.containers.iter();
        all.map(|listed| (listed.id.clone(), container(listed)))
            .collect()
    }

    pub(super) const fn networks(&self) -> &BTreeMap<String, Network> {
        &self.networks
    }

    /// The ids of all containers.
    pub(super) fn containers(&self) -> BTreeSet<&str> {
        let all = self.containers.iter();
        all.map(|listed| listed.id.as_str()).collect()
    }

    /// The containers that have an endpoint on a network of ours.
    pub(super) fn on_ours(&self) -> impl Iterator<Item = &str> {
        let is_on = |listed: &&Listed| {
            let mut places = listed.places.iter();
            places.any(|p| p.endpoint.is_some() && self.networks.contains_key(&p.network))
        };
        let all = self.containers.iter().filter(is_on);
        all.map(|listed| listed.id.as_str())
    }

    /// Whose each endpoint is, of all networks: the containers tell it, and those of which
    /// the engine knows no container are told by the networks.
    pub(super) fn endpoints(&self) -> BTreeMap<String, Option<String>> {
        let mut all = BTreeMap::new();
        for network in self.networks.values() {
            all.extend(network.endpoints().map(|endpoint| (endpoint, None)));
        }
        for listed in &self.containers {
            let places = listed.places.iter();
            let endpoints = places.filter_map(|place| place.endpoint.clone());
            all.extend(endpoints.map(|endpoint| (endpoint, Some(listed.id.clone()))));
        }
        all
    }

    #[cfg(test)]
    pub(super) fn of(containers: &serde_json::Value, networks: &serde_json::Value) -> Self {
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        let networks = list(networks).into_iter().map(Network::new);
        Self {
            containers: list(containers).iter().filter_map(Listed::of).collect(),
            networks: networks.map(|n| (n.id().to_owned(), n)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn endpoints_are_those_of_containers_and_those_that_only_networks_know() {
        let on = |network: &str, endpoint: &str| json!({"Networks": {"x": {"NetworkID": network, "EndpointID": endpoint}}});
        let look = Look::of(
            &json!([
                {"Id": "c1", "State": "running", "NetworkSettings": on("n1", "e1")},
                {"Id": "c2", "State": "exited", "NetworkSettings": on("n1", "")},
                {"Id": "c3", "State": "running", "NetworkSettings": on("bridge", "e3")},
                {"Id": "c4", "State": "created", "Created": 95},
            ]),
            &json!([{"Id": "n1", "Driver": "fairlead", "Containers": {
                "c1": {"EndpointID": "e1"}, "ep-e2": {"EndpointID": "e2"}}}]),
        );
        assert_eq!(look.on_ours().collect::<Vec<_>>(), ["c1"]);
        let own = |id: &str| Some(id.to_owned());
        let wanted = [
            ("e1".to_owned(), own("c1")),
            ("e2".to_owned(), None),
            ("e3".to_owned(), own("c3")),
        ];
        assert_eq!(look.endpoints(), BTreeMap::from(wanted));
        let view = look.view(100);
        assert_eq!(view["c1"], Container::Running);
        assert_eq!(view["c2"], Container::Stopped);
        assert!(matches!(view["c4"], Container::New(_)));
    }
}
