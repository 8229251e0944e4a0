//! The RPM: what is in it, and what it does to a host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fairlead_tests::fairlead_binary;

use crate::work::{SOURCES, Work, done, package, refused, run};

const PROGRAM: &str = "/usr/bin/nuage-libnetwork";
const SETTINGS: &str = "/etc/default/nuage-libnetwork.yaml";
const UNIT: &str = "/usr/lib/systemd/system/nuage-libnetwork.service";
/// A static program that is small.
const SMALL: &str = "/bin/busybox";

/// Makes what scriptlets and systemd find in the root `$0`: a shell, and a systemctl that
/// keeps what it was called with.
const ROOT: &str = r#"
set -e
mkdir -p "$0/bin" "$0/dev" "$0/run/systemd/system" "$0/tmp" "$0/usr/bin" "$0/usr/lib/systemd/system" "$0/var/lib/rpm"
cp /bin/busybox "$0/bin/"
ln -s busybox "$0/bin/sh"
ln -s busybox "$0/bin/kill"
: >"$0/dev/null"
printf '#!/bin/sh\necho "$*" >>/calls\n' >"$0/usr/bin/systemctl"
chmod +x "$0/usr/bin/systemctl"
for unit in basic sysinit shutdown network network-online multi-user; do
    printf '[Unit]\nDescription=%s\n' "$unit" >"$0/usr/lib/systemd/system/$unit.target"
done
"#;

/// A host's root file system.
struct Host {
    root: PathBuf,
}

impl Host {
    fn new(work: &Work) -> Self {
        let root = work.path("root");
        done(Command::new("sh").args(["-c", ROOT]).arg(&root));
        Self { root }
    }

    /// `rpm LINE`, with scriptlets, which run in the root.
    fn rpm(&self, line: &str) -> Command {
        let mut command = Command::new("rpm");
        command.arg("--root").arg(&self.root);
        command.args(["--dbpath", "/var/lib/rpm"]);
        command.args(line.split(' '));
        command
    }

    /// What systemctl was called with since this was asked.
    #[track_caller]
    fn calls(&self) -> Vec<String> {
        let file = self.root.join("calls");
        let calls = fs::read_to_string(&file).unwrap_or_default();
        drop(fs::remove_file(file));
        calls.lines().map(str::to_owned).collect()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Files whose names have the package's name in them.
    fn files(&self) -> Vec<String> {
        let found = done(
            Command::new("find")
                .arg(&self.root)
                .args(["-name", "*nuage*", "-printf", "/%P\n"]),
        );
        let mut files: Vec<String> = found.lines().map(str::to_owned).collect();
        files.sort();
        files
    }
}

#[track_caller]
fn built(sources: &Path, version: &str, binary: &Path, target: &Path) -> PathBuf {
    let mut command = package(sources, "rpm", binary, target);
    let printed = done(command.env("version", version));
    let machine = std::env::consts::ARCH;
    let path = target.join(format!("nuage-libnetwork-{version}-1.{machine}.rpm"));
    assert_eq!(printed.trim(), path.display().to_string());
    path
}

#[track_caller]
fn asked(package: &Path, line: &[&str]) -> String {
    done(Command::new("rpm").arg("-qp").arg(package).args(line))
}

#[track_caller]
fn mode(path: &Path) -> u32 {
    let found = fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    found.permissions().mode() & 0o7777
}

#[test]
fn an_rpm_holds_program_unit_and_settings() {
    let work = Work::new();
    let package = built(
        Path::new(SOURCES),
        "0.0.1",
        Path::new(SMALL),
        &work.path("out"),
    );
    assert_eq!(
        asked(&package, &["-l"]),
        format!("{SETTINGS}\n{PROGRAM}\n{UNIT}\n")
    );
    let format = "[%{FILENAMES} %{FILEMODES:perms} %{FILEFLAGS:fflags} %{FILEUSERNAME}\n]";
    assert_eq!(
        asked(&package, &["--queryformat", format]),
        format!(
            "{SETTINGS} -rw------- cn root\n{PROGRAM} -rwxr-xr-x  root\n{UNIT} -rw-r--r--  root\n"
        )
    );
    let head = "%{NAME} %{VERSION} %{RELEASE} %{PAYLOADCOMPRESSOR}\n";
    let head = asked(&package, &["--queryformat", head]);
    assert_eq!(head, "nuage-libnetwork 0.0.1 1 gzip\n");
    // Nothing that another host may not have.
    let needed = asked(&package, &["--requires"]);
    let odd: Vec<&str> = needed
        .lines()
        .filter(|line| !line.starts_with("rpmlib(") && !matches!(*line, "/bin/sh" | "systemd"))
        .collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn a_host_keeps_its_settings_and_nothing_else() {
    let work = Work::new();
    let host = Host::new(&work);
    let sources = work.sources();
    let product = fairlead_binary();
    let old = built(&sources, "1.0", &product, &work.path("out"));
    // The newer one has another program and other settings.
    let template = sources.join("packaging/nuage/nuage-libnetwork.yaml");
    let text = fs::read_to_string(&template).expect("the template");
    fs::write(&template, format!("{text}# newer\n")).expect("a file of the test");
    let new = built(&sources, "1.1", Path::new(SMALL), &work.path("out"));

    done(&mut host.rpm(&format!("-i --nodeps {}", old.display())));
    assert_eq!(
        host.calls(),
        ["daemon-reload", "enable nuage-libnetwork.service"]
    );
    assert_eq!(host.files(), [SETTINGS, PROGRAM, UNIT]);
    assert_eq!(mode(&host.path(SETTINGS)), 0o600);
    assert_eq!(mode(&host.path(PROGRAM)), 0o755);
    let same = Command::new("cmp")
        .arg(&product)
        .arg(host.path(PROGRAM))
        .status();
    assert!(same.expect("cmp can be started").success());

    let mine = format!("{text}# mine\n");
    fs::write(host.path(SETTINGS), &mine).expect("the settings");
    done(&mut host.rpm(&format!("-U --nodeps {}", new.display())));
    assert_eq!(
        host.calls(),
        [
            "daemon-reload",
            "daemon-reload",
            "try-restart nuage-libnetwork.service"
        ]
    );
    assert_eq!(
        fs::read_to_string(host.path(SETTINGS)).expect("the settings"),
        mine
    );
    assert_eq!(mode(&host.path(SETTINGS)), 0o600);
    let offered = host.path(&format!("{SETTINGS}.rpmnew"));
    let offered = fs::read_to_string(offered).expect("the new template");
    assert!(offered.ends_with("# newer\n"), "{offered}");
    assert_eq!(
        fs::read(host.path(PROGRAM)).expect("the program"),
        fs::read(SMALL).expect("busybox")
    );

    done(&mut host.rpm("-e --nodeps nuage-libnetwork"));
    assert_eq!(
        host.calls(),
        [
            "stop nuage-libnetwork.service",
            "disable nuage-libnetwork.service",
            "daemon-reload"
        ]
    );
    let kept = format!("{SETTINGS}.rpmsave");
    assert_eq!(host.files(), [format!("{SETTINGS}.rpmnew"), kept.clone()]);
    assert_eq!(
        fs::read_to_string(host.path(&kept)).expect("the settings"),
        mine
    );
}

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let work = Work::new();
    let host = Host::new(&work);
    let package = built(Path::new(SOURCES), "1", Path::new(SMALL), &work.path("out"));
    let install = format!("-i --nodeps --noscripts {}", package.display());
    done(&mut host.rpm(&install));
    let verify = || {
        let mut command = Command::new("systemd-analyze");
        command
            .arg("verify")
            .arg(format!("--root={}", host.root.display()));
        let output = run(command.arg(UNIT));
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(verify(), (Some(0), String::new()));
    let unit = fs::read_to_string(host.path(UNIT)).expect("the unit");
    for line in [
        "Description=Nuage libnetwork plugin for docker",
        "Before=docker.service",
        "ExecStart=/usr/bin/nuage-libnetwork -config /etc/default/nuage-libnetwork.yaml",
        "ExecReload=/bin/kill -USR1 $MAINPID",
        "Restart=always",
        "WantedBy=multi-user.target",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}: {unit}");
    }
    // It would find one.
    fs::write(
        host.path(UNIT),
        format!("{unit}[Service]\nRestart=never-mind\n"),
    )
    .expect("the unit");
    let (_, told) = verify();
    assert!(told.contains("never-mind"), "{told}");
}

#[test]
fn what_cannot_be_packed_is_told_with_the_cure() {
    let work = Work::new();
    let sources = Path::new(SOURCES);
    let small = Path::new(SMALL);
    for (kind, binary, version, words) in [
        ("rpm", "/bin/busybox", "0-0-1", "export version=0.0.1"),
        ("image", "/bin/busybox", "a:b", "export version=4.0R7"),
        (
            "image",
            "/bin/bash",
            "1",
            "is not a static binary; run: make build",
        ),
        (
            "plugin",
            "/no/such/file",
            "1",
            "is missing; run: make build",
        ),
        ("deb", "/bin/busybox", "1", "'deb' is no kind of package"),
    ] {
        let mut command = package(sources, kind, Path::new(binary), &work.path("out"));
        let told = refused(command.env("version", version));
        assert!(told.contains(words), "{told}");
        assert!(!work.path("out").exists(), "{kind}");
    }
    // Somebody else's folder.
    fs::create_dir(work.path("mine")).expect("a folder of the test");
    fs::write(work.path("mine/file"), "").expect("a file of the test");
    let told = refused(&mut package(sources, "plugin", small, &work.path("mine")));
    assert!(told.contains("is there and is no plugin"), "{told}");
    assert!(work.path("mine/file").exists());
    // Without a version of the environment: that of the workspace.
    done(&mut package(sources, "rpm", small, &work.path("out")));
    let name = concat!("out/nuage-libnetwork-", env!("CARGO_PKG_VERSION"), "-1.");
    assert!(
        work.path(&format!("{name}{}.rpm", std::env::consts::ARCH))
            .is_file()
    );
}

#[test]
fn the_documents_scripts_call_make() {
    let work = Work::new();
    let here = fs::canonicalize(work.path(".")).expect("a folder of the test");
    let image = format!("image {} {}/nuage-plugin.tar", release(), here.display());
    let rpm = format!("rpm {} rpmbuild", release());
    for (script, words) in [("buildRPM.sh", rpm), ("create-docker-image.sh", image)] {
        let mut command = Command::new(format!("{SOURCES}/scripts/{script}"));
        // What would be done is told, and not done.
        command.current_dir(&here).env("MAKEFLAGS", "n");
        let told = done(&mut command);
        let line = format!("scripts/make-nuage-package {words}");
        assert!(told.lines().any(|found| found == line), "{line}: {told}");
        assert!(told.contains("--release --package fairlead"), "{told}");
    }
}

/// The binary that `make build` makes, as the Makefile names it.
#[track_caller]
fn release() -> String {
    let line = ["-n", "--no-print-directory", "-C", SOURCES, "build"];
    let told = done(Command::new("make").args(line));
    let last = told.lines().last().unwrap_or_default();
    last.trim_start_matches("ls -l ").to_owned()
}
