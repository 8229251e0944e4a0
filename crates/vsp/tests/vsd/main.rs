//! The client of the VSD against a VSD in small, and against servers that are none.

mod objects;
mod scripted;
mod server;
mod session;
mod tls;
mod trouble;

use fairlead_types::Mac;
use fairlead_vsd_simulator::{Kind, Options, Protection, Simulator};
use fairlead_vsp::vsd::{
    Domain, NewContainer, NewInterface, Retries, Secret, Subnet, SubnetId, Vsd, VsdSettings,
};
use serde_json::{Value, json};
use std::time::Duration;

/// Settings for a server of a test.
fn settings(url: &str) -> VsdSettings {
    let mut settings = VsdSettings::new(
        url.parse().unwrap(),
        "csproot",
        Secret::new("csproot"),
        "csp",
    );
    settings.retries = Retries {
        attempts: 5,
        interval: Duration::from_millis(2),
    };
    settings
}

/// A simulator with a subnet, and who asks it.
struct Lab {
    simulator: Simulator,
    vsd: Vsd,
    domain: Domain,
    subnet: Subnet,
}

impl Lab {
    async fn new() -> Self {
        Self::with(Options {
            protection: Protection::Plain,
            ..Options::default()
        })
        .await
    }

    async fn with(options: Options) -> Self {
        let seed = json!({"Ent": {"Dom": {"policygroups": ["web", "db"], "Zone": {
            "Subnet 2": {"address": "10.21.0.0", "netmask": "255.255.0.0", "gateway": "10.21.0.1"},
            "small": {"address": "10.9.9.0", "netmask": "255.255.255.252", "gateway": "10.9.9.1"},
        }}}});
        let simulator = Simulator::start(Options {
            seed: Some(seed),
            ..options
        })
        .await
        .unwrap();
        let vsd = Vsd::new(settings(simulator.url())).unwrap();
        let enterprise = vsd.enterprise("Ent").await.unwrap();
        let domain = vsd.domain(&enterprise.id, "Dom").await.unwrap();
        let subnet = vsd.subnet_of_domain(&domain.id, "Subnet 2").await.unwrap();
        Self {
            simulator,
            vsd,
            domain,
            subnet,
        }
    }

    /// A container that is not there yet.
    fn new_container(&self, number: u16) -> NewContainer {
        new_container(number, &self.subnet.id)
    }

    fn count(&self, kind: Kind) -> usize {
        self.simulator.state(kind).len()
    }

    /// The requests of a kind so far.
    fn requests(&self, method: &str, path: &str) -> Vec<Value> {
        let fits = |one: &Value| one["method"] == method && one["path"] == path;
        self.simulator.requests().into_iter().filter(fits).collect()
    }

    fn logins(&self) -> usize {
        self.requests("GET", "/me").len()
    }
}

fn new_container(number: u16, subnet: &SubnetId) -> NewContainer {
    let uuid = format!("{number:064x}");
    let interface = new_interface(number, subnet);
    NewContainer {
        name: uuid.clone(),
        uuid,
        external_id: "host-1".to_owned(),
        interfaces: vec![interface],
    }
}

fn new_interface(number: u16, subnet: &SubnetId) -> NewInterface {
    let [high, low] = number.to_be_bytes();
    NewInterface {
        name: format!("nln{number:x}-1"),
        mac: Mac([0x7a, 0x42, 0, 0, high, low]),
        address: None,
        subnet: subnet.clone(),
    }
}
