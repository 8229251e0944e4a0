//! The agent as a plugin that Docker runs by itself, with the files of a node at their usual
//! places.

use fairlead_tests::{
    Docker, DockerPlan, Node, Place as _, Ran, eventually, fairlead_binary, patience,
};

/// Names of the drivers, as Docker has those of a plugin that it manages.
const DRIVERS: &str = "-d fairlead:latest --ipam-driver fairlead:latest";
/// Serves a page at port 80.
const SERVE: &str = "sh -c 'mkdir /www; echo shop >/www/index.html; httpd -f -p 80 -h /www'";
/// The node's own `/etc` and `/opt`, for the plugin has the node's and writes there; and
/// mounts that are told to whom mounted them too, as systemd has them.
const PLACES: &str = "
set -e
peers=/opt/fairlead-peers
mount --make-rshared /
mkdir /run/etc /run/peers
cp -a /etc/. /run/etc
rm -rf /run/etc/fairlead
mount --bind /run/etc /etc
mount --bind $peers /run/peers
mount -t tmpfs none /opt
mkdir $peers
mount --bind /run/peers $peers
";

/// A node whose engine runs the agent.
struct Managed {
    docker: Docker,
    node: Node,
}

impl Managed {
    /// Made, as the guide has it, and enabled.
    #[track_caller]
    fn new(plan: DockerPlan) -> Self {
        let node = Node::new();
        node.sh(PLACES).silent();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/make-docker-plugin");
        let binary = fairlead_binary();
        node.sh(&format!("{script} {} /run/plugin", binary.display()))
            .done();
        let docker = plan.with_plugins().start(&node);
        let managed = Self { docker, node };
        managed.docker("plugin create fairlead /run/plugin");
        managed.docker("plugin enable fairlead");
        managed
    }

    #[track_caller]
    fn docker(&self, line: &str) -> String {
        self.docker.must(&self.node, line)
    }

    #[track_caller]
    fn refused(&self, line: &str, words: &str) {
        let ran = self.docker.cli(&self.node, line);
        assert!(
            ran.status != Some(0) && ran.stderr.contains(words),
            "{ran:?}"
        );
    }

    /// A command line of the node, beside the plugin.
    #[track_caller]
    fn fairlead(&self, line: &str) -> Ran {
        self.node
            .sh(&format!("unset FAIRLEAD_ROOT; fairlead {line}"))
    }

    /// Containers `web` and `box` reach each other, and the first one is reached from outside.
    #[track_caller]
    fn all_reach(&self) {
        eventually(patience() * 3, || {
            let ran = self.docker.cli(&self.node, "exec box ping -c 1 -w 5 web");
            if ran.status == Some(0) {
                Ok(())
            } else {
                Err(ran)
            }
        });
        self.docker("exec web ping -c 1 -w 5 box");
        self.docker("exec box ping -c 1 -w 5 198.51.100.2");
        let page = self.node.outside();
        let page = page.run("curl -sS -m 5 http://198.51.100.1:8080/");
        assert_eq!(page, "shop\n");
    }

    /// The addresses that are taken.
    #[track_caller]
    fn taken(&self) -> Vec<String> {
        let taken = self.fairlead("ip ls -o json").json();
        let taken = taken.as_array().expect("a list").iter();
        let mut taken: Vec<String> = taken.map(|row| row["address"].to_string()).collect();
        taken.sort();
        taken
    }
}

#[track_caller]
fn a_plugin_does_all_of_it(plan: DockerPlan) {
    let mut case = Managed::new(plan);
    case.docker(&format!(
        "network create {DRIVERS} --subnet 10.90.0.0/24 net"
    ));
    let run = "run -d --stop-signal KILL --restart=always --network net";
    case.docker(&format!("{run} --name web -p 8080:80 busybox {SERVE}"));
    case.docker(&format!("{run} --name box busybox sleep 100000"));
    case.all_reach();
    let taken = case.taken();
    eventually(patience(), || {
        let found = case.fairlead("dns lookup web.docker.svc.default").stdout;
        found.contains("10.90.0.2").then_some(()).ok_or(found)
    });
    // What its own commands see of the node is what it sees.
    let seen = case.fairlead("doctor").stdout;
    assert!(seen.contains("no problem"), "{seen}");
    case.node.run("ip netns add other");
    case.fairlead("attach default --netns /run/netns/other")
        .done();
    case.fairlead("detach --netns /run/netns/other").done();

    case.refused("plugin disable fairlead", "is in use");
    case.docker("plugin disable --force fairlead");
    case.all_reach();
    case.refused(
        "run --rm --network net busybox true",
        "fairlead.sock: connect",
    );
    case.docker("plugin enable fairlead");
    case.docker("restart web");
    case.all_reach();
    // An update: its networks are known by its name.
    case.docker("plugin disable --force fairlead");
    case.docker("plugin rm --force fairlead");
    case.docker("plugin create fairlead /run/plugin");
    case.docker("plugin enable fairlead");
    case.docker("restart box");
    case.all_reach();
    assert_eq!(case.taken(), taken);

    let _ = case.docker.stop();
    case.docker.start_again(&case.node);
    case.all_reach();
    case.docker("rm -f web box");
    case.docker("network rm net");
    assert!(case.taken().is_empty(), "{:?}", case.taken());
    case.docker("plugin disable fairlead");
    case.docker("plugin rm fairlead");
}

#[test]
fn a_plugin_of_debians_docker_does_all_of_it() {
    a_plugin_does_all_of_it(Docker::plan());
}

#[test]
fn a_plugin_of_a_newer_docker_does_all_of_it() {
    a_plugin_does_all_of_it(Docker::plan().newer());
}
