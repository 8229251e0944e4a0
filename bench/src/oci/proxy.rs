//! The proxy beside the engine's own socket.

use super::Extent;
use super::engine::Engine;
use crate::turns::turns;
use anyhow::{Context, Result, bail};
use fairlead_tests::{Daemon, Docker, eventually, patience};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The proxy's socket inside the node.
const SOCKET: &str = "/run/barrel.sock";
/// Containers that are in the list.
const LISTED: usize = 10;
/// How often the image is saved on each socket.
const SAVES: u32 = 5;

/// What was found of the proxy; the first of two is always the engine's own socket.
#[derive(Debug)]
pub(super) struct Proxied {
    /// The list of containers, in milliseconds.
    pub(super) list: [Vec<f64>; 2],
    /// Where some of them are on networks of ours, so that the proxy changes it.
    pub(super) changed: [Vec<f64>; 2],
    /// The image, in megabytes a second.
    pub(super) save: [Vec<f64>; 2],
    /// The most memory that the proxy ever had, in kilobytes: before the image and after.
    pub(super) memory: [u64; 2],
}

pub(super) fn run(engine: &Engine<'_>, extent: Extent) -> Result<Proxied> {
    let line = format!(
        "BARREL_RUNTIME=ours exec fairlead proxy --enable-cni --cni-config /run/ours/cni.yaml -D unix://{} -H unix://{SOCKET}",
        Docker::SOCKET
    );
    let command = engine.node.shell(&line);
    let proxy = Daemon::start(&command, "proxy", &engine.node.path("/run/proxy.log"));
    let sockets = [Docker::SOCKET, SOCKET].map(|inside| engine.node.path(inside));
    eventually(patience(), || {
        UnixStream::connect(&sockets[1]).map_err(|e| e.to_string())
    });
    for at in 0..LISTED {
        let line = format!("run -d --net none --name plain{at} busybox sleep 100000");
        engine.docker(&line)?;
    }
    let list = lists(&sockets, extent.calls)?;
    for at in 0..LISTED {
        let line = format!(
            "DOCKER_CONFIG=/run/docker-client docker -H unix://{SOCKET} run -d --network ours \
             --name on{at} busybox sleep 100000"
        );
        engine.sh(&line).context("a container by the proxy")?;
    }
    let changed = lists(&sockets, extent.calls)?;
    let image = image(engine, extent.image)?;
    let before = peak(&proxy)?;
    let mut save = [Vec::new(), Vec::new()];
    for round in 0..SAVES {
        eprintln!("save: round {round} of {SAVES}");
        for at in turns([0, 1], round) {
            save[at].push(saved(&sockets[at], &image)?);
        }
    }
    Ok(Proxied {
        list,
        changed,
        save,
        memory: [before, peak(&proxy)?],
    })
}

fn lists(sockets: &[PathBuf; 2], calls: u32) -> Result<[Vec<f64>; 2]> {
    let mut found = [Vec::new(), Vec::new()];
    for round in 0..calls {
        for at in turns([0, 1], round) {
            let begun = Instant::now();
            let bytes = get(&sockets[at], "/v1.41/containers/json")?;
            found[at].push(begun.elapsed().as_secs_f64() * 1e3);
            if bytes < 1000 {
                bail!("the list of containers has {bytes} bytes only");
            }
        }
    }
    Ok(found)
}

/// An image of that many megabytes that nothing makes smaller; its name.
fn image(engine: &Engine<'_>, megabytes: u32) -> Result<String> {
    let line = format!(
        "mkdir /run/big && head -c {megabytes}M /dev/urandom >/run/big/file && \
         tar -C /run/big -c file | DOCKER_CONFIG=/run/docker-client docker -H unix://{} import - big && \
         rm -r /run/big",
        Docker::SOCKET
    );
    engine.sh(&line)?;
    Ok("big".into())
}

/// Megabytes a second.
fn saved(socket: &Path, image: &str) -> Result<f64> {
    let begun = Instant::now();
    let bytes = get(socket, &format!("/v1.41/images/{image}/get"))?;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    Ok(bytes as f64 / 1e6 / begun.elapsed().as_secs_f64())
}

/// Asks for a path; how many bytes came.
fn get(socket: &Path, path: &str) -> Result<u64> {
    let mut stream = UnixStream::connect(socket)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0_u64;
    let mut is_ok = false;
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        is_ok |= total == 0 && buffer.starts_with(b"HTTP/1.1 200");
        total += read as u64;
    }
    if !is_ok {
        bail!("{path}: {}", String::from_utf8_lossy(&buffer[..200]));
    }
    Ok(total)
}

/// The most memory that a process ever had, in kilobytes.
fn peak(daemon: &Daemon) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    words
        .context("a process has VmHWM")?
        .parse()
        .context("VmHWM is a number")
}
