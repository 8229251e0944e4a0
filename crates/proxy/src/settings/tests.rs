use super::*;

fn load(file: &str, env: &[(&str, &str)], flags: Flags) -> Result<Settings, ProxyError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("barrel.conf");
    std::fs::write(&path, file).unwrap();
    let env = |key: &str| {
        let found = env.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::load(&Root::default(), Some(&path), &flags, &env)
}

fn faults(file: &str) -> Vec<String> {
    match load(file, &[], Flags::default()) {
        Err(ProxyError::Settings(faults)) => faults,
        other => panic!("{file}: {other:?}"),
    }
}

#[test]
fn nothing_said_is_what_the_document_says() {
    let settings = load("", &[], Flags::default()).unwrap();
    assert_eq!(settings.dockerd, Path::new("/var/run/docker.sock"));
    assert_eq!(settings.hosts, [Host::Unix("/var/run/barrel.sock".into())]);
    assert!(!settings.enable_cni);
    assert_eq!(settings.cni_config, Path::new("/etc/docker/cni.yaml"));
    assert_eq!(settings.runtime, "barrel-cni");
    assert_eq!(settings.log, "info");
    let dir = tempfile::tempdir().unwrap();
    let none = Settings::load(&Root::new(dir.path()), None, &Flags::default(), &|_| None);
    assert!(none.is_ok(), "the usual file need not be there");
}

#[test]
fn the_command_line_wins_and_then_the_environment() {
    let file = "BARREL_ENABLE_CNI=1\nBARREL_RUNTIME=of-file\nBARREL_CNI_EXCLUDE=a, b\nBARREL_BUFFER_SIZE=256\n";
    let env = [
        ("BARREL_RUNTIME", "of-env"),
        ("BARREL_LOG_LEVEL", "WARNING"),
        ("BARREL_CNI_EXCLUDE", "c"),
    ];
    let flags = Flags::default().with("BARREL_LOG_LEVEL", Some("DEBUG".to_owned()));
    let settings = load(file, &env, flags).unwrap();
    assert!(settings.enable_cni);
    assert_eq!(settings.runtime, "of-env");
    assert_eq!(settings.log, "debug");
    assert_eq!(settings.exclude, ["c".to_owned()].into());
    assert_eq!(
        settings.buffer, LEAST_BUFFER,
        "256 is too little for a head"
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let told = faults("BARREL_MODE=x\nBARREL_ENABLE_CNI=2\nBARREL_BUFFER_SIZE=-1\n");
    assert_eq!(told.len(), 3);
    for (fault, begin) in told.iter().zip([
        "BARREL_MODE=x: ",
        "BARREL_ENABLE_CNI=2: ",
        "BARREL_BUFFER_SIZE=-1: ",
    ]) {
        assert!(
            told.iter().any(|fault| fault.starts_with(begin)),
            "{begin}: {fault}"
        );
    }
}

#[test]
fn tcp_needs_certificates_of_clients_or_a_word_that_it_does_not() {
    let tls = "BARREL_TLS_CERT_FILE_PATH=/c\nBARREL_TLS_KEY_FILE_PATH=/k\n";
    let https = "BARREL_HOSTS=https://0.0.0.0:2376\n";
    assert!(faults(&format!("{https}{tls}"))[0].contains("BARREL_TLS_CA_FILE_PATH"));
    assert!(faults(https)[0].contains("BARREL_TLS_CERT_FILE_PATH"));
    assert!(faults("BARREL_HOSTS=tcp://0.0.0.0:2375\n")[0].contains("BARREL_INSECURE_TCP=1"));
    assert!(
        faults(&format!(
            "BARREL_HOSTS=http://0.0.0.0:1\n{tls}BARREL_TLS_CA_FILE_PATH=/a\n"
        ))[0]
            .contains("https://")
    );
    assert!(faults("BARREL_TLS_CERT_FILE_PATH=/c\n")[0].contains("BARREL_TLS_KEY_FILE_PATH"));
    for fine in [
        format!("{https}{tls}BARREL_TLS_CA_FILE_PATH=/a\n"),
        format!("{https}{tls}BARREL_INSECURE_TCP=1\n"),
        "BARREL_HOSTS=http://127.0.0.1:2375\nBARREL_INSECURE_TCP=1\n".to_owned(),
    ] {
        assert!(load(&fine, &[], Flags::default()).is_ok(), "{fine}");
    }
    for wrong in [
        "ftp://x",
        "unix://relative",
        "http://nowhere",
        "/run/x.sock",
    ] {
        assert!(
            !faults(&format!("BARREL_HOSTS={wrong}\nBARREL_INSECURE_TCP=1\n")).is_empty(),
            "{wrong}"
        );
    }
}

#[test]
fn hosts_are_a_list_or_what_systemd_opened() {
    let settings = load(
        "BARREL_HOSTS=unix:///a, unix:///b,unix:///a\n",
        &[],
        Flags::default(),
    );
    assert_eq!(
        settings.unwrap().hosts,
        [Host::Unix("/a".into()), Host::Unix("/b".into())]
    );
    let settings = load("", &[("LISTEN_FDS", "1")], Flags::default());
    assert_eq!(settings.unwrap().hosts, [Host::Systemd]);
}

#[test]
fn what_has_no_effect_any_more_is_noted_and_not_refused() {
    let settings = load(
        "ETCD_ENDPOINTS=http://user:secret@x:1\nBARREL_ENABLE_CNM_AGENT=true\n",
        &[],
        Flags::default(),
    );
    let notes = settings.unwrap().notes;
    assert_eq!(notes.len(), 2);
    assert!(!notes.concat().contains("secret"));
}
