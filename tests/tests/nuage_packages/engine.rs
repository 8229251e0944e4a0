//! The image and the managed plugin, with a real Docker.

use std::fs;
use std::path::Path;

use fairlead_tests::{Docker, DockerPlan, Node, eventually, fairlead_binary, patience};

use crate::work::{SOURCES, Work, done, package};

/// Folders of the node's own, where the plugin reads and writes; and mounts that are told to
/// whom mounted them too, as systemd has them.
const PLACES: &str = "
set -e
mount --make-rshared /
mount -t tmpfs none /etc/default
mount -t tmpfs none /var/log
";

const LOG: &str = "/var/log/nuage-libnetwork/nuage-libnetwork.log";

/// The sample of the document's installation from an image. Nobody is at that address.
const SETTINGS: &str = r#"vrsendpoint:    "/var/run/openvswitch/db.sock"
dockerdndpoint: "unix:///var/run/docker.sock"
vrsbridge:      "alubr0"
loglevel:       "Warn"
scope:          "global"
numofretries:   5
timeinterval:   100
username: Y3Nwcm9vdA==
password: Y3Nwcm9vdA==
organization: Y3Nw
url: https://127.0.0.1:8443
"#;

/// As the document types it, but for the whole line's length.
const RUN: &str = "run -v /usr/bin/:/usr/bin/ -v /usr/lib64/:/usr/lib64 -v /var/run:/var/run \
                   -v /var/log:/var/log -v /etc/default:/etc/default --net=host --privileged \
                   -dt nuage-plugin:4.0R7";

/// What of it the plugin needs, as the guide has it.
const NEEDED: &str = "run -v /run:/run -v /var/log:/var/log -v /etc/default:/etc/default:ro \
                      -v /var/lib/fairlead:/var/lib/fairlead --net=host \
                      --cap-add=NET_ADMIN --cap-add=SYS_ADMIN -dt nuage-plugin:4.0R7";

/// A node with Docker and with the document's settings.
struct Case {
    docker: Docker,
    node: Node,
}

impl Case {
    #[track_caller]
    fn new(plan: DockerPlan, settings: &str) -> Self {
        let node = Node::new();
        node.sh(PLACES).silent();
        node.write("/etc/default/nuage-libnetwork.yaml", settings);
        let docker = plan.start(&node);
        Self { docker, node }
    }

    #[track_caller]
    fn docker(&self, line: &str) -> String {
        self.docker.must(&self.node, line)
    }

    /// The plugin runs as its settings say: it has written a line of its log.
    #[track_caller]
    fn it_has_begun(&self, told: impl Fn() -> String) {
        eventually(patience() * 3, || {
            let log = fs::read_to_string(self.node.path(LOG)).unwrap_or_default();
            let begun = log.contains("|nuage-libnetwork|");
            begun.then_some(()).ok_or_else(|| (log, told()))
        });
    }
}

#[track_caller]
fn image(work: &Work) -> String {
    let file = work.path("nuage-plugin.tar");
    let printed = done(&mut package(
        Path::new(SOURCES),
        "image",
        &fairlead_binary(),
        &file,
    ));
    assert!(printed.contains("nuage-plugin:4.0R7"), "{printed}");
    file.display().to_string()
}

/// Loaded and listed as the document shows it, with the command of the plugin.
#[track_caller]
fn is_loaded(case: &Case, file: &str) {
    let printed = case.docker(&format!("load -i {file}"));
    assert_eq!(printed, "Loaded image: nuage-plugin:4.0R7");
    let images = case.docker("images");
    let row = images.lines().map(|line| line.split_whitespace().collect());
    let rows: Vec<Vec<&str>> = row.collect();
    assert!(
        rows.iter()
            .any(|row| row.starts_with(&["nuage-plugin", "4.0R7"])),
        "{images}"
    );
    let command = case.docker("inspect -f '{{json .Config.Cmd}}' nuage-plugin:4.0R7");
    assert_eq!(
        command,
        r#"["/nuage-libnetwork","-config","/etc/default/nuage-libnetwork.yaml"]"#
    );
}

/// A command line starts the plugin. A privileged container has the daemon's own view of the
/// control groups, as a plugin has.
#[track_caller]
fn is_run(plan: DockerPlan, line: &str) {
    let work = Work::new();
    let case = Case::new(plan.with_plugins(), SETTINGS);
    case.docker(&format!("load -i {}", image(&work)));
    let id = case.docker(line);
    case.it_has_begun(|| case.docker(&format!("logs {id}")));
    // It stays, though neither switch nor controller is there.
    let told = || fs::read_to_string(case.node.path(LOG)).unwrap_or_default();
    let socket = case.node.path("/run/docker/plugins/nuage.sock");
    eventually(patience(), || {
        socket.exists().then_some(()).ok_or_else(told)
    });
    assert_eq!(
        case.docker(&format!(
            "inspect -f '{{{{.Path}}}} {{{{.State.Running}}}}' {id}"
        )),
        "/nuage-libnetwork true"
    );
    case.docker(&format!("rm -f {id}"));
}

#[test]
fn debians_docker_loads_the_image() {
    let work = Work::new();
    is_loaded(&Case::new(Docker::plan(), SETTINGS), &image(&work));
}

#[test]
fn a_newer_docker_loads_the_image() {
    let work = Work::new();
    is_loaded(&Case::new(Docker::plan().newer(), SETTINGS), &image(&work));
}

// Debian's Docker gives a privileged container every capability that the kernel knows, also
// those that it does not have itself; a newer one gives what it has.
#[test]
fn a_newer_docker_runs_the_image_as_the_document_types_it() {
    is_run(Docker::plan().newer(), RUN);
}

#[test]
fn debians_docker_runs_the_image_with_what_it_needs() {
    is_run(Docker::plan(), NEEDED);
}

#[test]
fn an_image_of_the_same_binary_has_the_same_bytes() {
    let work = Work::new();
    let files = ["one.tar", "two.tar"].map(|name| {
        let file = work.path(name);
        let busybox = Path::new("/bin/busybox");
        done(&mut package(Path::new(SOURCES), "image", busybox, &file));
        fs::read(file).expect("the image")
    });
    assert!(files[0] == files[1]);
}

/// Makes the folder and the plugin in a Docker.
#[track_caller]
fn created(work: &Work, plan: DockerPlan) -> Case {
    let folder = work.path("plugin");
    done(&mut package(
        Path::new(SOURCES),
        "plugin",
        &fairlead_binary(),
        &folder,
    ));
    let case = Case::new(
        plan.with_plugins(),
        &format!("{SETTINGS}pluginversion: v2\n"),
    );
    case.docker(&format!("plugin create nuage {}", folder.display()));
    case
}

/// Created with the privileges that its user is asked for.
#[track_caller]
fn is_created(plan: DockerPlan) {
    let work = Work::new();
    let case = created(&work, plan);
    let form = "plugin inspect -f '{{json .Config.Interface.Types}} {{.Config.Interface.Socket}} \
                {{.Config.Network.Type}} {{.Config.Linux.Capabilities}} {{.Enabled}}' nuage";
    assert_eq!(
        case.docker(form),
        r#"["docker.networkdriver/1.0","docker.ipamdriver/1.0"] nuage.sock host [CAP_NET_ADMIN CAP_SYS_ADMIN] false"#
    );
}

/// Enabled: Docker has asked the plugin what it is.
#[track_caller]
fn is_enabled(plan: DockerPlan) {
    let work = Work::new();
    let case = created(&work, plan);
    case.docker("plugin enable nuage");
    assert_eq!(
        case.docker("plugin ls --format '{{.Name}} {{.Enabled}}'"),
        "nuage:latest true"
    );
    case.it_has_begun(|| case.docker("plugin ls"));
    case.docker("plugin disable nuage");
    case.docker("plugin rm nuage");
}

#[test]
fn debians_docker_creates_the_plugin() {
    is_created(Docker::plan());
}

#[test]
fn a_newer_docker_creates_the_plugin() {
    is_created(Docker::plan().newer());
}

#[test]
fn debians_docker_enables_the_plugin() {
    is_enabled(Docker::plan());
}

#[test]
fn a_newer_docker_enables_the_plugin() {
    is_enabled(Docker::plan().newer());
}
