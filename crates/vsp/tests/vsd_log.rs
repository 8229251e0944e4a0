//! What the client of the VSD logs. A test of its own process, since the log is the process's.

#[path = "vsd/server.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod server;

use fairlead_vsp::vsd::{NewContainer, Secret, Vsd, VsdSettings};
use server::{Server, answer, is_login, me};
use std::io;
use std::sync::{Arc, Mutex};
use tracing_subscriber::filter::LevelFilter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All that is logged from now on.
fn logged() -> Log {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
}

#[tokio::test]
async fn no_log_has_a_password_a_key_or_a_header() {
    let log = logged();
    let server = Server::start(|seen| async move {
        let body = r#"[{"ID":"e","name":"x"}]"#;
        Some(match seen.method.as_str() {
            _ if is_login(&seen) => me("k3y-of-a-day", "null"),
            "GET" => answer(200, "", body),
            _ => answer(503, "", ""),
        })
    })
    .await;
    let password = Secret::new("swordfish");
    let mut settings = VsdSettings::new(server.url.parse().unwrap(), "csproot", password, "csp");
    settings.retries.attempts = 2;
    let vsd = Vsd::new(settings).unwrap();
    vsd.enterprise("x").await.unwrap();
    let new = NewContainer {
        uuid: "b0dy".to_owned(),
        name: "b0dy-name".to_owned(),
        interfaces: Vec::new(),
        external_id: "host-1".to_owned(),
    };
    assert!(
        vsd.create_container(&new)
            .await
            .unwrap_err()
            .is_unreachable()
    );

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for told in [
        "path=\"/enterprises\"",
        "status=200",
        "method=POST",
        "status=503",
        "took=",
    ] {
        assert!(log.contains(told), "{told} is not in {log}");
    }
    // In the open, and as they are sent: csproot:swordfish, csproot:k3y-of-a-day.
    let hidden = [
        "swordfish",
        "k3y-of",
        "Y3Nwcm9vdDpzd29yZGZpc2g",
        "Y3Nwcm9vdDprM3kt",
        "XREST",
    ];
    for never in hidden.into_iter().chain(["b0dy-name", "X-Nuage"]) {
        assert!(!log.contains(never), "{never} is in {log}");
    }
    let sent = server.seen();
    assert_eq!(
        sent[0].header("Authorization"),
        Some("XREST Y3Nwcm9vdDpzd29yZGZpc2g=")
    );
    assert_eq!(
        sent[1].header("Authorization"),
        Some("XREST Y3Nwcm9vdDprM3ktb2YtYS1kYXk=")
    );
}
