//! Nuage's own SDK for Python is content with the simulator.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What scripts/fetch-python makes.
const PYTHON: &str = "/opt/fairlead-peers/python/bin/python";

/// A program that ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The judge's exit, what it said, and what it cried, with this authority or the right one.
fn judge(ca: Option<&str>) -> (bool, String, String) {
    assert!(
        Path::new(PYTHON).exists(),
        "{PYTHON} is missing: run scripts/fetch-python"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let mut simulator = Command::new(env!("CARGO_BIN_EXE_fairlead-vsd-simulator"))
        .arg("--ca-out")
        .arg(&file)
        .arg("--until-stdin-ends")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map(Running)
        .expect("the simulator can be started");
    let mut url = String::new();
    let out = simulator.0.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut url).expect("its URL");
    if let Some(ca) = ca {
        std::fs::write(&file, ca).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge.py");
    let judged = Command::new(PYTHON)
        .arg(script)
        .arg(url.trim())
        .arg(&file)
        .output()
        .expect("python can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, cried) = (text(&judged.stdout), text(&judged.stderr));
    (judged.status.success(), said, cried)
}

#[test]
fn nuages_own_sdk_is_content() {
    let (is_content, said, cried) = judge(None);
    assert!(is_content, "{said}{cried}");
    let last = said.lines().last().unwrap_or_default();
    let checks = last
        .strip_prefix("content, ")
        .and_then(|rest| rest.strip_suffix(" checks"))
        .unwrap_or_else(|| panic!("{said}{cried}"));
    let checks: u32 = checks.parse().expect("a number");
    assert!(checks > 500, "only {checks} checks were made: {said}");
}

#[test]
fn it_is_not_content_with_a_certificate_of_somebody_else() {
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (is_content, said, cried) = judge(Some(&other.cert.pem()));
    assert!(!is_content, "{said}");
    assert!(cried.contains("CERTIFICATE_VERIFY_FAILED"), "{cried}");
}
