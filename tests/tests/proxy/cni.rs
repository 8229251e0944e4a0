//! Containers on CNI networks, created by clients that know nothing of CNI.

use crate::case::{CONF, Case, SOCKET};
use fairlead_tests::{Docker, Place as _, eventually, patience};
use serde_json::{Value, json};

/// The one network of a container as `inspect` shows it.
#[track_caller]
fn shown(case: &Case, name: &str, network: &str) -> Value {
    let all = case.inspect(name)["NetworkSettings"]["Networks"].clone();
    assert_eq!(all.as_object().map(serde_json::Map::len), Some(1), "{all}");
    all[network].clone()
}

#[test]
fn a_container_is_where_it_was_asked_to_be_and_is_shown_there() {
    for plan in [Docker::plan(), Docker::plan().newer()] {
        let case = Case::with(plan, "BARREL_ENABLE_CNI=1\n");
        case.run("one", "--network back");
        case.run("two", "--network=back --hostname two");
        let address = case.address("one", "eth0");
        let of_one = shown(&case, "one", "back");
        let own = format!(
            "{}/{}",
            of_one["IPAddress"].as_str().unwrap(),
            of_one["IPPrefixLen"]
        );
        assert_eq!(own, address);
        assert_eq!(of_one["Gateway"], "10.60.0.1");
        let link = case.direct("exec one ip link show eth0");
        assert!(
            link.contains(of_one["MacAddress"].as_str().unwrap()),
            "{link}"
        );
        for key in ["NetworkID", "EndpointID"] {
            assert_eq!(of_one[key].as_str().unwrap().len(), 64, "{key}");
        }
        assert_eq!(
            of_one,
            shown(&case, "one", "back"),
            "it is the same each time"
        );
        let one = case.inspect("one");
        assert_eq!(one["HostConfig"]["NetworkMode"], "back");
        assert_eq!(one["HostConfig"]["Runtime"], "barrel-cni");
        assert_eq!(one["NetworkSettings"]["IPAddress"], of_one["IPAddress"]);
        // The template that people and scripts use.
        let line = "inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' two";
        let two = case.docker(line);
        case.docker(&format!("exec one ping -c 1 -w 5 {two}"));
        case.docker("exec one ping -c 1 -w 5 198.51.100.2");
        let listed = case.raw(SOCKET, "GET", "/containers/json", "");
        let listed: Value =
            serde_json::from_str(listed.split("\r\n\r\n").nth(1).unwrap()).expect("JSON");
        let listed = listed.as_array().unwrap().iter();
        let listed = listed.clone().find(|c| c["Names"][0] == "/one").unwrap();
        assert_eq!(
            listed["NetworkSettings"]["Networks"]["back"]["IPAddress"],
            of_one["IPAddress"]
        );
        assert_eq!(listed["HostConfig"]["NetworkMode"], "back");
        assert_eq!(
            case.docker("ps --format '{{.Names}} {{.Networks}}'"),
            "two back\none back"
        );
        // Stopped it is on its network still.
        case.docker("stop one");
        assert_eq!(shown(&case, "one", "back")["IPAddress"], "");
        case.docker("start one");
        let again = shown(&case, "one", "back")["IPAddress"].clone();
        assert!(again.as_str().unwrap().starts_with("10.60."), "{again}");
        case.docker("rm -f one two");
        case.taken(0);
    }
}

#[test]
fn networks_of_no_kind_and_dockers_own_are_as_ever() {
    for plan in [Docker::plan(), Docker::plan().newer()] {
        let case = Case::with(plan, "BARREL_ENABLE_CNI=1\n");
        case.refused(
            "run --network nowhere busybox true",
            &["network nowhere not found"],
        );
        case.docker("run --rm --network none busybox true");
        case.docker("run --rm --network host busybox true");
    }
}

#[test]
fn addresses_ports_and_several_networks_are_had_as_asked_for() {
    for plan in [Docker::plan(), Docker::plan().newer()] {
        let case = Case::with(plan, "BARREL_ENABLE_CNI=1\n");
        let serve = "sh -c 'mkdir /www; echo page >/www/index.html; httpd -f -p 80 -h /www'";
        case.docker(&format!(
            "run -d --name web --stop-signal KILL --network back --ip 10.60.0.77 \
             --mac-address 02:11:22:33:44:55 -p 8080:80 -p 127.0.0.1:8081:80/tcp busybox {serve}"
        ));
        assert_eq!(case.address("web", "eth0"), "10.60.0.77/24");
        let web = shown(&case, "web", "back");
        assert_eq!(web["IPAddress"], "10.60.0.77");
        assert_eq!(web["IPAMConfig"]["IPv4Address"], "10.60.0.77");
        assert_eq!(web["MacAddress"], "02:11:22:33:44:55");
        let fetched = eventually(patience(), || {
            let outside = case.node.outside();
            let got = outside.try_run("curl -sS -m 5 http://198.51.100.1:8080/");
            let got = String::from_utf8_lossy(&got.stdout).into_owned();
            if got.is_empty() { Err(()) } else { Ok(got) }
        });
        assert_eq!(fetched, "page\n");
        assert_eq!(
            case.node.sh("curl -sS -m 5 http://127.0.0.1:8081/").done(),
            "page\n"
        );
        assert_eq!(
            case.docker("port web 80/tcp"),
            "0.0.0.0:8080\n127.0.0.1:8081"
        );
        let ports = case.docker("ps --format '{{.Ports}}'");
        assert!(ports.contains("0.0.0.0:8080->80/tcp"), "{ports}");
        case.docker("rm -f web");
        // By the API a container has several at once.
        let body = json!({
            "Image": "busybox", "Cmd": ["sleep", "100000"], "StopSignal": "KILL",
            "HostConfig": {"NetworkMode": "front"},
            "NetworkingConfig": {"EndpointsConfig": {"back": {}, "front": {}}},
        });
        case.node.write("/run/body.json", &body.to_string());
        let more = "-H 'Content-Type: application/json' --data @/run/body.json";
        let made = case.raw(SOCKET, "POST", "/containers/create?name=both", more);
        assert!(made.contains("201 Created"), "{made}");
        case.docker("start both");
        assert!(case.address("both", "eth0").starts_with("10.61.0."));
        assert!(case.address("both", "eth1").starts_with("10.60.0."));
        let networks = case.inspect("both")["NetworkSettings"]["Networks"].clone();
        for (name, ifname) in [("front", "eth0"), ("back", "eth1")] {
            let address = networks[name]["IPAddress"].as_str().unwrap().to_owned() + "/24";
            assert_eq!(address, case.address("both", ifname));
        }
        case.docker("rm -f both");
        case.taken(0);
    }
}

#[test]
fn a_fixed_address_stays_while_the_container_is_stopped() {
    let case = Case::new();
    case.run("one", "--network back --label fixed-ip=1");
    let address = case.address("one", "eth0");
    let plain = address.split('/').next().unwrap();
    case.docker("stop one");
    case.run("two", "--network back");
    let stopped = shown(&case, "one", "back");
    assert_eq!(stopped["IPAMConfig"]["IPv4Address"], plain, "{stopped}");
    assert_eq!(stopped["IPAddress"], "");
    case.docker("start one");
    assert_eq!(case.address("one", "eth0"), address);
    case.docker("stop one");
    case.docker("rm one");
    case.docker("rm -f two");
    case.taken(0);
}

#[test]
fn what_a_cni_network_cannot_do_is_refused_in_one_line() {
    let case = Case::new();
    case.run("other", "--network none");
    let bad: [(&str, &[&str]); 9] = [
        ("--network back --link other", &["back", "--link"]),
        ("--network back -P", &["back", "-P"]),
        ("--network back -p 80", &["container port 80", "-p 8080:80"]),
        ("--network back -p 8000-8005:80", &["container port 80"]),
        ("--network back --runtime runc", &["barrel-cni", "runc"]),
        ("--network back --ip 10.60.0", &["10.60.0"]),
        ("--network back --mac-address nonsense", &["nonsense"]),
        (
            "--network back --link-local-ip 169.254.1.1",
            &["link-local"],
        ),
        ("--network back --ip 10.99.0.1", &["10.99.0.1"]),
    ];
    for (options, words) in bad {
        case.refused(&format!("run {options} busybox true"), words);
    }
    case.refused(
        "network connect back other",
        &["back", "docker run --network back"],
    );
    case.refused(
        "network disconnect back other",
        &["back", "until it is removed"],
    );
    case.refused("network connect nowhere other", &["nowhere not found"]);
    case.direct("rm -f other");
    case.taken(0);
}

#[test]
fn an_address_is_free_however_its_container_went() {
    let mut case = Case::new();
    let start = |case: &Case| {
        case.run("box", "--network back");
        case.run("kept", "--network back --label fixed-ip=1");
        case.taken(2);
    };
    start(&case);
    case.docker("rm -f box kept");
    // It is free when the client is told.
    assert_eq!(case.node.sh("fairlead ip ls -o json").json(), json!([]));
    start(&case);
    case.direct("rm -f box kept");
    case.taken(0);
    case.docker("run --rm --network back busybox true");
    case.docker("run --rm --network back --label fixed-ip=1 busybox true");
    case.taken(0);
    case.docker("run --network back --label fixed-ip=1 busybox true");
    case.docker("create --network back busybox true");
    let pruned = case.docker("container prune -f");
    assert!(pruned.contains("Deleted Containers"), "{pruned}");
    assert_eq!(case.node.sh("fairlead ip ls -o json").json(), json!([]));
    // While the proxy is away.
    start(&case);
    assert!(case.proxy.terminate().success());
    case.direct("rm -f box kept");
    case.start_again();
    case.taken(0);
    // While dockerd is away nothing is free that is not.
    start(&case);
    case.docker.stop();
    case.docker.start_again(&case.node);
    case.docker("start box kept");
    case.taken(2);
    case.direct("rm -f box kept");
    case.taken(0);
}

#[test]
fn without_cni_all_is_dockers_and_containers_of_before_are_looked_after() {
    let mut case = Case::new();
    case.run("box", "--network back");
    let address = case.address("box", "eth0");
    case.node.write(CONF, "# BARREL_ENABLE_CNI=1\n");
    assert!(case.proxy.terminate().success());
    // It is of no account to the container.
    case.direct("exec box ping -c 1 -w 5 10.60.0.1");
    case.start_again();
    case.refused(
        "run --network back busybox true",
        &["network back not found"],
    );
    assert_eq!(case.address("box", "eth0"), address);
    assert!(address.starts_with(shown(&case, "box", "back")["IPAddress"].as_str().unwrap()));
    case.docker("rm -f box");
    case.taken(0);
    // Names that are excluded are Docker's as well.
    case.node.write(
        CONF,
        "BARREL_ENABLE_CNI=1\nBARREL_CNI_EXCLUDE=front, other\n",
    );
    case.proxy.signal("HUP");
    eventually(patience(), || {
        let ran = case.try_docker("run --rm --network back busybox true");
        if ran.status == Some(0) {
            Ok(())
        } else {
            Err(ran)
        }
    });
    case.refused(
        "run --network front busybox true",
        &["network front not found"],
    );
}
