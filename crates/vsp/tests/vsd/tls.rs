//! Whose certificate is believed.

use crate::settings;
use fairlead_vsd_simulator::{Options, Protection, Simulator};
use fairlead_vsp::vsd::{Transport, Vsd, VsdError};
use std::path::PathBuf;

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused_and_the_cure_named() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let mut tls = settings(simulator.url());
    tls.ca = Some(write(&folder, "other.pem", &other.cert.pem()));
    let vsd = Vsd::new(tls.clone()).unwrap();
    let error = vsd.login().await.unwrap_err();
    assert!(
        matches!(
            error,
            VsdError::Unreachable {
                cause: Transport::Certificate(_),
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("vsdcafile") && text.contains("vsdinsecure"),
        "{text}"
    );
    assert!(!error.is_unreachable());
    assert!(simulator.requests().is_empty());

    tls.ca = Some(write(&folder, "ca.pem", simulator.ca_pem().unwrap()));
    vsd.change(tls.clone()).unwrap();
    assert_eq!(vsd.login().await.unwrap().user, "csproot");
    // The right CA, but not for this name.
    let by_name = simulator.url().replace("127.0.0.1", "127.0.0.2");
    tls.url = by_name.parse().unwrap();
    assert!(vsd.change(tls).is_ok());
    assert!(vsd.login().await.is_err());
}

#[tokio::test]
async fn without_a_check_anything_is_believed() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let mut tls = settings(simulator.url());
    tls.insecure = true;
    assert_eq!(
        Vsd::new(tls).unwrap().login().await.unwrap().user,
        "csproot"
    );
}

#[tokio::test]
async fn a_certificate_that_the_vsd_signed_itself_is_believed_if_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    // As those of appliances are: for another name, and a CA that is used as a server.
    let mut params = rcgen::CertificateParams::new(vec!["vsd.example".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let own = params.self_signed(&key).unwrap();
    let cert = write(&folder, "cert.pem", &own.pem());
    let key = write(&folder, "key.pem", &key.serialize_pem());
    let protection = Protection::Files {
        cert: cert.clone(),
        key,
    };
    let simulator = Simulator::start(Options {
        protection,
        ..Options::default()
    })
    .await
    .unwrap();
    let mut tls = settings(simulator.url());
    tls.ca = Some(cert);
    assert_eq!(
        Vsd::new(tls).unwrap().login().await.unwrap().user,
        "csproot"
    );
}

#[tokio::test]
async fn files_without_certificates_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut tls = settings("https://127.0.0.1:1");
    for (path, why) in [
        (folder.path().join("none.pem"), "none.pem"),
        (write(&folder, "empty.pem", "hello"), "no certificate"),
        (
            write(
                &folder,
                "bad.pem",
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            ),
            "bad.pem",
        ),
    ] {
        tls.ca = Some(path);
        let error = Vsd::new(tls.clone()).unwrap_err();
        assert!(
            matches!(
                error,
                VsdError::Setting {
                    key: "vsdcafile",
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains(why), "{error}");
    }
}
