//! A gateway: real HAProxy on one node, the services on all three, clients outside.

use super::{DEAD, SOON, Shop, WEB};
use std::process::Stdio;
use std::time::Duration;

use fairlead_tests::{Authority, Cluster, Place, eventually, patience};

/// Declares the gateway on node 1 with these keywords of its first rule, and more.
fn declare(shop: &Shop, keywords: &[&str]) {
    let mut line = "fairlead svc create shop/svc/gw --kw container#0.type=haproxy \
                    --kw container#0.netns=host --kw ingress#0.backend=shop/svc/web \
                    --kw ingress#0.port=80/tcp"
        .to_owned();
    for keyword in keywords {
        line += &format!(" --kw {keyword}");
    }
    shop.node(1).sh(&line).silent();
    shop.node(1).sh("fairlead svc start shop/svc/gw").done();
}

/// What a client outside is shown.
fn page(cluster: &Cluster, options: &str) -> String {
    let line = format!("curl -sS --max-time 5 {options}");
    let output = cluster.outside().try_run(&line);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Asks until a page of each of these nodes was shown.
#[track_caller]
fn shows(shop: &Shop, options: &str, nodes: &[usize]) {
    let mut left: Vec<String> = nodes.iter().map(|k| format!("node{k}\n")).collect();
    eventually(patience(), || {
        let shown = page(&shop.cluster, options);
        left.retain(|page| *page != shown);
        if left.is_empty() {
            Ok(())
        } else {
            Err((shown, left.clone()))
        }
    });
}

#[test]
fn connections_from_outside_reach_all_instances_and_go_round_a_dead_node() {
    let mut shop = Shop::open();
    let addresses = [shop.start(1), shop.start(2), shop.start(3)];
    shop.answer(&[1], WEB, &addresses, SOON);
    declare(
        &shop,
        &["ingress#0.listen=8080", "ingress#0.host=www.example.com"],
    );
    let front = shop.cluster.v4(1);
    let options = format!("-H Host:www.example.com http://{front}:8080/");
    shows(&shop, &options, &[1, 2, 3]);
    // Another name is for nobody here.
    assert!(page(&shop.cluster, &format!("http://{front}:8080/")).contains("503"));
    shop.agents[2].daemon.kill();
    shop.cluster.cut_off(3);
    // From the first moment on: HAProxy tries another instance by itself.
    for _ in 0..20 {
        let shown = page(&shop.cluster, &options);
        assert!(shown == "node1\n" || shown == "node2\n", "{shown}");
    }
    shop.answer(&[1, 2], WEB, &addresses[..2], DEAD);
    shows(&shop, &options, &[1, 2]);
    let status = shop
        .node(1)
        .sh("fairlead svc status shop/svc/gw -o json")
        .json();
    assert_eq!(status["avail"], "up");
    shop.node(1).sh("fairlead svc stop shop/svc/gw").done();
    assert!(page(&shop.cluster, &options).contains("curl: (7)"));
}

#[test]
fn a_gateway_follows_its_file_without_losing_a_connection() {
    let shop = Shop::open();
    shop.start(1);
    shop.start(2);
    // So large that it takes its time.
    shop.node(2).run("truncate -s 40M /run/www/large");
    shop.node(1).run("truncate -s 40M /run/www/large");
    declare(&shop, &["ingress#0.listen=8080"]);
    let front = shop.cluster.v4(1);
    shows(&shop, &format!("http://{front}:8080/"), &[1, 2]);
    let mut download = shop
        .cluster
        .outside()
        .command("curl")
        .args([
            "-sS",
            "--max-time",
            "60",
            "--limit-rate",
            "10M",
            "-o",
            "/dev/null",
        ])
        .args(["-w", "%{http_code} %{size_download}"])
        .arg(format!("http://{front}:8080/large"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl can be started");
    shop.node(1)
        .sh(
            "fairlead svc set shop/svc/gw --kw ingress#1.listen=8081 --kw ingress#1.mode=tcp \
             --kw ingress#1.backend=shop/svc/web --kw ingress#1.port=http/tcp",
        )
        .silent();
    shows(&shop, &format!("http://{front}:8081/"), &[1, 2]);
    assert!(
        download.try_wait().expect("a state").is_none(),
        "the download is over too early"
    );
    let done = download.wait_with_output().expect("curl's output");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "200 41943040");
    many_instances_are_found(&shop);
    // What is set is in force also where a start comes before the agent.
    let node = shop.node(1);
    node.sh("fairlead svc set shop/svc/gw --kw ingress#1.listen=8082; \
         fairlead svc start shop/svc/gw")
        .done();
    shows(&shop, &format!("http://{front}:8082/"), &[1, 2]);
    bad_is_never_put_in_place(&shop, &front);
}

/// More instances than a datagram tells of.
fn many_instances_are_found(shop: &Shop) {
    let node = shop.node(2);
    let sandboxes: Vec<_> = (0..40).map(|i| node.sandbox(&format!("s{i}"))).collect();
    for sandbox in &sandboxes {
        let place = sandbox.netns();
        let object = "--object shop/svc/web --expose 80/tcp";
        node.sh(&format!("fairlead attach back --netns {place} {object}"))
            .done();
    }
    shop.node(1)
        .sh("fairlead svc set shop/svc/gw --kw ingress#0.slots=60")
        .silent();
    let socket = "$FAIRLEAD_ROOT/var/lib/fairlead/gateways/shop.svc.gw/admin.sock";
    eventually(patience(), || {
        let line = format!("echo show servers state to_ingress_0 | socat - {socket}");
        let shown = shop.node(1).sh(&line).stdout;
        let known = shown
            .lines()
            .filter(|line| line.contains(" 10.11."))
            .count();
        if known == 42 {
            Ok(())
        } else {
            Err((known, shown))
        }
    });
    node.sh("for i in $(seq 0 39); do fairlead detach --netns /run/netns/s$i; done")
        .done();
}

/// A configuration that haproxy refuses: the one of before stays in force and in place.
fn bad_is_never_put_in_place(shop: &Shop, front: &str) {
    let node = shop.node(1);
    let file = "$FAIRLEAD_ROOT/var/lib/fairlead/gateways/shop.svc.gw/haproxy.cfg";
    let before = node.sh(&format!("cat {file}")).done();
    node.sh("fairlead svc set shop/svc/gw --kw ingress#0.certificate=/no/such.pem")
        .silent();
    eventually(patience(), || {
        let log = shop.agents[0].daemon.log();
        if log.contains("haproxy refuses") && log.contains("/no/such.pem") {
            Ok(())
        } else {
            Err(log)
        }
    });
    assert_eq!(node.sh(&format!("cat {file}")).done(), before);
    shows(shop, &format!("http://{front}:8080/"), &[1, 2]);
    let status = node.sh("fairlead svc status shop/svc/gw").done();
    assert!(status.contains("haproxy refuses"), "{status}");
    // A restart with it fails with HAProxy's words, and stops nothing that runs.
    node.sh("fairlead svc restart shop/svc/gw")
        .fails(&["shop/svc/gw", "haproxy", "/no/such.pem"]);
    shows(shop, &format!("http://{front}:8080/"), &[1, 2]);
    node.sh("fairlead svc set shop/svc/gw --kw ingress#0.path=nothing")
        .fails(&["ingress#0.path"]);
    node.sh("fairlead svc set shop/svc/gw --kw ingress#0.backend=web")
        .fails(&["ingress#0.backend"]);
    node.sh("fairlead svc set shop/svc/gw --kw ingress#0.port=80/tcp:81")
        .fails(&["ingress#0.port"]);
    node.sh("fairlead svc set shop/svc/gw --kw ingress#0.listen=x")
        .fails(&["ingress#0.listen"]);
}

#[test]
fn tls_hosts_and_paths_lead_to_their_services() {
    let shop = Shop::open();
    shop.start(1);
    let node = shop.node(2);
    node.sh(
        "mkdir -p /run/api/v1 && echo api >/run/api/v1/index.html && echo root >/run/api/index.html; \
         fairlead svc create shop/svc/api --kw container#0.type=process \
         --kw container#0.command='busybox httpd -f -p 8000 -h /run/api' \
         --kw ip#0.network=back --kw ip#0.expose=8000/tcp && fairlead svc start shop/svc/api",
    )
    .done();
    let authority = Authority::new("shop");
    authority.write(shop.cluster.wire(), "/run/tls/ca.crt");
    authority.issue(shop.node(1), "/run/tls/www", &["www.example.com"]);
    shop.node(1).run("mkdir -p /run/pem");
    let pem = "cat /run/tls/www.crt /run/tls/www.key >/run/pem/www.pem";
    shop.node(1).sh(pem).silent();
    declare(
        &shop,
        &[
            "ingress#0.listen=443",
            "ingress#0.certificate=/run/pem/www.pem",
            "ingress#1.listen=443",
            "ingress#1.certificate=/run/pem/www.pem",
            "ingress#1.host=www.example.com",
            "ingress#1.path=/v1",
            "ingress#1.backend=shop/svc/api",
            "ingress#1.port=8000/tcp",
        ],
    );
    let front = shop.cluster.v4(1);
    let ca = shop.cluster.wire().path("/run/tls/ca.crt");
    let with = |url: &str| {
        format!(
            "--cacert {} --resolve www.example.com:443:{front} https://www.example.com{url}",
            ca.display()
        )
    };
    shows(&shop, &with("/"), &[1]);
    eventually(patience(), || {
        let shown = page(&shop.cluster, &with("/v1/"));
        if shown == "api\n" { Ok(()) } else { Err(shown) }
    });
    // The beginning of a word is no path.
    assert!(
        page(&shop.cluster, &with("/v1x")).contains("404"),
        "web has no such page"
    );
    renewed(&shop, &front, &authority, pem);
}

/// A certificate that is written anew is shown soon.
fn renewed(shop: &Shop, front: &str, authority: &Authority, pem: &str) {
    let serial = || {
        let line = format!(
            "echo | openssl s_client -connect {front}:443 -servername www.example.com 2>/dev/null \
             | openssl x509 -noout -fingerprint"
        );
        let output = shop
            .cluster
            .outside()
            .command("sh")
            .args(["-c", &line])
            .output();
        String::from_utf8_lossy(&output.expect("openssl").stdout).into_owned()
    };
    let before = serial();
    assert!(before.contains("Fingerprint="), "{before}");
    authority.issue(shop.node(1), "/run/tls/www", &["www.example.com"]);
    shop.node(1).sh(pem).silent();
    eventually(patience() + Duration::from_secs(5), || {
        let now = serial();
        if now != before && now.contains("Fingerprint=") {
            Ok(())
        } else {
            Err(now)
        }
    });
}
