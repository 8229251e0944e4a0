//! The systemd unit says what systemd understands.

use std::path::Path;
use std::process::Command;

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd/fairlead.service");
    let unit = std::fs::read_to_string(path).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/fairlead agent\n"));
    // The binary is not installed here.
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("fairlead.service");
    std::fs::write(&copy, unit.replace("/usr/bin/fairlead", "/bin/true")).unwrap();
    let checked = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&copy)
        .output()
        .expect("systemd-analyze: run scripts/install-deps");
    let words = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{words}");
    let about = words.lines().filter(|line| line.contains("fairlead"));
    assert_eq!(about.collect::<Vec<_>>(), Vec::<&str>::new());
}
