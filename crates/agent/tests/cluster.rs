//! The agent in a cluster, with a real etcd: registration, publication, and what goes on
//! while etcd does not.

mod common;

use common::{Trial, WEB, until};
use fairlead_cluster::JoinOptions;
use fairlead_config::Target;
use std::process::{Child, Command, Stdio};

/// An etcd of a test's own, in the node's namespace.
struct Etcd<'a> {
    trial: &'a Trial,
    process: Child,
}

impl<'a> Etcd<'a> {
    fn start(trial: &'a Trial) -> Self {
        let data = trial.root.dir().join("etcd");
        let process = Command::new("nsenter")
            .arg(format!("--net={}", trial.path().display()))
            .args(["etcd", "--log-level", "error", "--data-dir"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is installed by scripts/install-deps");
        let etcd = Self { trial, process };
        until("etcd answers", || etcd.ctl("endpoint health").is_some());
        etcd
    }

    fn ctl(&self, line: &str) -> Option<String> {
        let output = Command::new("nsenter")
            .arg(format!("--net={}", self.trial.path().display()))
            .args(["etcdctl", "--command-timeout=2s"])
            .args(line.split_whitespace())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then_some(text)
    }

    /// The keys under a prefix of ours.
    fn keys(&self, prefix: &str) -> Vec<String> {
        let line = format!("get --prefix --keys-only /fairlead/{prefix}");
        let text = self.ctl(&line).unwrap_or_default();
        let keys = text.lines().filter(|line| !line.is_empty());
        keys.map(str::to_owned).collect()
    }
}

impl Drop for Etcd<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn joined(work: impl FnOnce(&Trial, Etcd<'_>)) {
    let trial = Trial::new(WEB);
    trial.run("ip link set lo up");
    let etcd = Etcd::start(&trial);
    let options = JoinOptions {
        endpoints: vec!["http://127.0.0.1:2379".into()],
        ..JoinOptions::default()
    };
    trial
        .inside(|| fairlead_cluster::join(&trial.root, &options))
        .unwrap();
    work(&trial, etcd);
}

fn reachable(trial: &Trial) -> bool {
    trial.status().unwrap().cluster.reachable
}

#[test]
fn a_node_is_seen_while_its_agent_lives_and_what_it_holds_stays() {
    joined(|trial, etcd| {
        let name = fairlead_config::nodename();
        let agent = trial.agent();
        let node = format!("/fairlead/nodes/{name}");
        until("the node is registered", || {
            etcd.keys("nodes/") == [node.clone()]
        });
        until("shared state is reached", || reachable(trial));
        until("one node is alive", || {
            trial.status().unwrap().cluster.nodes_alive == Some(1)
        });
        let container = trial.container("c1");
        let attachment = trial.attach(&container, "c1", &[]);
        let ip = attachment.addresses[0];
        let address = format!("/fairlead/addresses/{name}/web/{ip}");
        until("the address is published", || {
            etcd.keys("addresses/") == [address.clone()]
        });
        agent.stop();
        // It may be started again: only its lease ends its names.
        assert_eq!(etcd.keys("nodes/"), std::slice::from_ref(&node));
        until("its lease ends", || etcd.keys("nodes/").is_empty());
        assert_eq!(etcd.keys("addresses/"), [address]);
        let agent = trial.agent();
        trial.detach("c1");
        until("the address is gone", || etcd.keys("addresses/").is_empty());
        agent.stop();
    });
}

#[test]
fn a_change_in_shared_state_is_followed() {
    joined(|trial, etcd| {
        let agent = trial.agent();
        until("shared state is reached", || reachable(trial));
        let text = format!("{WEB}[network#two]\ntype = bridge\nnetwork = 10.94.0.0/24\n");
        let mut put = Command::new("nsenter")
            .arg(format!("--net={}", trial.path().display()))
            .args(["etcdctl", "put", "/fairlead/config"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut put.stdin.take().unwrap(), text.as_bytes()).unwrap();
        assert!(put.wait().unwrap().success());
        until("the second network is there", || {
            trial.links() == ["obr_two", "obr_web"]
        });
        drop(etcd);
        agent.stop();
    });
}

#[test]
fn without_etcd_everything_on_the_node_goes_on_and_is_made_up_for() {
    joined(|trial, etcd| {
        let agent = trial.agent();
        until("shared state is reached", || reachable(trial));
        drop(etcd);
        until("it is told that etcd is gone", || !reachable(trial));
        let containers = ["c1", "c2"].map(|id| trial.container(id));
        trial.attach(&containers[0], "c1", &["8080:80/tcp"]);
        let attachment = trial.attach(&containers[1], "c2", &[]);
        trial.detach("c1");
        trial.run("ip link set obr_web down");
        until("the bridge is up again", || {
            trial.ip("link show obr_web")[0]["flags"]
                .to_string()
                .contains("\"UP\"")
        });
        agent.stop();
        // And from the start.
        let agent = trial.agent();
        assert_eq!(trial.cables(), 1);
        let etcd = Etcd::start(trial);
        until("shared state is reached again", || reachable(trial));
        let name = fairlead_config::nodename();
        let address = format!("/fairlead/addresses/{name}/web/{}", attachment.addresses[0]);
        until("the address is published", || {
            etcd.keys("addresses/") == [address.clone()]
        });
        agent.stop();
    });
}

#[test]
fn a_node_that_joins_needs_no_new_agent() {
    let trial = Trial::new(WEB);
    trial.run("ip link set lo up");
    let agent = trial.agent();
    assert!(!trial.status().unwrap().cluster.joined);
    let etcd = Etcd::start(&trial);
    let options = JoinOptions {
        endpoints: vec!["http://127.0.0.1:2379".into()],
        ..JoinOptions::default()
    };
    trial
        .inside(|| fairlead_cluster::join(&trial.root, &options))
        .unwrap();
    until("the node is registered", || etcd.keys("nodes/").len() == 1);
    assert!(trial.status().unwrap().cluster.joined);
    agent.stop();
}

/// The bridge that containers are on: another one has another number.
fn bridge(trial: &Trial) -> String {
    trial.ip("link show obr_web")[0]["ifindex"].to_string()
}

fn is_told(trial: &Trial, words: &str) -> bool {
    let reconciled = trial.status().unwrap().reconciled;
    let problems = reconciled.map(|done| done.problems).unwrap_or_default();
    problems.iter().any(|problem| problem.text.contains(words))
}

#[test]
fn a_damaged_mirror_takes_nothing_down() {
    joined(|trial, etcd| {
        let path = Target::Cluster.path(&trial.root);
        let agent = trial.agent();
        until("shared state is reached", || reachable(trial));
        let (good, number) = (std::fs::read_to_string(&path).unwrap(), bridge(trial));
        let is_good = || std::fs::read_to_string(&path).is_ok_and(|text| text == good);
        std::fs::remove_file(&path).unwrap();
        until("the file is back", is_good);
        drop(etcd);
        until("it is told that etcd is gone", || !reachable(trial));
        std::fs::write(&path, "").unwrap();
        until("the file is back without etcd", is_good);
        trial.run("ip link set obr_web down");
        until("the bridge is up again", || {
            trial.ip("link show obr_web")[0]["flags"]
                .to_string()
                .contains("\"UP\"")
        });
        assert_eq!(bridge(trial), number);
        agent.stop();
    });
}

#[test]
fn an_emptied_cluster_conf_takes_nothing_down() {
    let trial = Trial::new(WEB);
    let path = Target::Cluster.path(&trial.root);
    let agent = trial.agent();
    let copy = trial.root.state().join("cluster.conf.last");
    until("the file is known", || copy.exists());
    let number = bridge(&trial);
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    until("it is told", || is_told(&trial, "cluster.conf.last"));
    assert_eq!(bridge(&trial), number);
    std::fs::write(&path, good).unwrap();
    until("it is mended", || !is_told(&trial, "cluster.conf.last"));
    assert_eq!(bridge(&trial), number);
    std::fs::write(&path, "[DEFAULT]\n").unwrap();
    until("that is meant", || {
        !trial.links().contains(&"obr_web".to_owned())
    });
    agent.stop();
}

#[test]
fn an_agent_does_not_fight_with_another_of_its_name() {
    joined(|trial, etcd| {
        let name = fairlead_config::nodename();
        let key = format!("/fairlead/nodes/{name}");
        let other = "{\"identity\":\"another\"}";
        etcd.ctl(&format!("put {key} {other}")).unwrap();
        let agent = trial.agent();
        until("shared state is reached", || reachable(trial));
        let container = trial.container("c1");
        trial.attach(&container, "c1", &[]);
        until("it is told", || {
            let problem = trial.status().unwrap().cluster.problem;
            problem.is_some_and(|text| text.contains("two nodes are called"))
        });
        let value = etcd.ctl(&format!("get --print-value-only {key}")).unwrap();
        assert_eq!(value.trim(), other);
        assert_eq!(etcd.keys("addresses/"), Vec::<String>::new());
        etcd.ctl(&format!("del {key}")).unwrap();
        until("it registers and publishes", || {
            etcd.keys("nodes/") == [key.clone()] && etcd.keys("addresses/").len() == 1
        });
        agent.stop();
    });
}
