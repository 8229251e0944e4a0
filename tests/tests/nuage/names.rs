//! Names: any that the controller may have pass whole and unchanged, from Docker's command line
//! to the controller and the switch; what can be no name is refused with the option's name.

use crate::case::{Case, SETTINGS, text};
use crate::first::{Host, OLD};
use fairlead_tests::{Docker, Ran, eventually, patience};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a shell, a header, JSON and OVSDB each have a meaning of their own for.
const ODD: &str = r#"a  b 'c' "d" $(touch /run/pwned) `id` ; | & < > * ? ~ # % \n \ \" [x] {y} == or name, 'Größe' 網路 🦀"#;

const OPTIONS: [&str; 5] = ["organization", "domain", "zone", "subnet", "user"];

/// A name of that many bytes, beginning with a word of its own.
fn long(word: &str, bytes: usize) -> String {
    let mut name = word.to_owned();
    while name.len() + 2 <= bytes {
        name.push('ü');
    }
    let rest = "x".repeat(bytes.saturating_sub(name.len()));
    name + &rest
}

/// A word of a shell's line.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The five options, in the order of [`OPTIONS`].
fn given(flag: &str, names: &[&str; 5]) -> String {
    let all = OPTIONS.iter().zip(names);
    let all = all.map(|(key, name)| format!("{flag} {}", quoted(&format!("{key}={name}"))));
    all.collect::<Vec<_>>().join(" ")
}

fn form_1(names: &[&str; 5], net: &str, name: &str) -> String {
    let options = given("-o", names);
    format!("network create --driver=nuage {options} --subnet={net} {name}")
}

fn form_2(names: &[&str; 5], net: &str, name: &str) -> String {
    let options = given("--ipam-opt", names);
    format!(
        "network create --driver=nuage --ipam-driver=nuage-ipam {options} --subnet={net} {name}"
    )
}

fn subnet(address: &str, gateway: &str) -> Value {
    json!({"address": address, "netmask": "255.255.255.0", "gateway": gateway})
}

/// One subnet under these names, with a policy group.
fn tree(names: &[&str; 5], group: &str) -> Value {
    let [organization, domain, zone, own, _] = *names;
    json!({organization: {domain: {
        "policygroups": [group],
        zone: {own: subnet("10.21.59.0", "10.21.59.1")},
    }}})
}

/// One network and one container, from their making to their end, with these names.
#[track_caller]
fn cycle(case: &Case, create: &str, names: &[&str; 5], container: &str, group: &str) {
    let [organization, domain, zone, own, _] = *names;
    case.docker(create);
    let shown = case.json("network inspect MyNet")[0].clone();
    let told = match shown["IPAM"]["Driver"] == "nuage-ipam" {
        true => shown["IPAM"]["Options"].clone(),
        false => shown["Options"].clone(),
    };
    let wanted: BTreeMap<&str, &str> = OPTIONS.into_iter().zip(*names).collect();
    assert_eq!(told, json!(wanted), "as Docker has it");
    let variable = quoted(&format!("NUAGE-POLICY-GROUP={group}"));
    case.run(container, &format!("--net MyNet -e {variable}"));
    case.is_up(1);
    let known = case.vsd.state("containers")[0].clone();
    assert_eq!(known["name"], container);
    assert_eq!(known["enterpriseName"], organization);
    let interface = &known["interfaces"][0];
    assert_eq!(interface["domainName"], domain);
    assert_eq!(interface["zoneName"], zone);
    assert_eq!(interface["networkName"], own);
    let groups = case.vsd.state("policygroups");
    assert_eq!(groups[0]["name"], group);
    eventually(patience(), || {
        let vport = case.vsd.state("vports")[0].clone();
        match vport["policyGroupIDs"] == json!([groups[0]["ID"]]) {
            true => Ok(()),
            false => Err(vport),
        }
    });
    let entity = case.ovs.rows(&case.node, "Nuage_VM_Table")[0].clone();
    assert_eq!(entity["vm_name"], container);
    let port = case.ovs.rows(&case.node, "Nuage_Port_Table")[0].clone();
    let interfaces = case.ovs.rows(&case.node, "Interface");
    let interface = interfaces
        .iter()
        .find(|row| row["name"] == port["name"])
        .unwrap();
    let ids = json!({
        "vm_uuid": known["UUID"],
        "vm_name": container,
        "NUAGE-ENTERPRISE": organization,
        "NUAGE-DOMAIN": domain,
        "NUAGE-NETWORK": own,
    });
    assert_eq!(interface["external_ids"], ids);
    let listed = case.node.sh("fairlead nuage networks -o json").json();
    assert_eq!(listed[0]["target"], json!(wanted), "{listed}");
    case.node.sh("fairlead nuage networks").done();
    case.docker(&format!("rm -f {container}"));
    case.is_up(0);
    case.docker("network rm MyNet");
    assert!(
        !case.node.path("/run/pwned").exists(),
        "a shell was started"
    );
}

#[test]
fn odd_names_pass_whole_and_unchanged() {
    let all: Vec<String> = OPTIONS.iter().map(|key| format!("{key} {ODD}")).collect();
    let names: [&str; 5] = std::array::from_fn(|i| all[i].as_str());
    // A comma parts groups.
    let group = format!("group {}", ODD.replace(',', "."));
    let case = Case::with(Docker::plan(), SETTINGS, &tree(&names, &group));
    let create = form_2(&names, "10.21.59.0/24", "MyNet");
    cycle(&case, &create, &names, "a_B.c-9", &group);
    let create = form_1(&names, "10.21.59.0/24", "MyNet");
    cycle(&case, &create, &names, "9_a.B-", &group);
}

#[test]
fn the_controller_is_told_for_whom_it_is_asked() {
    let user = format!("user {ODD}");
    let names = ["Größe \"E\"", "Domain", "Zone", "Subnet 2", &user];
    let settings = format!("{SETTINGS}\nproxyuser: true\n");
    let case = Case::with(Docker::plan(), &settings, &tree(&names, "web"));
    let create = form_2(&names, "10.21.59.0/24", "MyNet");
    cycle(&case, &create, &names, "one", "web");
    let asked = case.vsd.requests();
    let made: Vec<&Value> = asked
        .iter()
        .filter(|one| one["method"] != "GET" && one["status"] != 401)
        .collect();
    assert!(made.len() >= 4, "{made:?}");
    for one in made {
        assert_eq!(one["proxy_user"], format!("{user}@{}", names[0]), "{one}");
    }
}

#[test]
fn names_of_255_bytes_pass_and_longer_ones_are_refused() {
    let all: Vec<String> = OPTIONS.iter().map(|key| long(key, 255)).collect();
    let names: [&str; 5] = std::array::from_fn(|i| all[i].as_str());
    assert!(names.iter().all(|name| name.len() == 255));
    let group = long("group", 255);
    let case = Case::with(Docker::plan(), SETTINGS, &tree(&names, &group));
    let create = form_2(&names, "10.21.59.0/24", "MyNet");
    cycle(&case, &create, &names, &"c".repeat(255), &group);
    let create = form_1(&names, "10.21.59.0/24", "MyNet");
    cycle(&case, &create, &names, &"d".repeat(255), &group);
    for (i, option) in OPTIONS.iter().enumerate() {
        let longer = long(option, 256);
        let mut names = names;
        names[i] = &longer;
        let words = [&format!("option {option}="), "255 bytes"];
        for create in [form_1, form_2] {
            case.refused(&create(&names, "10.21.59.0/24", "Long"), &words);
        }
    }
    // Docker takes longer names of containers than the controller.
    case.docker(&form_2(&names, "10.21.59.0/24", "MyNet"));
    let endless = "e".repeat(300);
    case.run(&endless, "--net MyNet");
    case.is_up(1);
    let known = text(&case.vsd.state("containers")[0]["name"]);
    assert_eq!(known, endless[..255]);
    case.docker(&format!("rm -f {endless}"));
    case.is_up(0);
}

#[test]
fn what_can_be_no_name_is_refused_with_the_options_name() {
    let names = ["Enterprise", "Domain", "Zone", "Subnet 2", "admin"];
    let case = Case::new();
    let before = case.docker("network ls");
    for (i, option) in OPTIONS.iter().enumerate() {
        for bad in ["a\tb", "a\nb", "\u{7f}", "a\u{85}b", "\u{1b}[31m"] {
            let mut names = names;
            names[i] = bad;
            for create in [form_1, form_2] {
                let line = create(&names, "10.21.59.0/24", "Bad");
                case.refused(&line, &[&format!("option {option}="), "control characters"]);
            }
        }
        let mut empty = names;
        empty[i] = "";
        let missing = format!("these options are missing: {option};");
        for create in [form_1, form_2] {
            let line = create(&empty, "10.21.59.0/24", "Bad");
            case.refused(&line, &[&missing]);
            let told = quoted(&format!("{option}="));
            let without = line.replace(&format!("--ipam-opt {told}"), "");
            let without = without.replace(&format!("-o {told}"), "");
            assert_ne!(line, without);
            case.refused(&without, &[&missing]);
        }
    }
    case.refused(
        "network create --driver=nuage --subnet=10.21.59.0/24 Bad",
        &["these options are missing: organization, domain, zone, subnet, user;"],
    );
    for (i, kind) in ["enterprise", "domain", "zone", "subnet"]
        .iter()
        .enumerate()
    {
        let mut names = names;
        names[i] = "Nowhere";
        for create in [form_1, form_2] {
            let line = create(&names, "10.21.59.0/24", "Bad");
            case.refused(&line, &[&format!("no {kind}s found with name Nowhere")]);
        }
    }
    assert_eq!(case.docker("network ls"), before);
    assert_eq!(case.vsd.state("containers"), Vec::<Value>::new());
    let left = case.node.sh("fairlead nuage networks -o json").json();
    assert_eq!(left, json!([]));
}

/// Containers on two networks: each at its own subnet, by names and by address.
#[track_caller]
fn are_kept_apart(case: &Case, networks: [(&[&str; 5], &str); 2]) {
    for (i, (names, net)) in networks.iter().enumerate() {
        case.docker(&form_2(names, &format!("{net}.0/24"), &format!("net{i}")));
        case.run(&format!("on{i}"), &format!("--net net{i}"));
    }
    case.is_up(2);
    for (i, (names, net)) in networks.iter().enumerate() {
        let containers = case.vsd.state("containers");
        let own = containers.iter().find(|c| c["name"] == format!("on{i}"));
        let interface = &own.unwrap()["interfaces"][0];
        assert_eq!(interface["networkName"], names[3]);
        assert_eq!(interface["zoneName"], names[2]);
        assert_eq!(interface["domainName"], names[1]);
        let address = text(&case.place(&format!("on{i}"), &format!("net{i}"))["IPAddress"]);
        assert!(address.starts_with(&format!("{net}.")), "{address}");
        assert_eq!(interface["IPAddress"], address);
    }
    case.docker("rm -f on0");
    case.docker("network rm net0");
    case.is_up(1);
    case.run("again", "--net net1");
    case.is_up(2);
    case.docker("rm -f on1 again");
    case.docker("network rm net1");
    case.is_up(0);
}

#[test]
fn names_that_are_alike_once_put_together_are_kept_apart() {
    // The digest of an earlier plugin is the same for all of these.
    let [one, other] = [
        ["E", "ab", "Z", "c", "admin"],
        ["E", "a", "Z", "bc", "admin"],
    ];
    let tree = json!({"E": {
        "ab": {"Z": {"c": subnet("10.1.1.0", "10.1.1.1")},
               "Y": {"c": subnet("10.1.3.0", "10.1.3.1")}},
        "a": {"Z": {"bc": subnet("10.1.2.0", "10.1.2.1")}},
    }});
    let case = Case::with(Docker::plan(), SETTINGS, &tree);
    are_kept_apart(&case, [(&one, "10.1.1"), (&other, "10.1.2")]);
    let zone = ["E", "ab", "Y", "c", "admin"];
    are_kept_apart(&case, [(&one, "10.1.1"), (&zone, "10.1.3")]);
}

#[test]
fn odd_names_reach_the_switch_where_there_is_no_controller() {
    let all: Vec<String> = OPTIONS.iter().map(|key| format!("{key} {ODD}")).collect();
    let names: [&str; 5] = std::array::from_fn(|i| all[i].as_str());
    let host = Host::new(&OLD.replace("global", "local"));
    let docker = |line: &str| -> String { Ran::done(host.docker.cli(&host.node, line)) };
    docker(&form_1(&names, "10.21.59.0/24", "MyNet"));
    docker("run -d --name one --stop-signal KILL --net MyNet busybox sleep 100000");
    host.is_up(1);
    let port = host.ovs.rows(&host.node, "Nuage_Port_Table")[0].clone();
    let [organization, domain, zone, own, user] = names;
    assert_eq!(port["nuage_domain"], domain);
    assert_eq!(port["nuage_zone"], zone);
    assert_eq!(port["nuage_network"], own);
    let entity = host.ovs.rows(&host.node, "Nuage_VM_Table")[0].clone();
    assert_eq!(entity["nuage_enterprise"], organization);
    assert_eq!(entity["nuage_user"], user);
    docker("rm -f one");
    host.is_up(0);
    assert!(
        !host.node.path("/run/pwned").exists(),
        "a shell was started"
    );
}
