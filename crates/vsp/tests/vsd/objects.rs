//! What is found, made, changed and taken away.

use crate::{Lab, new_container, new_interface};
use fairlead_vsd_simulator::{Kind, Strictness};
use fairlead_vsp::vsd::{Code, Rename, VsdError};
use serde_json::json;

#[tokio::test]
async fn names_of_any_letters_are_found() {
    let lab = Lab::new().await;
    let names = [
        r#"a "quoted" one"#,
        r"back\slash\",
        r#"\""#,
        "$(reboot); `id` & 'x' | > <",
        "Zürich 東京 \u{1f433}",
        "x\" or name != \"",
        "--",
    ];
    for name in names {
        lab.simulator
            .seed(&json!({name: {name: {name: {name: {"address": "10.1.0.0",
            "netmask": "255.255.255.0", "gateway": "10.1.0.1"}}}}}))
            .unwrap();
    }
    for name in names {
        let enterprise = lab.vsd.enterprise(name).await.unwrap();
        let domain = lab.vsd.domain(&enterprise.id, name).await.unwrap();
        let zone = lab.vsd.zone(&domain.id, name).await.unwrap();
        let subnet = lab.vsd.subnet(&zone.id, name).await.unwrap();
        assert_eq!(
            (subnet.name.as_str(), subnet.zone.as_ref()),
            (name, Some(&zone.id))
        );
        assert_eq!(subnet.network().unwrap().to_string(), "10.1.0.0/24");
        assert_eq!(subnet.gateway, Some("10.1.0.1".parse().unwrap()));
        assert_eq!(
            lab.vsd.subnet_of_domain(&domain.id, name).await.unwrap(),
            subnet
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let lab = Lab::new().await;
    let error = lab
        .vsd
        .enterprise("Ent\" or name == \"Ent")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no enterprises found with name Ent\" or name == \"Ent"
    );
    let error = lab
        .vsd
        .subnet_of_domain(&lab.domain.id, "none")
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no subnets found with name none"),
        "{error}"
    );
    assert!(
        error.to_string().contains(lab.domain.id.as_str()),
        "{error}"
    );
    assert!(error.is_gone() && !error.is_unreachable());
    let before = lab.simulator.requests().len();
    let error = lab
        .vsd
        .enterprise("a\r\nX-Nuage-Organization: other")
        .await
        .unwrap_err();
    assert!(matches!(error, VsdError::Name { .. }), "{error}");
    assert_eq!(lab.simulator.requests().len(), before);
    let nowhere = "6f8a0a2c-5c53-4c5f-9d4c-0d3b7f8d1a11".parse().unwrap();
    let error = lab.vsd.zone(&nowhere, "z").await.unwrap_err();
    assert!(matches!(error, VsdError::Gone { .. }), "{error}");
}

#[tokio::test]
async fn two_subnets_of_one_name_are_told_apart_by_their_zones() {
    let lab = Lab::new().await;
    let second = json!({"Ent": {"Dom": {"Other": {"Subnet 2": {"address": "10.22.0.0",
        "netmask": "255.255.255.0", "gateway": "10.22.0.1"}}}}});
    lab.simulator.seed(&second).unwrap();
    let error = lab
        .vsd
        .subnet_of_domain(&lab.domain.id, "Subnet 2")
        .await
        .unwrap_err();
    assert!(
        matches!(error, VsdError::Several { count: 2, .. }),
        "{error}"
    );
    let zone = lab.vsd.zone(&lab.domain.id, "Other").await.unwrap();
    let subnet = lab.vsd.subnet(&zone.id, "Subnet 2").await.unwrap();
    assert_eq!(subnet.network().unwrap().to_string(), "10.22.0.0/24");
}

#[tokio::test]
async fn a_container_from_its_making_to_its_end() {
    let lab = Lab::new().await;
    let new = lab.new_container(1);
    let made = lab.vsd.create_container(&new).await.unwrap();
    let interface = &made.interfaces[0];
    assert_eq!(interface.network().unwrap().prefix_len(), 16);
    assert_eq!(
        (interface.mac, interface.name.as_str()),
        (Some(new.interfaces[0].mac), "nln1-1")
    );
    assert_eq!(
        (
            interface.network_name.as_str(),
            interface.domain_name.as_str()
        ),
        ("Subnet 2", "Dom")
    );
    assert_eq!(
        (made.enterprise_name.as_str(), made.external_id.as_str()),
        ("Ent", "host-1")
    );
    assert!(interface.vport.is_some());
    assert_eq!(
        lab.vsd.container(&made.id).await.unwrap(),
        Some(made.clone())
    );

    let uuid = format!("{:064x}", 0xabc);
    let task = Some("task-42".to_owned());
    let to = Rename {
        uuid: uuid.clone(),
        name: "web1".to_owned(),
        orchestration_id: task,
    };
    lab.vsd.rename_container(&made.id, &to).await.unwrap();
    let renamed = lab.vsd.container_by_uuid(&uuid).await.unwrap().unwrap();
    assert_eq!(
        (renamed.id.clone(), renamed.name.as_str()),
        (made.id.clone(), "web1")
    );
    assert_eq!(
        (renamed.orchestration_id.as_str(), &renamed.interfaces),
        ("task-42", &made.interfaces)
    );
    assert_eq!(lab.vsd.container_by_uuid(&new.uuid).await.unwrap(), None);

    lab.vsd.delete_container(&made.id).await.unwrap();
    lab.vsd.delete_container(&made.id).await.unwrap();
    assert_eq!(lab.vsd.container(&made.id).await.unwrap(), None);
    assert_eq!((lab.count(Kind::Container), lab.count(Kind::VPort)), (0, 0));
    assert!(
        lab.vsd
            .rename_container(&made.id, &to)
            .await
            .unwrap_err()
            .is_gone()
    );
}

#[tokio::test]
async fn addresses_in_use_outside_and_none_left_are_told_apart() {
    let lab = Lab::new().await;
    let at = |number, address: &str| {
        let mut new = lab.new_container(number);
        new.interfaces[0].address = Some(address.parse().unwrap());
        new
    };
    let made = lab.vsd.create_container(&at(1, "10.21.7.7")).await.unwrap();
    assert_eq!(
        made.interfaces[0].network().unwrap().to_string(),
        "10.21.7.7/16"
    );
    let error = lab
        .vsd
        .create_container(&at(2, "10.21.7.7"))
        .await
        .unwrap_err();
    assert!(
        error.is_taken() && error.code() == Some(Code::AddressInUse),
        "{error}"
    );
    let error = lab
        .vsd
        .create_container(&at(3, "192.0.2.1"))
        .await
        .unwrap_err();
    assert!(
        !error.is_taken() && error.code() == Some(Code::AddressOutside),
        "{error}"
    );

    let small = lab
        .vsd
        .subnet_of_domain(&lab.domain.id, "small")
        .await
        .unwrap();
    lab.vsd
        .create_container(&new_container(4, &small.id))
        .await
        .unwrap();
    let error = lab
        .vsd
        .create_container(&new_container(5, &small.id))
        .await
        .unwrap_err();
    assert!(
        error.is_full() && !error.is_taken() && !error.is_unreachable(),
        "{error}"
    );
    let nowhere = "6f8a0a2c-5c53-4c5f-9d4c-0d3b7f8d1a11".parse().unwrap();
    assert!(
        lab.vsd
            .create_container(&new_container(6, &nowhere))
            .await
            .unwrap_err()
            .is_gone()
    );
}

#[tokio::test]
async fn a_uuid_of_another_is_not_taken_over() {
    let lab = Lab::new().await;
    let mut new = lab.new_container(1);
    let made = lab.vsd.create_container(&new).await.unwrap();
    // The same again is the answer that was lost.
    assert_eq!(lab.vsd.create_container(&new).await.unwrap(), made);
    new.external_id = "host-2".to_owned();
    let error = lab.vsd.create_container(&new).await.unwrap_err();
    assert!(
        error.is_taken() && error.code() == Some(Code::UuidInUse),
        "{error}"
    );
    let mut new = lab.new_container(1);
    new.interfaces[0].mac.0[5] += 1;
    assert_eq!(
        lab.vsd.create_container(&new).await.unwrap_err().code(),
        Some(Code::UuidInUse)
    );

    let other = lab
        .vsd
        .create_container(&lab.new_container(2))
        .await
        .unwrap();
    let to = Rename {
        uuid: made.uuid,
        name: "x".to_owned(),
        orchestration_id: None,
    };
    let error = lab.vsd.rename_container(&other.id, &to).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::UuidInUse), "{error}");
    assert_eq!(lab.count(Kind::Container), 2);
}

#[tokio::test]
async fn nothing_to_change_is_changed() {
    let lab = Lab::new().await;
    lab.simulator.set_strictness(Strictness {
        refuse_unchanged: true,
        ..Strictness::default()
    });
    let made = lab
        .vsd
        .create_container(&lab.new_container(1))
        .await
        .unwrap();
    let to = Rename {
        uuid: made.uuid,
        name: "web".to_owned(),
        orchestration_id: None,
    };
    for _ in 0..2 {
        lab.vsd.rename_container(&made.id, &to).await.unwrap();
    }
    let puts = lab.requests("PUT", &format!("/containers/{}", made.id));
    let statuses: Vec<_> = puts
        .iter()
        .map(|put| put["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [204, 409]);
}

#[tokio::test]
async fn one_container_on_two_networks() {
    let lab = Lab::new().await;
    let small = lab
        .vsd
        .subnet_of_domain(&lab.domain.id, "small")
        .await
        .unwrap();
    let made = lab
        .vsd
        .create_container(&lab.new_container(1))
        .await
        .unwrap();
    let new = new_interface(2, &small.id);
    let added = lab.vsd.add_interface(&made.id, &new).await.unwrap();
    assert_eq!(added.network().unwrap().prefix_len(), 30);
    let both = lab
        .vsd
        .container(&made.id)
        .await
        .unwrap()
        .unwrap()
        .interfaces;
    assert_eq!(both.len(), 2);
    let id = added.id.unwrap();
    lab.vsd.delete_interface(&id).await.unwrap();
    lab.vsd.delete_interface(&id).await.unwrap();
    let left = lab
        .vsd
        .container(&made.id)
        .await
        .unwrap()
        .unwrap()
        .interfaces;
    assert_eq!(left, made.interfaces);
}

#[tokio::test]
async fn policy_groups_are_a_port_s_own() {
    let lab = Lab::new().await;
    let made = lab
        .vsd
        .create_container(&lab.new_container(1))
        .await
        .unwrap();
    let vport = made.interfaces[0].vport.clone().unwrap();
    let web = lab.vsd.policy_group(&lab.domain.id, "web").await.unwrap();
    let db = lab.vsd.policy_group(&lab.domain.id, "db").await.unwrap();
    let of_port = || lab.simulator.state(Kind::VPort)[0]["policyGroupIDs"].clone();
    lab.vsd
        .assign_policy_groups(&vport, &[web.id.clone(), db.id.clone()])
        .await
        .unwrap();
    assert_eq!(of_port().as_array().unwrap().len(), 2);
    lab.vsd
        .assign_policy_groups(&vport, std::slice::from_ref(&db.id))
        .await
        .unwrap();
    assert_eq!(of_port(), json!([db.id]));
    let error = lab
        .vsd
        .policy_group(&lab.domain.id, "none")
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no policy groups found with name none"),
        "{error}"
    );
    let nowhere = "6f8a0a2c-5c53-4c5f-9d4c-0d3b7f8d1a11".parse().unwrap();
    assert!(
        lab.vsd
            .assign_policy_groups(&nowhere, &[web.id])
            .await
            .unwrap_err()
            .is_gone()
    );
}

#[tokio::test]
async fn an_address_that_is_kept_is_given_to_nobody() {
    let lab = Lab::new().await;
    let (subnet, address) = (&lab.subnet.id, "10.21.0.9".parse().unwrap());
    let mac = "7a:42:00:00:00:09".parse().unwrap();
    let kept = lab.vsd.reserve(subnet, address, mac).await.unwrap();
    assert_eq!(
        lab.vsd.reserve(subnet, address, mac).await.unwrap().id,
        kept.id
    );
    assert_eq!(
        lab.vsd.reservation(subnet, address).await.unwrap(),
        Some(kept.clone())
    );
    let other = "7a:42:00:00:00:0a".parse().unwrap();
    let error = lab.vsd.reserve(subnet, address, other).await.unwrap_err();
    assert!(error.is_taken(), "{error}");
    let mut new = lab.new_container(1);
    new.interfaces[0].address = Some(address);
    assert!(lab.vsd.create_container(&new).await.unwrap_err().is_taken());
    lab.vsd.release_reservation(&kept.id).await.unwrap();
    lab.vsd.release_reservation(&kept.id).await.unwrap();
    assert_eq!(lab.vsd.reservation(subnet, address).await.unwrap(), None);
    lab.vsd.create_container(&new).await.unwrap();
}

#[tokio::test]
async fn lists_of_any_length_are_read_to_their_end() {
    for length in [0_u16, 1, 49, 50, 55, 100, 120] {
        let lab = Lab::new().await;
        for number in 1..=length {
            lab.vsd
                .create_container(&lab.new_container(number))
                .await
                .unwrap();
        }
        let mut foreign = lab.new_container(4000);
        foreign.external_id = "host-10".to_owned();
        lab.vsd.create_container(&foreign).await.unwrap();
        let found = lab.vsd.containers("host-1").await.unwrap();
        assert_eq!(found.len(), usize::from(length));
        assert!(found.iter().all(|one| one.external_id == "host-1"));
        let pages = lab.requests("GET", "/containers");
        assert_eq!(pages.len(), usize::from(length) / 50 + 1, "{length}");
        assert!(
            pages
                .iter()
                .all(|page| page["filter"] == "externalID == \"host-1\"")
        );
    }
}
