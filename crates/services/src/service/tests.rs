use super::*;
use crate::order::{steps, steps_of};
use fairlead_config::Document;
use fairlead_types::Root;

fn read(text: &str) -> Result<Service, String> {
    let empty = Document::default;
    let config = Config::from_documents(&Root::new("/nowhere"), "n1", empty(), empty());
    let name = ObjectName::new("shop/svc/web").unwrap();
    let document = Document::parse(text).unwrap();
    let config = config.with_service(&name, document);
    Service::read(&config, &name).map_err(|e| e.to_string())
}

fn words(service: &Service, only: &[&str]) -> Vec<String> {
    let only: Vec<ResourceName> = only.iter().map(|r| ResourceName::new(r).unwrap()).collect();
    let steps = steps_of(service, &only).unwrap();
    steps
        .iter()
        .map(|step| {
            step.resource()
                .map_or("namespace", ResourceName::as_str)
                .to_owned()
        })
        .collect()
}

const WEB: &str = "
[DEFAULT]
app = shopping
[container#1]
type = docker
image = sidecar
netns = container#0
[container#0]
type = docker
image = busybox
command = httpd -f
environment = A=1 'B=two words'
[ip#1]
network = backend1
netns = container#0
[ip#0]
type = cni
network = backend1
container_rid = container#0
expose = 80/tcp 443:8443/tcp
dns_name_suffix = -x
wait_dns = 5s
";

#[test]
fn the_documents_service_is_read() {
    let service = read(WEB).unwrap();
    assert_eq!(service.app.as_ref().map(HostName::as_str), Some("shopping"));
    let names: Vec<&str> = service
        .containers
        .iter()
        .map(|c| c.spec.resource.as_str())
        .collect();
    assert_eq!(names, ["container#0", "container#1"]);
    let first = &service.containers[0].spec;
    assert_eq!(first.name, "shop..web.container.0");
    assert_eq!(first.command, ["httpd", "-f"]);
    assert_eq!(first.environment[1], ("B".into(), "two words".into()));
    assert_eq!(first.network, Network::None);
    let second = &service.containers[1].spec;
    assert_eq!(second.network, Network::Of("shop..web.container.0".into()));
    let ip = &service.ips[1];
    assert_eq!(
        ip.container.as_ref().map(ResourceName::as_str),
        Some("container#0")
    );
    assert_eq!(ip.expose[1].host_port, Some(8443));
    assert_eq!(ip.wait_dns, Duration::from_secs(5));
    assert!(!service.has_namespace());
}

#[test]
fn an_address_starts_right_behind_its_container_and_pulls_it() {
    let service = read(WEB).unwrap();
    let all = ["container#0", "ip#1", "ip#0", "container#1"];
    assert_eq!(words(&service, &[]), all);
    assert_eq!(words(&service, &["ip#0"]), ["container#0", "ip#1", "ip#0"]);
    assert_eq!(words(&service, &["container#1"]), all);
    assert!(steps_of(&service, &[ResourceName::new("ip#9").unwrap()]).is_err());
}

#[test]
fn a_program_finds_the_address_of_its_service() {
    let service = read("[container#0]\ntype = process\ncommand = sleep 9\n[ip#0]\n").unwrap();
    assert!(service.has_namespace());
    assert_eq!(
        service.namespace(),
        PathBuf::from("/run/netns/shop.svc.web")
    );
    assert_eq!(steps(&service).len(), 3);
    assert_eq!(words(&service, &[]), ["namespace", "ip#0", "container#0"]);
    let alone = read("[container#0]\ntype = process\nnetns = host\ncommand = a\n").unwrap();
    assert!(!alone.has_namespace());
}

/// What is wrong, and what the message has to name.
const BAD: [(&str, &[&str]); 22] = [
    (
        "[container#0]\ntype = haproxy\n\
         [ingress#0]\nlisten = 80\nbackend = a/svc/b\nport = 80/tcp\n\
         [ingress#1]\nlisten = 80\nbackend = a/svc/b\nport = 80/tcp\nmode = tcp\n",
        &["ingress#1.listen", "ingress#0"],
    ),
    (
        "[container#0]\ntype = haproxy\n\
         [ingress#0]\nlisten = 80\nbackend = a/svc/b\nport = 80/tcp\n\
         [ingress#1]\nlisten = 0.0.0.0:80\nbackend = a/svc/b\nport = 80/tcp\n",
        &["ingress#1.listen", "write both alike"],
    ),
    (
        "[ingress#0]\nlisten = 80\nbackend = a/svc/b\nport = 80/tcp\n",
        &["ingress#0.listen", "haproxy"],
    ),
    (
        "[ingress#0]\nlisten = 80\nbackend = a/svc/b\nport = 80/udp\n",
        &["ingress#0.port", "TCP"],
    ),
    ("[ip]\nnetwork = a\n", &["[ip]", "ip#0"]),
    (
        "[container#0]\ntype = docker\n",
        &["container#0.image", "needs one"],
    ),
    (
        "[container#0]\ntype = process\n",
        &["container#0.command", "needs one"],
    ),
    (
        "[container#0]\ntype = rocket\n",
        &["container#0.type", "rocket", "docker"],
    ),
    (
        "[container#0]\nimage = a\nenvironment = x\n",
        &["container#0.environment", "\"x\""],
    ),
    (
        "[container#0]\nimage = a\nrestart = maybe\n",
        &["container#0.restart", "maybe", "on-failure"],
    ),
    (
        "[container#0]\nimage = a\ncommand = 'x\n",
        &["container#0.command", "quote"],
    ),
    (
        "[ip#0]\nnetns = container#0\n",
        &["ip#0.netns", "container#0", "no such container"],
    ),
    (
        "[ip#0]\ncontainer_rid = container#7\n",
        &["ip#0.container_rid", "no such container"],
    ),
    ("[ip#0]\nexpose = 80\n", &["ip#0.expose", "\"80\""]),
    ("[ip#0]\nnsdev = a/b\n", &["ip#0.nsdev"]),
    (
        "[ip#0]\nnsdev = e\n[ip#1]\nnsdev = e\n",
        &["ip#1.nsdev", "another address"],
    ),
    (
        "[ip#0]\nexpose = 80/tcp:8\n[ip#1]\nexpose = 81/tcp:8\n",
        &["ip#1.expose", "port 8/tcp of the node"],
    ),
    (
        "[container#0]\nimage = a\nnetns = host\n[ip#0]\nnetns = container#0\n",
        &["ip#0.netns", "the node's own namespace"],
    ),
    (
        "[container#0]\nimage = a\nnetns = container#1\n[container#1]\nimage = a\nnetns = container#0\n",
        &[
            "container#",
            "netns",
            "container#0 -> container#1 -> container#0",
        ],
    ),
    (
        "[container#0]\nimage = a\n[container#1]\ntype = podman\nimage = a\nnetns = container#0\n",
        &["container#1.netns", "one type"],
    ),
    (
        "[container#0]\ntype = haproxy\n",
        &["container#0.type", "ingress"],
    ),
    (
        "[ingress#0]\nlisten = 80\nbackend = shop/svc/api\nport = 80/tcp\nmode = tcp\npath = /a\n",
        &["ingress#0.path", "mode = http"],
    ),
];

#[test]
fn what_is_wrong_is_told_by_section_and_keyword() {
    for (text, wanted) in BAD {
        let error = read(text).unwrap_err();
        assert!(error.starts_with("shop/svc/web: "), "{text}: {error}");
        for word in wanted {
            assert!(error.contains(word), "{text}: {word}: {error}");
        }
    }
}
