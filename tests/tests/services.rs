//! Services of one node, by the commands a person types: programs in the service's own
//! namespace. Those of engines are in `service_engines.rs`.

#[path = "services/agent.rs"]
mod agent;
#[path = "services/bad.rs"]
mod bad;
#[path = "services/crash.rs"]
mod crash;

use fairlead_tests::{Agent, Cgroups, Node, Place, eventually, patience};

/// A web server that says its name, as a service with a mapped port.
const WEB: &str = "container#0.type=process \
    container#0.command='busybox httpd -f -p 80 -h /run/www' \
    ip#0.network=back ip#0.expose='80:8001/tcp https/tcp' DEFAULT.app=sales";

/// The command line that makes a service of keywords.
fn create(service: &str, keywords: &str) -> String {
    let mut words = format!(" {keywords}");
    for section in [" container#", " ip#", " DEFAULT"] {
        words = words.replace(section, &format!(" --kw{section}"));
    }
    format!("fairlead svc create {service} {words}")
}

/// A node with the network `back` and the page that [`WEB`] serves.
fn node() -> (Node, Cgroups) {
    let node = Node::new();
    let cgroups = Cgroups::on(&node);
    node.networks(&["back=10.30.0.0/24"]);
    node.sh("fairlead cluster set --kw cluster.name=clu")
        .silent();
    node.write("/run/www/index.html", "hello from web\n");
    // The first attachment of a network makes what serves all of them.
    let first = node.sandbox("first");
    let place = format!("back --netns {}", first.netns());
    node.sh(&format!("fairlead attach {place} --publish 9:9"))
        .done();
    node.sh(&format!("fairlead detach {place}")).done();
    drop(first);
    (node, cgroups)
}

/// The output of programs and the records of their last runs are kept, on purpose.
fn forget_runs(node: &Node) {
    node.sh("rm -rf $FAIRLEAD_ROOT/var/log $FAIRLEAD_ROOT/run/fairlead/services")
        .silent();
}

fn dig(node: &Node, question: &str) -> String {
    let line = format!("dig +short +tries=1 +time=2 @10.30.0.1 {question}");
    node.sh(&line).done().trim().to_owned()
}

fn answers(node: &Node, question: &str, wanted: &str) {
    eventually(patience(), || {
        let found = dig(node, question);
        if found == wanted { Ok(()) } else { Err(found) }
    });
}

#[test]
fn a_service_has_an_address_a_name_and_a_port_from_start_to_stop() {
    let (node, _cgroups) = node();
    let _agent = Agent::start(&node);
    node.sh(&create("shop/svc/web", WEB)).silent();
    let before = node.world();
    let told = node.sh("fairlead svc start shop/svc/web").done();
    for word in [
        "namespace",
        "ip#0: 10.30.0.3 of back on eth0",
        "container#0: process",
    ] {
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(
        node.sh("fairlead svc start shop/svc/web").done(),
        "nothing to do\n"
    );
    // What others see: the address in the namespace, the port outside, the names.
    let sandbox = node.existing("shop.svc.web");
    assert_eq!(sandbox.addresses("eth0"), ["10.30.0.3/24"]);
    let page = node
        .outside()
        .run("curl -sS --max-time 5 http://198.51.100.1:8001/");
    assert_eq!(page, "hello from web\n");
    answers(&node, "web.shop.svc.clu", "10.30.0.3");
    answers(&node, "web.sales.svc.clu", "10.30.0.3");
    answers(&node, "web.shop.svc.node.node.clu", "10.30.0.3");
    answers(
        &node,
        "SRV _http._tcp.web.shop.svc.clu",
        "0 10 80 10-30-0-3.web.shop.svc.clu.",
    );
    answers(
        &node,
        "SRV _443._tcp.web.shop.svc.clu",
        "0 10 443 10-30-0-3.web.shop.svc.clu.",
    );
    answers(
        &node,
        "-x 10.30.0.3",
        "web.shop.svc.clu.\nweb.shop.svc.node.node.clu.",
    );
    let status = node.sh("fairlead svc status shop/svc/web -o json").json();
    assert_eq!(status["avail"], "up");
    assert_eq!(status["resources"][1]["info"]["ipaddr"][0], "10.30.0.3");
    assert_eq!(
        status["resources"][1]["label"],
        "cni back 10.30.0.3 eth0 80/tcp:8001 443/tcp"
    );
    // The list knows which resource it is of.
    let listed = node.sh("fairlead net status --verbose --name back").done();
    assert!(listed.contains("shop/svc/web  ip#0"), "{listed}");
    node.sh("om shop/svc/web stop").done();
    assert_eq!(node.sh("om shop/svc/web stop").done(), "nothing to do\n");
    answers(&node, "web.shop.svc.clu", "");
    let status = node.sh("fairlead svc status shop/svc/web -o json").json();
    assert_eq!(status["avail"], "down");
    forget_runs(&node);
    node.is_as_before(&before, "start and stop");
    node.sh("fairlead svc rm shop/svc/web").done();
    node.sh("fairlead svc status shop/svc/web")
        .fails(&["shop/svc/web", "svc create"]);
}

#[test]
fn a_restart_keeps_the_address_and_what_is_started_alone_is_whole() {
    let (node, _cgroups) = node();
    node.sh(&create("shop/svc/web", WEB)).silent();
    node.sh("fairlead svc start shop/svc/web").done();
    // Another takes the next address meanwhile, so the same one comes by no chance.
    let _other = node.sandbox("other");
    node.sh("fairlead attach back --netns /run/netns/other")
        .done();
    let told = node.sh("fairlead svc restart shop/svc/web").done();
    assert!(told.contains("ip#0: 10.30.0.3 of back"), "{told}");
    node.sh("fairlead svc stop shop/svc/web --rid ip#0").done();
    let status = node.sh("fairlead svc status shop/svc/web -o json").json();
    assert_eq!(status["avail"], "warn");
    assert_eq!(status["resources"][0]["status"], "up");
    let told = node.sh("fairlead svc start shop/svc/web --rid ip#0").done();
    assert!(told.contains("ip#0: 10.30.0.3 of back"), "{told}");
    node.sh("fairlead svc start shop/svc/web --rid ip#7")
        .fails(&["shop/svc/web", "ip#7", "container#0, ip#0"]);
    node.sh("fairlead svc rm shop/svc/web")
        .fails(&["started", "svc stop"]);
    node.sh("fairlead svc rm shop/svc/web --force").done();
    assert!(!node.sh("ls /run/netns").done().contains("shop"));
}

#[test]
fn an_address_that_somebody_took_away_is_put_back_by_the_agent() {
    let (node, _cgroups) = node();
    let _agent = Agent::start(&node);
    node.sh(&create("shop/svc/web", WEB)).silent();
    node.sh("fairlead svc start shop/svc/web").done();
    // By hand, as an operator may.
    node.sh("fairlead detach --object shop/svc/web").done();
    eventually(patience(), || {
        let found = node
            .existing("shop.svc.web")
            .try_run("ip -br address show dev eth0");
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        if found.contains("10.30.0.3/24") {
            Ok(())
        } else {
            Err(found)
        }
    });
    answers(&node, "web.shop.svc.clu", "10.30.0.3");
    node.sh("fairlead svc stop shop/svc/web").done();
    answers(&node, "web.shop.svc.clu", "");
}

/// The documents' own file and the documents' own service.
#[test]
fn a_hand_written_configuration_serves_an_address_and_a_port() {
    let (node, _cgroups) = node();
    let _agent = Agent::start(&node);
    let file = r#"{
        "cniVersion": "0.2.0", "name": "cbr0", "type": "bridge", "bridge": "cbr0",
        "isGateway": true, "ipMasq": true,
        "ipam": {"type": "host-local", "subnet": "10.15.20.0/24",
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "1.1.1.1/32", "gw": "10.15.20.1"}]}
    }"#;
    node.write(&format!("{}/opt/cni/net.d/cbr0.conf", Node::ROOT), file);
    let text = "[ip#0]\ntype = cni\nnetwork = cbr0\nexpose = 80:8001/tcp\n\
                [container#0]\ntype = process\ncommand = busybox httpd -f -h /run/www\n";
    node.write("/run/web.conf", text);
    node.sh("fairlead svc create shop/svc/web --config /run/web.conf")
        .silent();
    node.sh("om shop/svc/web start").done();
    let addresses = node.existing("shop.svc.web").addresses("eth0");
    assert!(addresses[0].starts_with("10.15.20."), "{addresses:?}");
    let page = node
        .outside()
        .run("curl -sS --max-time 5 http://198.51.100.1:8001/");
    assert_eq!(page, "hello from web\n");
    let (address, _) = addresses[0].split_once('/').expect("ADDRESS/LENGTH");
    answers(&node, "web.shop.svc.clu", address);
    node.sh("om shop/svc/web stop").done();
    assert!(!node.sh("nft list ruleset").done().contains("8001"));
}

#[test]
fn the_output_of_a_program_is_kept() {
    let (node, _cgroups) = node();
    let line = create(
        "shop/svc/job",
        "container#0.type=process container#0.command='sh -c \"echo out; echo err >&2; exec sleep 600\"'",
    );
    node.sh(&line).silent();
    node.sh("fairlead svc start shop/svc/job").done();
    let file = format!("{}/var/log/fairlead/shop/job/container.0.log", Node::ROOT);
    eventually(patience(), || {
        let log = node.read(&file);
        if log == "out\nerr\n" {
            Ok(())
        } else {
            Err(log)
        }
    });
    node.sh("fairlead svc stop shop/svc/job").done();
}

#[test]
fn services_are_edited_listed_and_evaluated() {
    let (node, _cgroups) = node();
    node.sh(&create("shop/svc/web", WEB)).silent();
    node.sh("fairlead svc set shop/svc/web --kw ip#0.nsdev=eth7 --kw env.port=81")
        .silent();
    assert_eq!(
        node.sh("fairlead svc get shop/svc/web --kw ip#0.nsdev")
            .done(),
        "eth7\n"
    );
    assert_eq!(
        node.sh("fairlead svc get shop/svc/web --kw ip#0.netns")
            .done(),
        "None\n"
    );
    node.sh("fairlead svc set shop/svc/web --kw ip#0.expose={env.port}/tcp")
        .silent();
    assert_eq!(
        node.sh("fairlead svc eval shop/svc/web --kw ip#0.expose")
            .done(),
        "81/tcp\n"
    );
    node.sh("EDITOR='sed -i s/eth7/eth8/' fairlead svc edit shop/svc/web")
        .silent();
    assert_eq!(
        node.sh("om shop/svc/web get --kw ip#0.nsdev").done(),
        "eth8\n"
    );
    node.sh("EDITOR='sed -i s/81/nothing/' fairlead svc edit shop/svc/web")
        .fails(&["shop/svc/web", "ip#0.expose", "nothing"]);
    assert_eq!(
        node.sh("fairlead svc eval shop/svc/web --kw ip#0.expose")
            .done(),
        "81/tcp\n"
    );
    node.sh("fairlead svc unset shop/svc/web --kw ip#0")
        .silent();
    assert!(
        !node
            .sh("fairlead svc show shop/svc/web")
            .done()
            .contains("ip#0")
    );
    let listed = node.sh("fairlead svc ls -o json").json();
    assert_eq!(listed[0]["service"], "shop/svc/web");
    assert_eq!(listed[0]["declared"], true);
    let keywords = node.sh("fairlead svc keywords").done();
    assert!(keywords.contains("service ip#N.wait_dns"), "{keywords}");
}

#[test]
fn a_start_that_waits_for_dns_ends_when_the_name_is_there() {
    let (node, _cgroups) = node();
    let line = format!("{} --kw ip#0.wait_dns=10s", create("shop/svc/web", WEB));
    node.sh(&line).silent();
    let before = node.world();
    // Nobody answers without the agent, and nothing stays.
    node.sh("fairlead svc set shop/svc/web --kw ip#0.wait_dns=1s")
        .silent();
    node.sh("fairlead svc start shop/svc/web").fails(&[
        "shop/svc/web",
        "ip#0.wait_dns",
        "web.shop.svc.clu",
    ]);
    forget_runs(&node);
    node.is_as_before(&before, "a start in vain");
    node.sh("fairlead svc set shop/svc/web --kw ip#0.wait_dns=10s")
        .silent();
    let _agent = Agent::start(&node);
    node.sh("fairlead svc start shop/svc/web").done();
    // No waiting here: that was the start's.
    let found = dig(&node, "web.shop.svc.clu");
    let held = node.existing("shop.svc.web").addresses("eth0");
    assert_eq!(held, [format!("{found}/24")]);
}
