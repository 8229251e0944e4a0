//! The clients that people use: the command line, Compose and Docker's SDK for Python.

use crate::case::{Case, SOCKET};
use fairlead_tests::{Daemon, Docker, Place as _, eventually, patience};

#[test]
fn input_that_ends_leaves_the_output_of_exec_and_run() {
    let case = Case::new();
    case.docker("run -d --name box --net none busybox sleep 100000");
    case.node
        .sh("head -c 1000000 /dev/urandom >/run/random")
        .done();
    let sum = case.node.sh("md5sum </run/random").done();
    // The answer comes long after the input has ended.
    assert_eq!(
        case.try_docker("exec -i box sh -c 'md5sum; usleep 300000; echo end' </run/random")
            .done(),
        format!("{sum}end\n")
    );
    let ran = case.try_docker("run --rm -i --net none busybox sh -c 'md5sum; exit 7' </run/random");
    assert_eq!(
        (ran.stdout.as_str(), ran.status),
        (sum.as_str(), Some(7)),
        "{ran:?}"
    );
    // What goes in comes out.
    let line = "exec -i box cat </run/random | md5sum";
    assert_eq!(case.try_docker(line).done(), sum);
    let ran = case.try_docker("exec box sh -c 'echo out; echo err >&2; exit 3'");
    assert_eq!(ran.status, Some(3));
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn attach_logs_events_and_waiting_end_when_they_should() {
    let case = Case::new();
    let client = case.docker.client(SOCKET);
    let follow = |line: &str, log: &str| {
        let command = case.node.shell(&format!("exec {line}"));
        Daemon::start(&command, line, &case.node.path(log))
    };
    let says = |daemon: &Daemon, word: &str| {
        eventually(patience(), || match daemon.log() {
            log if log.contains(word) => Ok(()),
            log => Err(log),
        });
    };
    let line = format!("env {client} events --filter type=container");
    let mut events = follow(&line, "/run/events.log");
    let busy = "echo first; until [ -e /end ]; do usleep 50000; done";
    case.docker(&format!(
        "run -d --name box --net none busybox sh -c '{busy}'"
    ));
    says(&events, "container start");
    let mut logs = follow(&format!("env {client} logs -f box"), "/run/logs.log");
    let mut attached = follow(
        &format!("env {client} attach --no-stdin box"),
        "/run/attach.log",
    );
    let mut waiting = follow(&format!("env {client} wait box"), "/run/wait.log");
    says(&logs, "first");
    eventually(patience(), || {
        case.docker("exec box sh -c 'echo second >/proc/1/fd/1'");
        let logs = (logs.log(), attached.log());
        if logs.0.contains("second") && logs.1.contains("second") {
            Ok(())
        } else {
            Err(logs)
        }
    });
    // It ends, and who follows and who waits is told.
    case.docker("exec box touch /end");
    assert!(logs.wait().success());
    assert!(attached.wait().success());
    assert!(waiting.wait().success());
    assert_eq!(waiting.log(), "0\n");
    case.docker("rm box");
    let line = "create -i -a stdin -a stdout --name box --net none busybox cat";
    case.docker(line);
    let ran = case
        .node
        .sh(&format!("echo words | {client} start -ai box"));
    assert_eq!(ran.done(), "words\n");
    case.docker("rm box");
    says(&events, "container destroy");
    assert_eq!(events.ended(), None);
}

#[test]
fn images_are_built_by_both_builders() {
    let case = Case::new();
    case.node.run("mkdir -p /run/context");
    case.node.write("/run/context/file", "content\n");
    case.node.write(
        "/run/context/Dockerfile",
        "FROM busybox\nCOPY file /file\nARG word\nENV WORD=$word\nCMD cat /file; echo $WORD\n",
    );
    for (tag, kit) in [("old", 0), ("new", 1)] {
        let client = case.docker.client(SOCKET);
        let line = format!(
            "DOCKER_BUILDKIT={kit} {client} build --network none -t {tag} --build-arg word={tag} /run/context"
        );
        case.node.sh(&line).done();
        let said = case.docker(&format!("run --rm --net none {tag}"));
        assert_eq!(said, format!("content\n{tag}"));
    }
}

#[test]
fn compose_brings_services_up_and_down() {
    let case = Case::with(Docker::plan().newer(), "BARREL_ENABLE_CNI=1\n");
    let file = "
services:
  web:
    image: busybox
    command: sh -c 'echo ready; sleep 100000'
    network_mode: back
    stop_signal: KILL
  alone:
    image: busybox
    command: sleep 100000
    network_mode: none
    stop_signal: KILL
";
    case.node.run("mkdir -p /run/shop");
    case.node.write("/run/shop/compose.yaml", file);
    let compose = |line: &str| {
        case.docker
            .compose_at(&case.node, SOCKET, "/run/shop", line)
            .done()
    };
    compose("up -d");
    assert!(compose("logs web").contains("ready"));
    compose("exec -T web ping -c 1 -w 5 10.60.0.1");
    let shown = compose("ps --format '{{.Service}} {{.State}}'");
    assert_eq!(
        shown
            .lines()
            .filter(|line| line.ends_with("running"))
            .count(),
        2,
        "{shown}"
    );
    case.taken(1);
    compose("restart web");
    compose("exec -T web ping -c 1 -w 5 10.60.0.1");
    compose("down");
    case.taken(0);
}

#[test]
fn the_sdk_for_python_works_as_on_dockerds_own_socket() {
    const PYTHON: &str = "/opt/fairlead-peers/python/bin/python";
    assert!(
        std::path::Path::new(PYTHON).exists(),
        "{PYTHON} is missing: run scripts/install-deps"
    );
    let case = Case::new();
    let script = "
import docker, io, socket, sys, tarfile
client = docker.DockerClient(base_url='unix://' + sys.argv[1], version='auto')
box = client.containers.run('busybox', 'sleep 100000', name='sdk', network_mode='none', detach=True)
raw = client.api.exec_create(box.id, 'cat', stdin=True)['Id']
stream = client.api.exec_start(raw, socket=True)
stream = getattr(stream, '_sock', stream)
stream.sendall(b'x' * 100000)
stream.shutdown(socket.SHUT_WR)
got = b''
while True:
    piece = stream.recv(65536)
    if not piece:
        break
    got += piece
print(got.count(b'x'))
data = io.BytesIO()
with tarfile.open(fileobj=data, mode='w') as tar:
    info = tarfile.TarInfo('note')
    info.size = 5
    tar.addfile(info, io.BytesIO(b'hello'))
# What comes in one piece with the head of the answer is lost to the SDK, on any socket: it
# reads on behind its own buffer. So nothing is said before it has the head.
hello = box.exec_run(['sh', '-c', 'until [ -e /note ]; do sleep 0.1; done; echo hello'], stream=True)
print(box.put_archive('/', data.getvalue()))
print(b''.join(hello.output))
bits, stat = box.get_archive('/note')
print(stat['size'], len(b''.join(bits)) % 512)
print([c.name for c in client.containers.list()])
for line in client.containers.run('busybox', 'seq 3', network_mode='none', stream=True, remove=True):
    print(line)
try:
    client.containers.get('nobody')
except docker.errors.NotFound as error:
    print(error.explanation)
print(box.stats(stream=False)['name'])
box.remove(force=True)
";
    case.node.write("/run/sdk.py", script);
    let ask = |socket: &str| {
        case.node
            .sh(&format!("{PYTHON} /run/sdk.py {socket}"))
            .done()
    };
    let direct = ask(Docker::SOCKET);
    for words in ["100000", r"b'hello\n'"] {
        assert!(direct.contains(words), "{direct}");
    }
    assert_eq!(ask(SOCKET), direct);
}
