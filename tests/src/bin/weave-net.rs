//! A stand-in for weave's CNI plugin, which needs its daemon and Docker: a veth pair
//! on a bridge named `weave`, as weave has it, and the next address of `ipam.subnet`.
//!
//! It speaks the protocol as a plugin of another maker does: environment, standard
//! input, a result of its own version; and it notes each call in `/run/weave-calls`.
#![forbid(unsafe_code)]

use std::env::var;
use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The link in the container that weave makes where nothing else is asked for.
const STATE: &str = "/run/weave-next";

fn main() -> ExitCode {
    match run() {
        Ok(printed) => {
            print!("{printed}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let told = json!({"cniVersion": "0.3.0", "code": 100, "msg": error.to_string()});
            print!("{told}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<String> {
    let command = var("CNI_COMMAND")?;
    if command == "VERSION" {
        let told = json!({"cniVersion": "0.3.0", "supportedVersions": ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"]});
        return Ok(told.to_string());
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let config: Value = serde_json::from_str(&text)?;
    let mut calls = OpenOptions::new()
        .create(true)
        .append(true)
        .open("/run/weave-calls")?;
    writeln!(
        calls,
        "{command} {} {}",
        var("CNI_CONTAINERID")?,
        var("CNI_IFNAME")?
    )?;
    match command.as_str() {
        "ADD" => add(&config),
        "DEL" => del(),
        _ => Ok(String::new()),
    }
}

fn add(config: &Value) -> Outcome<String> {
    let (netns, ifname) = (var("CNI_NETNS")?, var("CNI_IFNAME")?);
    let subnet = config["ipam"]["subnet"]
        .as_str()
        .ok_or("ipam.subnet is missing")?;
    let (base, length) = subnet.split_once('/').ok_or("ipam.subnet is no CIDR")?;
    let (head, _) = base
        .rsplit_once('.')
        .ok_or("ipam.subnet is not of version 4")?;
    let last: u8 = fs::read_to_string(STATE).map_or(Ok(1), |text| text.trim().parse())?;
    fs::write(STATE, (last + 1).to_string())?;
    if ip("link show dev weave").is_err() {
        ip("link add weave type bridge")?;
        ip(&format!("address add {head}.254/{length} dev weave"))?;
        ip("link set weave up")?;
    }
    let address = format!("{head}.{last}/{length}");
    let host = format!("vethwe{last}");
    ip(&format!(
        "link add {host} type veth peer name vethwep{last}"
    ))?;
    ip(&format!("link set {host} master weave up"))?;
    // Tools know namespaces by a name below /run/netns.
    let name = netns.rsplit('/').next().ok_or("CNI_NETNS has no name")?;
    ip(&format!(
        "link set vethwep{last} netns {name} name {ifname}"
    ))?;
    ip(&format!("-netns {name} address add {address} dev {ifname}"))?;
    ip(&format!("-netns {name} link set {ifname} up"))?;
    let result = json!({
        "cniVersion": config["cniVersion"],
        "interfaces": [{"name": host}, {"name": ifname, "sandbox": netns}],
        "ips": [{"version": "4", "address": address, "interface": 1}],
    });
    Ok(result.to_string())
}

fn del() -> Outcome<String> {
    let (netns, ifname) = (var("CNI_NETNS").unwrap_or_default(), var("CNI_IFNAME")?);
    let name = netns.rsplit('/').next().unwrap_or_default();
    // Gone already is what is wanted.
    let _ = ip(&format!("-netns {name} link delete {ifname}"));
    Ok(String::new())
}

fn ip(line: &str) -> Outcome<()> {
    let output = Command::new("ip").args(line.split_whitespace()).output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("ip {line}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
