use super::*;

const OLD: &str = r#"VrsEndpoint = "localhost"
VrsPort = 6633
VrsBridge = "alubr0"
DockerEndpoint = "unix:///var/run/docker.sock"
LogLevel = "Info" // Debug for more info
Scope = "global"  // global for MH or local for Single Host
"#;

/// As the image's samples have it, with a host.
const IMAGE: &str = r#"vrsendpoint:    "/var/run/openvswitch/db.sock"
dockerdndpoint: "unix:///var/run/docker.sock"
vrsbridge:      "alubr0"
loglevel:       "Warn"
scope:          "global"
numofretries:   5
timeinterval:   100
username: Y3Nwcm9vdA==
password: Y3Nwcm9vdA==
organization: Y3Nw
url: https://127.0.0.1:8443
"#;

pub(super) const LEAST: &str = "url: https://vsd.example:8443\npassword: c2VzYW1lLW9wZW4=\n";

pub(super) fn yaml(text: &str) -> Result<(Settings, Vec<Warning>), SettingsError> {
    Settings::parse(Path::new("/etc/default/nuage-libnetwork.yaml"), text)
}

pub(super) fn old(text: &str) -> Result<(Settings, Vec<Warning>), SettingsError> {
    Settings::parse(Path::new("nuage.cfg"), text)
}

/// The least settings and a line more.
fn with(line: &str) -> (Settings, Vec<Warning>) {
    yaml(&format!("{LEAST}{line}\n")).unwrap()
}

fn fault(line: &str) -> String {
    yaml(&format!("{LEAST}{line}\n")).unwrap_err().to_string()
}

pub(super) fn told(warnings: &[Warning]) -> String {
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    warnings.join("\n")
}

#[test]
fn the_sample_of_document_002_is_read_as_it_stands() {
    let (settings, warnings) = old(OLD).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(settings.ovsdb.to_string(), "tcp:localhost:6633");
    assert_eq!(settings.docker.path(), Path::new("/var/run/docker.sock"));
    assert_eq!(settings.bridge.as_str(), "alubr0");
    assert_eq!(settings.log_level, LogLevel::Info);
    assert_eq!(settings.scope, Scope::Global);
    assert_eq!(settings.vsd, None);
    // They are the defaults of that format.
    assert_eq!(old("").unwrap().0, settings);
}

#[test]
fn the_samples_of_document_004_are_read_as_they_stand() {
    let (settings, warnings) = yaml(IMAGE).unwrap();
    assert_eq!(
        settings.ovsdb.to_string(),
        "unix:/var/run/openvswitch/db.sock"
    );
    assert_eq!(settings.docker.to_string(), "unix:///var/run/docker.sock");
    assert_eq!((settings.retries, settings.log_file_size), (5, 10));
    assert_eq!(settings.interval, Duration::from_millis(100));
    assert_eq!(settings.plugin_version, PluginVersion::V1);
    let vsd = settings.vsd.unwrap();
    assert_eq!(vsd.url.to_string(), "https://127.0.0.1:8443");
    assert_eq!(vsd.username.expose(), "csproot");
    assert_eq!(vsd.password.expose(), "csproot");
    assert_eq!(vsd.organization.expose(), "csp");
    let told = told(&warnings);
    for words in [
        "vrsendpoint is taken as vrssocketfile",
        "dockerdndpoint is taken as",
    ] {
        assert!(told.contains(words), "{told}");
    }
    // The sample with Debug has the place of the host where a host belongs.
    let sample = IMAGE
        .replace("vrsendpoint:   ", "vrssocketfile:")
        .replace("dockerdndpoint", "dockersocketfile")
        .replace("127.0.0.1", "<VSD URL>");
    let error = yaml(&sample).unwrap_err().to_string();
    assert!(
        error.contains("put the host of the VSD in its place"),
        "{error}"
    );
    yaml(&sample.replace("<VSD URL>", "vsd1")).unwrap();
}

#[test]
fn what_is_not_said_has_the_defaults() {
    let (settings, warnings) = yaml(LEAST).unwrap();
    assert_eq!(settings.log_level, LogLevel::Warn);
    assert_eq!(settings.state_dir, None);
    assert_eq!((settings.mtu, settings.gateway_from_vsd), (None, true));
    let vsd = settings.vsd.unwrap();
    assert_eq!(vsd.username.expose(), "csproot");
    assert_eq!(vsd.organization.expose(), "csp");
    assert_eq!(
        (vsd.api_version.to_string().as_str(), vsd.insecure),
        ("v6", false)
    );
    let told = told(&warnings);
    for words in [
        "username is missing: \"csproot\"",
        "organization is missing: \"csp\"",
    ] {
        assert!(told.contains(words), "{told}");
    }
    // 0 stands for the default.
    let zeros = with("logfilesize: 0\nnumofretries: 0\ntimeinterval: 0\nport: 1").0;
    assert_eq!(zeros, yaml(LEAST).unwrap().0);
}

#[test]
fn who_can_read_or_answer_is_told() {
    let (_, warnings) = with("vsdinsecure: true");
    assert!(warnings.contains(&Warning::Unverified), "{warnings:?}");
    let (_, warnings) = yaml("url: http://vsd1:8080\npassword: Y3Nw\n").unwrap();
    assert!(warnings.contains(&Warning::Clear), "{warnings:?}");
}

#[test]
fn url_and_password_have_to_be_there() {
    let error = yaml("loglevel: Info\n").unwrap_err().to_string();
    for words in ["url is missing", "https://HOST:8443", "password is missing"] {
        assert!(error.contains(words), "{error}");
    }
    // base64 of a line break: nothing is left of it.
    let error = yaml("url: https://a\npassword: Cg==\n").unwrap_err();
    assert!(error.to_string().contains("password is missing"), "{error}");
    // The older format: all of it or nothing.
    let error = old("password = \"Y3Nw\"").unwrap_err().to_string();
    assert!(error.contains("url is missing"), "{error}");
    let (settings, _) = old("Url = \"https://a/\"\nPassword = \"Y3Nw\"").unwrap();
    assert_eq!(settings.vsd.unwrap().url.to_string(), "https://a:443");
}

#[test]
fn every_further_key_is_read() {
    let (settings, warnings) = with(
        "vsdapiversion: v5_0\nvsdcafile: /etc/pki/vsd.pem\nrequesttimeout: 7\nstatedir: /srv/n\n\
         auditinterval: 45\nmtu: 1450\nproxyuser: true\ngatewayfromvsd: false\n\
         pluginversion: v2\nscope: local\nloglevel: Debug\nusername: YQ==\norganization: Yg==\n\
         vrssocketfile: /run/ovs.sock\ndockersocketfile: /run/d.sock\nvrsbridge: br9",
    );
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(settings.state_dir.as_deref(), Some(Path::new("/srv/n")));
    assert_eq!(settings.audit_interval, Duration::from_secs(45));
    assert_eq!(settings.mtu, NonZeroU32::new(1450));
    assert!(!settings.gateway_from_vsd);
    assert_eq!(settings.plugin_version, PluginVersion::V2);
    assert_eq!(settings.ovsdb, OvsdbAddress::Unix("/run/ovs.sock".into()));
    assert_eq!(settings.docker.to_string(), "unix:///run/d.sock");
    let vsd = settings.vsd.unwrap();
    assert_eq!(vsd.api_version.to_string(), "v5_0");
    assert_eq!(vsd.ca_file.as_deref(), Some(Path::new("/etc/pki/vsd.pem")));
    assert!(!vsd.insecure);
    assert_eq!(vsd.request_timeout, Duration::from_secs(7));
    assert!(vsd.proxy_user);
}

#[test]
fn a_key_counts_more_than_its_former_names() {
    let (settings, warnings) = with("vrsendpoint: /a\nvrssocketfile: /b");
    assert_eq!(settings.ovsdb.to_string(), "unix:/b");
    assert!(told(&warnings).contains("vrsendpoint is ignored, for vrssocketfile"));
    let (settings, warnings) = with("dockerendpoint: /a\ndockerdndpoint: /b");
    assert_eq!(settings.docker.path(), Path::new("/b"));
    assert!(told(&warnings).contains("dockerendpoint is ignored"));
}

#[test]
fn unknown_keys_are_named_with_what_may_be_meant() {
    for (line, words) in [
        (
            "LogLevel: Debug",
            "LogLevel is not known and ignored; is loglevel meant?",
        ),
        (
            "logfilsize: 3",
            "logfilsize is not known and ignored; is logfilesize meant?",
        ),
        ("vrsbrigde: br1", "is vrsbridge meant?"),
        ("colour: red", "colour is not known and ignored"),
    ] {
        let told = told(&with(line).1);
        assert!(told.contains(words), "{told}");
    }
    assert!(!told(&with("colour: red").1).contains("meant"));
}

#[test]
fn broken_files_are_told_with_their_line_and_without_values() {
    let twice = format!("{LEAST}scope: local\nscope: global\n");
    for (text, line) in [
        (twice.as_str(), 4),
        ("url: https://a\npassword: \"open sesame\n", 0),
        ("url: https://a\npassword: [open, sesame]\n", 2),
        ("- open\n- sesame\n", 0),
    ] {
        let error = yaml(text).unwrap_err();
        let SettingsError::Syntax { line: found, .. } = &error else {
            panic!("{error}");
        };
        assert!(line == 0 || *found == line, "{error}");
        assert!(!error.to_string().contains("sesame"), "{error}");
    }
    for (text, line) in [
        ("# a\nScope = \"local\" // b\nVrsPort = = \"sesame\"\n", 3),
        ("Scope = \"local\"\nScope = \"sesame\"\n", 2),
        ("Password = \"open sesame\n", 1),
    ] {
        let error = old(text).unwrap_err().to_string();
        assert!(error.contains(&format!("at line {line}:")), "{error}");
        assert!(!error.contains("sesame"), "{error}");
    }
    let error = old("Scope = \"local\"\nscope = \"global\"\n").unwrap_err();
    assert!(
        error.to_string().contains("scope is there twice"),
        "{error}"
    );
    let error = old("[Scope]\na = 1\n").unwrap_err().to_string();
    assert!(error.contains("Scope is no single value"), "{error}");
}

#[test]
fn wrong_values_are_told_with_their_cure() {
    for (line, words) in [
        (
            "numofretries: many",
            "numofretries \"many\" is not a number from 1",
        ),
        ("logfilesize: -1", "logfilesize \"-1\""),
        ("vsdinsecure: maybe", "neither true nor false"),
        ("pluginversion: v3", "none of v1, v2"),
        ("vsdapiversion: ../x", "vsdapiversion"),
        ("vrsbridge: much-too-long-a-name", "vrsbridge: "),
        (
            "dockersocketfile: tcp://10.0.0.1:2375",
            "asked by that only",
        ),
        ("vrssocketfile: a/b", "database"),
        ("statedir: here", "statedir \"here\" is no absolute path"),
        ("username: '%%%'", "username is not base64"),
        ("username: /w==", "username is not base64"),
    ] {
        let error = fault(line);
        assert!(error.contains(words), "{error}");
    }
    for url in [
        "vsd1:8443",
        "https://",
        "ftp://a",
        "https://a b",
        "https://:1",
    ] {
        let text = format!("url: {url}\npassword: Y3Nw\n");
        let error = yaml(&text).unwrap_err().to_string();
        assert!(error.contains("write https://HOST:8443"), "{url}: {error}");
    }
    let error = yaml("url: https://me:sesame@a\npassword: c2VzYW1l!\n").unwrap_err();
    let error = format!("{error} {error:?}");
    assert!(error.contains("url has a user in it"), "{error}");
    assert!(error.contains("password is not base64"), "{error}");
    assert!(
        !error.contains("sesame") && !error.contains("c2Vz"),
        "{error}"
    );
}

#[test]
fn words_that_are_none_of_a_key_fall_back() {
    let (settings, warnings) = with("loglevel: debug\nscope: Local");
    assert_eq!(settings.log_level, LogLevel::Warn);
    assert_eq!(settings.scope, Scope::Global);
    let told = told(&warnings);
    assert!(
        told.contains("loglevel \"debug\" is none of Debug, Info"),
        "{told}"
    );
    assert!(
        told.contains("scope \"Local\" is none of local, global: global"),
        "{told}"
    );
    assert_eq!(old("LogLevel = \"x\"").unwrap().0.log_level, LogLevel::Info);
}

#[test]
fn addresses_of_the_database_are_read_in_every_form() {
    for (given, shown) in [
        ("/a/b.sock", "unix:/a/b.sock"),
        ("unix:/a", "unix:/a"),
        ("unix:///a", "unix:/a"),
        ("tcp:127.0.0.1:6640", "tcp:127.0.0.1:6640"),
        ("tcp:[::1]:6640", "tcp:[::1]:6640"),
        ("host", "tcp:host:6633"),
        ("host:7", "tcp:host:7"),
        ("[::1]:7", "tcp:[::1]:7"),
        ("::1", "tcp:[::1]:6633"),
    ] {
        let address = OvsdbAddress::parse(given, 6633).unwrap();
        assert_eq!(address.to_string(), shown);
        assert_eq!(OvsdbAddress::parse(shown, 1), Some(address));
    }
    for given in [
        "", "/", "unix:a", "tcp:", "tcp:a", "a:b", "a:0", "a b", "[a]:1",
    ] {
        assert_eq!(OvsdbAddress::parse(given, 6633), None, "{given}");
    }
    let (settings, _) = old("VrsEndpoint = \"10.0.0.9\"\nVrsPort = 6641").unwrap();
    assert_eq!(settings.ovsdb.to_string(), "tcp:10.0.0.9:6641");
    assert_eq!(
        with("vrsendpoint: ovs1").0.ovsdb.to_string(),
        "tcp:ovs1:6633"
    );
}

#[test]
fn a_secret_is_what_people_encode_with_echo() {
    for (given, text) in [
        ("Y3Nwcm9vdA==", "csproot"),
        ("Y3Nwcm9vdAo=", "csproot"),
        (" Y3Nwcm9vdCANCg== ", "csproot"),
        ("w7zDqQ==", "üé"),
    ] {
        assert_eq!(super::secret::decode(given).unwrap().expose(), text);
    }
}

#[test]
fn no_secret_is_shown() {
    let text = format!("{LEAST}username: dXNlci1uYW1l\norganization: b3JnLW5hbWU=\n");
    let (settings, warnings) = yaml(&text).unwrap();
    let vsd = settings.vsd.as_ref().unwrap();
    assert_eq!(vsd.password.expose(), "sesame-open");
    let shown = format!("{settings} {settings:?} {settings:#?} {warnings:?} {vsd}");
    for secret in [
        "sesame-open",
        "c2VzYW1l",
        "user-name",
        "dXNlci1u",
        "org-name",
        "b3JnLW5h",
    ] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    assert!(shown.contains("password=*** organization=***"), "{shown}");
    assert!(shown.contains("url=https://vsd.example:8443"), "{shown}");
}

#[test]
fn changes_are_for_a_reload_or_for_a_restart() {
    let (before, _) = yaml(LEAST).unwrap();
    assert!(before.changed(&before).is_empty());
    let live = "loglevel: Error\nlogfilesize: 1\nnumofretries: 2\ntimeinterval: 3\n\
                username: YQ==\norganization: YQ==";
    let changes = before.changed(&with(live).0);
    let keys = [
        "loglevel",
        "logfilesize",
        "numofretries",
        "timeinterval",
        "username",
        "organization",
    ];
    assert_eq!(
        (changes.live.as_slice(), changes.restart.len()),
        (&keys[..], 0)
    );
    let restart = "vrssocketfile: /a\nscope: local\nproxyuser: true\nstatedir: /b";
    let changes = before.changed(&with(restart).0);
    assert_eq!(
        changes.restart,
        ["vrssocketfile", "scope", "statedir", "proxyuser"]
    );
    assert!(changes.live.is_empty());
    let (none, _) = old(OLD).unwrap();
    assert!(none.changed(&before).restart.contains(&"url"));
}

#[test]
fn a_file_is_read_with_a_look_at_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nuage-libnetwork.yaml");
    let error = Settings::read(&path).unwrap_err().to_string();
    assert!(error.contains("-config FILE"), "{error}");
    std::fs::write(&path, LEAST).unwrap();
    for (mode, heard) in [(0o644, true), (0o640, true), (0o600, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let told = told(&Settings::read(&path).unwrap().1);
        assert_eq!(told.contains("chmod 0600"), heard, "{told}");
    }
    let path = folder.path().join("nuage.cfg");
    let (settings, warnings) = Settings::read(&path).unwrap();
    assert_eq!(settings, old("").unwrap().0);
    assert!(told(&warnings).contains("nuage.cfg is not there: the defaults"));
    // What is in it counts more than its name.
    std::fs::write(&path, LEAST).unwrap();
    assert!(Settings::read(&path).unwrap().0.vsd.is_some());
}

#[test]
fn comments_end_lines_outside_quotes_only() {
    for (line, kept) in [
        ("a = 1 // b\n", "a = 1 \n"),
        ("a = 1 # b", "a = 1 "),
        ("a = \"u://x\" // c", "a = \"u://x\" "),
        ("a = 'u//x#' # c", "a = 'u//x#' "),
        (r#"a = "\"//" // c"#, r#"a = "\"//" "#),
        ("// don't\nb = 1\n", "\nb = 1\n"),
        ("a = 4 / 2\n", "a = 4 / 2\n"),
    ] {
        assert_eq!(format::without_comments(line), kept);
    }
}

/// The template that is packed. Who puts a host in has nothing else to do, and every key that
/// is commented there is one.
#[test]
fn the_packed_template_has_every_key() {
    let template = include_str!("../../../../packaging/nuage/nuage-libnetwork.yaml");
    let error = yaml(template).unwrap_err().to_string();
    assert!(
        error.contains("put the host of the VSD in its place"),
        "{error}"
    );
    let template = template.replace("<VSD URL>", "vsd.example");
    let (settings, warnings) = yaml(&template).unwrap();
    assert_eq!(warnings, []);
    let mut defaults = yaml(LEAST).unwrap().0;
    let password = settings.vsd.as_ref().unwrap().password.clone();
    defaults.vsd.as_mut().unwrap().password = password;
    assert_eq!(settings, defaults);
    let all = template.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest,
        _ => line,
    });
    let all: String = all.flat_map(|line| [line, "\n"]).collect();
    let (_, warnings) = yaml(&all).unwrap();
    assert_eq!(warnings, []);
    for key in keys::KEYS {
        let head = format!("{key}:");
        assert!(all.lines().any(|line| line.starts_with(&head)), "{key}");
    }
}
