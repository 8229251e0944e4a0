//! The systemd unit says what systemd understands.

use std::io::ErrorKind;
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
        .output();
    match checked {
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{words}");
            let about = words.lines().filter(|line| line.contains("fairlead"));
            assert_eq!(about.collect::<Vec<_>>(), Vec::<&str>::new());
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("not checked: systemd-analyze is not installed");
        }
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}
