//! The program: its command line, its life, signals, and its log.

use crate::case::{CREATE, Case, FILE, SETTINGS, log_of, prepare, seed, start, start_as, tail};
use crate::protocol::{Bare, IPAM, NETWORK};
use fairlead_tests::{Docker, Node, Ovs, OvsPlan, Place as _, Ran, Vsd};
use serde_json::{Value, json};

#[track_caller]
fn told(ran: &Ran, status: i32, words: &[&str]) {
    assert_eq!(ran.status, Some(status), "{ran:?}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    for word in words {
        assert!(all.contains(word), "{word:?} is missing: {ran:?}");
    }
}

#[test]
fn the_command_line_says_what_it_can_and_what_is_wrong() {
    let node = Node::unplugged("lines");
    prepare(&node, SETTINGS);
    let run = |line: &str| node.sh(&format!("nuage-libnetwork {line}"));
    for line in ["-help", "--help", "-h"] {
        told(
            &run(line),
            0,
            &["-config FILE", "-audit", "-version", "SIGUSR1"],
        );
    }
    let version = run("-version");
    told(&version, 0, &["nuage-libnetwork 0."]);
    assert_eq!(version.stdout.lines().count(), 1);
    told(
        &run(""),
        2,
        &["No configuration file specified", "-config FILE"],
    );
    told(&run("-config"), 2, &["-config FILE"]);
    told(&run("-unknown"), 2, &["\"-unknown\"", "-help"]);
    told(&run("serve"), 2, &["\"serve\"", "-help"]);
    told(&run(&format!("-config {FILE} -audit=maybe")), 2, &["maybe"]);
}

#[test]
fn a_file_is_checked_and_what_is_wrong_with_it_is_named() {
    let node = Node::unplugged("files");
    prepare(&node, SETTINGS);
    let run = |line: &str| node.sh(&format!("nuage-libnetwork {line}"));
    for line in [
        format!("-check -config {FILE}"),
        format!("--check --config={FILE}"),
        format!("-f {FILE} -check=true"),
    ] {
        // The certificate's file is not there, as no VSD was started.
        told(&run(&line), 1, &["vsdcafile", "/run/vsd/ca.pem"]);
    }
    let plain = SETTINGS.replace("vsdcafile: /run/vsd/ca.pem", "");
    node.write(FILE, &plain);
    let good = run(&format!("-check -config {FILE}"));
    told(&good, 0, &[&format!("{FILE}: good, 0 warnings")]);
    node.write(FILE, &format!("{plain}\nvsdinsecure: true\n"));
    let odd = run(&format!("-check -config {FILE}"));
    told(&odd, 0, &["good, 1 warnings", "vsdinsecure"]);
    node.write(FILE, &plain);
    node.run(&format!("chmod 644 {FILE}"));
    told(&run(&format!("-check -config {FILE}")), 0, &["chmod 0600"]);
    let missing = run("-check -config /run/nowhere.yaml");
    told(&missing, 1, &["/run/nowhere.yaml", "-config FILE"]);
    for (bad, words) in [
        (
            plain.replace("url: https://127.0.0.1:8443", ""),
            "url is missing",
        ),
        (
            plain.replace("password: Y3Nwcm9vdA==", ""),
            "password is missing",
        ),
        (
            plain.replace("password: Y3Nwcm9vdA==", "password: plain!"),
            "password is not base64",
        ),
        (
            plain.replace("127.0.0.1", "<VSD URL>"),
            "url still has the placeholder",
        ),
        (
            plain.replace("timeinterval:   100", "timeinterval: soon"),
            "timeinterval \"soon\"",
        ),
        (
            format!("{plain}\npluginversion: v3\n"),
            "pluginversion \"v3\"",
        ),
        ("a: [b".to_owned(), "broken at line"),
    ] {
        node.write(FILE, &bad);
        for task in ["-check", "", "-audit"] {
            told(&run(&format!("{task} -config {FILE}")), 1, &[words]);
        }
    }
    // A key that is not known is told, and what may have been meant.
    node.write(FILE, &format!("{plain}\nvrsbrigde: x\n"));
    told(
        &run(&format!("-check -config {FILE}")),
        0,
        &["vrsbrigde", "vrsbridge"],
    );
}

#[test]
fn one_serves_a_host_and_its_sockets_go_with_it() {
    let mut bare = Bare::new(SETTINGS);
    let mode = |path: &str| {
        bare.node
            .run(&format!("stat -c %a {path}"))
            .trim()
            .to_owned()
    };
    assert_eq!(
        (mode(NETWORK).as_str(), mode(IPAM).as_str()),
        ("600", "600")
    );
    let second = bare.node.sh(&format!("nuage-libnetwork -config {FILE}"));
    told(
        &second,
        1,
        &[
            "another nuage-libnetwork runs on this host",
            "stop it first",
        ],
    );
    let third = bare
        .node
        .sh(&format!("fairlead nuage serve --config {FILE}"));
    told(&third, 1, &["another nuage-libnetwork runs on this host"]);
    assert_eq!(bare.call(NETWORK, "Plugin.Activate", "").0, 200);
    for signal in ["TERM", "INT"] {
        bare.plugin.signal(signal);
        assert_eq!(bare.plugin.wait().code(), Some(0), "{signal}");
        for socket in [NETWORK, IPAM] {
            assert!(!bare.node.path(socket).exists(), "{signal}: {socket}");
        }
        bare.plugin = start(&bare.node);
    }
    // What a killed one left is no hindrance.
    bare.plugin.kill();
    assert!(bare.node.path(NETWORK).exists());
    bare.plugin = start(&bare.node);
    bare.serves_both();
    assert_eq!(bare.call(NETWORK, "Plugin.Activate", "").0, 200);
    assert_eq!(bare.call(IPAM, "Plugin.Activate", "").0, 200);
    // The same by our own command line.
    assert_eq!(bare.plugin.terminate().code(), Some(0));
    let command = bare
        .node
        .shell(&format!("exec fairlead nuage serve --config {FILE}"));
    bare.plugin = start_as(&bare.node, &command);
    bare.serves_both();
    assert_eq!(bare.call(NETWORK, "Plugin.Activate", "").0, 200);
    assert_eq!(bare.plugin.terminate().code(), Some(0));
    assert!(!bare.node.path(IPAM).exists());
}

#[test]
fn a_login_that_is_refused_ends_it_and_says_what_to_check() {
    let node = Node::new();
    // printf %s wrong | base64
    prepare(
        &node,
        &SETTINGS.replace("password: Y3Nwcm9vdA==", "password: d3Jvbmc="),
    );
    let _vsd = Vsd::start(&node, &seed());
    let _ovs = Ovs::start(&node, OvsPlan::default());
    let words = [
        "refuses the login of user csproot",
        "check username, password",
    ];
    told(
        &node.sh(&format!("nuage-libnetwork -config {FILE}")),
        1,
        &words,
    );
    // An audit compares with Docker, and there is none.
    told(
        &node.sh(&format!("nuage-libnetwork -audit -config {FILE}")),
        1,
        &["/var/run/docker.sock"],
    );
    for socket in [NETWORK, IPAM] {
        assert!(!node.path(socket).exists(), "{socket}");
    }
    for secret in ["wrong", "d3Jvbmc="] {
        assert!(!log_of(&node).contains(secret), "{secret}");
    }
}

/// A pool of the documents' subnet.
fn pool(bare: &Bare) -> (u16, Value) {
    let options = crate::documents::options();
    let body = json!({"AddressSpace": "local", "Pool": "", "SubPool": "", "Options": options, "V6": false});
    bare.call(IPAM, "IpamDriver.RequestPool", &body.to_string())
}

#[test]
fn settings_are_read_again_at_a_signal_and_broken_ones_are_not_taken() {
    let quiet = SETTINGS.replace("\"Debug\"", "\"Info\"");
    let mut bare = Bare::new(&quiet);
    assert_eq!(pool(&bare).0, 200);
    assert!(!log_of(&bare.node).contains("|DEBUG|"));
    bare.node.write(FILE, SETTINGS);
    bare.plugin.signal("USR1");
    bare.logs("settings are read again: loglevel changed");
    assert_eq!(pool(&bare).0, 200);
    bare.logs("|DEBUG|");
    // A broken file leaves everything as it is, and says why.
    for (file, words) in [
        ("a: [b", "broken at line"),
        ("url: https://127.0.0.1:8443\n", "password is missing"),
    ] {
        bare.node.write(FILE, file);
        bare.plugin.signal("USR1");
        bare.logs(words);
        bare.logs("the settings are as before");
        assert_eq!(pool(&bare).0, 200);
    }
    // What needs a restart is named, and not done.
    bare.node.write(
        FILE,
        &SETTINGS
            .replace("alubr0", "other0")
            .replace("\"local\"", "\"global\""),
    );
    bare.plugin.signal("USR1");
    bare.logs("only after a restart: vrsbridge, scope");
    let own = bare.call(NETWORK, "NetworkDriver.GetCapabilities", "").1;
    assert_eq!(own["Scope"], "local");
    assert_eq!(bare.plugin.ended(), None);
}

#[test]
fn a_changed_password_is_in_force_after_a_signal() {
    // The next VSD has another certificate.
    let settings = SETTINGS.replace("vsdcafile: /run/vsd/ca.pem", "vsdinsecure: true");
    let mut bare = Bare::new(&settings);
    assert_eq!(pool(&bare).0, 200);
    bare.vsd = None;
    bare.vsd = Some(Vsd::start_with(
        &bare.node,
        &seed(),
        "--password other-word",
    ));
    let (status, answer) = pool(&bare);
    assert_eq!(status, 500, "{answer}");
    // printf %s other-word | base64
    let changed = settings.replace("password: Y3Nwcm9vdA==", "password: b3RoZXItd29yZA==");
    bare.node.write(FILE, &changed);
    bare.plugin.signal("USR1");
    bare.logs("settings are read again");
    assert_eq!(pool(&bare).0, 200, "{}", tail(&log_of(&bare.node)));
    for secret in ["other-word", "b3RoZXItd29yZA==", "Y3Nwcm9vdA=="] {
        assert!(!log_of(&bare.node).contains(secret), "{secret}");
    }
}

/// A line of the log: `|TIME|LEVEL|NUMBER|PROGRAM|MESSAGE`.
#[track_caller]
fn is_a_line(line: &str, count: usize) {
    let parts: Vec<&str> = line.splitn(6, '|').collect();
    let [nothing, time, level, number, program, message] = parts[..] else {
        panic!("{line:?}");
    };
    assert_eq!(nothing, "", "{line}");
    let words: Vec<&str> = time.split(' ').collect();
    assert_eq!(words[2..], ["+0000", "UTC"], "{line}");
    let shape = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect()
    };
    assert_eq!(shape(words[0]), "0000-00-00", "{line}");
    let (clock, fraction) = words[1].split_once('.').unwrap_or((words[1], "1"));
    assert_eq!(shape(clock), "00:00:00", "{line}");
    let is_short = (1..=9).contains(&fraction.len()) && !fraction.ends_with('0');
    assert!(
        is_short && fraction.bytes().all(|b| b.is_ascii_digit()),
        "{line}"
    );
    assert!(
        ["DEBUG", "INFO", "WARNING", "ERROR", "FATAL"].contains(&level),
        "{line}"
    );
    assert_eq!(number, format!("{count:04}"), "{line}");
    assert_eq!(program, "nuage-libnetwork", "{line}");
    assert!(!message.is_empty(), "{line}");
}

#[test]
fn the_log_has_its_form_and_no_secret_and_the_state_can_be_listed() {
    let secret = SETTINGS
        .replace("username: Y3Nwcm9vdA==", "username: cm9vdC11c2Vy")
        .replace("password: Y3Nwcm9vdA==", "password: czNjci9ldCtwYXNzfg==")
        .replace("organization: Y3Nw", "organization: Y29tcGFueS1vbmU=");
    let node = Node::new();
    prepare(&node, &secret);
    let options = "--user root-user --password s3cr/et+pass~ --organization company-one";
    let vsd = Vsd::start_with(&node, &seed(), options);
    let ovs = Ovs::start(&node, OvsPlan::default());
    let plugin = start(&node);
    let docker = Docker::start(&node);
    let mut case = Case {
        plugin: Some(plugin),
        docker,
        vsd,
        ovs,
        node,
    };
    case.is_followed(1);
    case.docker(&CREATE.replace("MyNet", "--aux-address a=10.21.59.9 MyNet"));
    case.run("one", "--net MyNet -e NUAGE-POLICY-GROUP=web");
    case.is_up(1);
    the_state_can_be_listed(&case);
    // A new login, and one that is refused.
    case.vsd.expire_keys();
    case.run("two", "--net MyNet -p 80:80 -e NUAGE-POLICY-GROUP=none");
    case.is_up(2);
    let wrong = secret.replace("czNjci9ldCtwYXNzfg==", "d3JvbmctYnV0LXNlY3JldA==");
    case.node.write(FILE, &wrong);
    case.plugin.as_mut().unwrap().signal("USR1");
    case.logs("settings are read again", 1);
    case.refused(
        "run --rm --net MyNet busybox true",
        &["check username, password"],
    );
    case.node.write(FILE, &secret);
    case.plugin.as_mut().unwrap().signal("USR1");
    case.logs("settings are read again", 2);
    case.docker("rm -f one two");
    case.docker("network rm MyNet");
    case.is_empty();
    let ended = case.plugin.as_mut().unwrap().terminate();
    assert_eq!(ended.code(), Some(0));
    the_log_is_in_order(&case);
}

/// Its lines have their form and number, and there is no secret in what was written.
#[track_caller]
fn the_log_is_in_order(case: &Case) {
    let log = case.log();
    for (at, line) in log.lines().enumerate() {
        is_a_line(line, at + 1);
    }
    let levels = ["|DEBUG|", "|INFO|", "|WARNING|"];
    assert!(
        levels.iter().all(|level| log.contains(level)),
        "{}",
        tail(&log)
    );
    let printed = case.plugin.as_ref().unwrap().log();
    for secret in [
        "s3cr/et+pass~",
        "czNjci9ldCtwYXNzfg==",
        "wrong-but-secret",
        "d3JvbmctYnV0LXNlY3JldA==",
        "XREST",
        "Authorization",
    ] {
        for (what, text) in [("log", &log), ("output", &printed)] {
            assert!(!text.contains(secret), "{secret:?} is in the {what}");
        }
    }
    let folder = format!("{}/var/log/nuage-libnetwork", Node::ROOT);
    let mode = |path: &str| {
        case.node
            .run(&format!("stat -c %a {path}"))
            .trim()
            .to_owned()
    };
    assert_eq!(mode(&folder), "744");
    assert_eq!(mode(&format!("{folder}/nuage-libnetwork.log")), "644");
}

/// `fairlead nuage` says what this host has, to people and to programs.
#[track_caller]
fn the_state_can_be_listed(case: &Case) {
    let address = case.address("one");
    let table = case.node.sh("fairlead nuage ls").done();
    let head: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    let heads = [
        "ADDRESS",
        "PORT",
        "MAC",
        "SUBNET",
        "DOMAIN",
        "CONTAINER",
        "STATE",
    ];
    assert_eq!(head, heads);
    let line = table
        .lines()
        .find(|line| line.starts_with(&address))
        .unwrap();
    for has in ["nln", "7a:42:", "Subnet 2", "Domain", "one", "up"] {
        assert!(line.contains(has), "{has}: {table}");
    }
    let kept = table.lines().find(|line| line.starts_with("10.21.59.9 "));
    assert!(kept.is_some_and(|line| line.contains("kept")), "{table}");
    let leases = case.leases();
    assert_eq!(leases.len(), 2);
    let own = leases
        .iter()
        .find(|lease| lease["address"] == address)
        .unwrap();
    assert_eq!(own["tenant"]["name"], "one");
    assert_eq!(own["target"]["subnet"], "Subnet 2");
    let networks = case.node.sh("fairlead nuage networks").done();
    let lines: Vec<&str> = networks.lines().collect();
    assert_eq!(lines.len(), 2, "{networks}");
    for head in [
        "NETWORK",
        "RANGE",
        "GATEWAY",
        "SUBNET",
        "ZONE",
        "DOMAIN",
        "ORGANIZATION",
    ] {
        assert!(lines[0].contains(head), "{networks}");
    }
    for has in [
        "10.21.59.0/24",
        "10.21.59.1",
        "Subnet 2",
        "Zone",
        "Domain",
        "Enterprise",
    ] {
        assert!(lines[1].contains(has), "{networks}");
    }
    let all = case.node.sh("fairlead nuage networks -o json").json();
    assert_eq!(all[0]["target"], crate::documents::options());
}

#[test]
fn an_audit_by_the_command_line_tells_by_its_status() {
    let mut case = Case::new();
    case.create();
    case.run("one", "--net MyNet");
    case.is_up(1);
    case.plugin.take().unwrap().terminate();
    let line = format!("nuage-libnetwork -audit -config {FILE}");
    told(&case.node.sh(&line), 0, &[]);
    let line_of_ours = format!("fairlead nuage serve --audit --config {FILE}");
    told(&case.node.sh(&line_of_ours), 0, &[]);
    assert!(!case.node.path(NETWORK).exists(), "an audit serves nobody");
    assert_eq!(case.disagreement(1), Vec::<String>::new());
    case.vsd.down(true);
    let quick = SETTINGS.replace("numofretries:   5", "numofretries: 1");
    case.node.write(FILE, &quick);
    let ran = case.node.sh(&line);
    told(&ran, 1, &["VSD"]);
    assert_eq!(
        case.ovs.ports(&case.node).len(),
        1,
        "what is not known is not removed"
    );
    case.vsd.down(false);
    told(&case.node.sh(&line), 0, &[]);
    case.start_again();
    case.is_up(1);
}
