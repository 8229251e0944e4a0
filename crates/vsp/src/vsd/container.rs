//! Containers and their interfaces: to make one is to get an address.

use super::Vsd;
use super::answer::{nonsense, read};
use super::call::Call;
use super::error::VsdError;
use super::ids::{ContainerId, InterfaceId};
use super::make::Making;
use super::request::Request;
use super::resource::{Container, Interface, NewContainer, NewInterface, Rename};
use serde_json::{Value, json};

/// Whether an interface is the one that was asked for.
fn is_same(interface: &Interface, new: &NewInterface) -> bool {
    interface.mac == Some(new.mac)
        && new
            .address
            .is_none_or(|address| interface.address == Some(address))
}

/// An interface that is good for something has an address with its netmask.
fn usable(call: &Call, interface: &Interface) -> Result<(), VsdError> {
    interface
        .network()
        .map(drop)
        .map_err(|lacks| nonsense(&call.at, lacks.to_string()))
}

impl Making for NewContainer {
    type Made = Container;

    fn read(&self, call: &Call, object: Value) -> Result<Container, VsdError> {
        let container: Container = read(&call.at, object)?;
        for new in &self.interfaces {
            let interface = container.interfaces.iter().find(|one| is_same(one, new));
            let interface = interface.ok_or_else(|| {
                nonsense(
                    &call.at,
                    format!("interface {} is not in it as asked for", new.name),
                )
            })?;
            usable(call, interface)?;
        }
        Ok(container)
    }

    async fn found(&self, call: &Call) -> Result<Option<Container>, VsdError> {
        let found = by_uuid(call, &self.uuid).await?;
        let ours = |container: &Container| {
            let has = |new| container.interfaces.iter().any(|one| is_same(one, new));
            container.external_id == self.external_id && self.interfaces.iter().all(has)
        };
        let Some(container) = found.filter(ours) else {
            return Ok(None);
        };
        container
            .interfaces
            .iter()
            .try_for_each(|interface| usable(call, interface))?;
        Ok(Some(container))
    }
}

/// An interface of a container that is there.
struct Further<'a> {
    of: &'a ContainerId,
    new: &'a NewInterface,
}

impl Making for Further<'_> {
    type Made = Interface;

    fn read(&self, call: &Call, object: Value) -> Result<Interface, VsdError> {
        let interface: Interface = read(&call.at, object)?;
        if !is_same(&interface, self.new) {
            return Err(nonsense(
                &call.at,
                "the interface is not as asked for".to_owned(),
            ));
        }
        usable(call, &interface)?;
        Ok(interface)
    }

    async fn found(&self, call: &Call) -> Result<Option<Interface>, VsdError> {
        let container = by_id(call, self.of).await?;
        let interfaces = container
            .map(|container| container.interfaces)
            .unwrap_or_default();
        let found = interfaces.into_iter().find(|one| is_same(one, self.new));
        found
            .map(|interface| usable(call, &interface).map(|()| interface))
            .transpose()
    }
}

async fn by_uuid(call: &Call, uuid: &str) -> Result<Option<Container>, VsdError> {
    let filter = call.filter("UUID", uuid)?;
    let mut found: Vec<Container> = call.list("/containers", Some(&filter)).await?;
    found.retain(|container| container.uuid == uuid);
    Ok(found.pop())
}

async fn by_id(call: &Call, id: &ContainerId) -> Result<Option<Container>, VsdError> {
    let reply = call
        .exchange(&Request::get(format!("/containers/{id}")))
        .await?;
    if reply.status == 404 {
        return Ok(None);
    }
    let object = reply.done(&call.at)?.one(&call.at)?;
    read(&call.at, object).map(Some)
}

impl Vsd {
    /// All containers with that mark of a host.
    ///
    /// # Errors
    /// The VSD cannot be had, or the list cannot be read to its end: never a part of it is given.
    pub async fn containers(&self, external_id: &str) -> Result<Vec<Container>, VsdError> {
        let call = Call::new(self, "list containers of", external_id);
        let filter = call.filter("externalID", external_id)?;
        let mut found: Vec<Container> = call.list("/containers", Some(&filter)).await?;
        found.retain(|container| container.external_id == external_id);
        Ok(found)
    }

    /// The container of that id.
    ///
    /// # Errors
    /// The VSD cannot be had.
    pub async fn container(&self, id: &ContainerId) -> Result<Option<Container>, VsdError> {
        by_id(&Call::new(self, "read container", id.as_str()), id).await
    }

    /// The container of that UUID.
    ///
    /// # Errors
    /// The VSD cannot be had.
    pub async fn container_by_uuid(&self, uuid: &str) -> Result<Option<Container>, VsdError> {
        by_uuid(&Call::new(self, "find container", uuid), uuid).await
    }

    /// Makes a container. Each of its interfaces has an address then. One that is there with the same
    /// UUID, mark, MACs and addresses is taken for the one wanted: its answer was lost before.
    ///
    /// # Errors
    /// [`VsdError::Refused`]: see [`VsdError::is_taken`], [`VsdError::is_full`] and
    /// [`VsdError::code`]. [`VsdError::Gone`]: there is no such subnet. Where the answer makes no sense
    /// or was lost a container may be there, to be found by its UUID.
    pub async fn create_container(&self, new: &NewContainer) -> Result<Container, VsdError> {
        let call = Call::new(self, "create container", &new.uuid);
        let mut body = serde_json::to_value(new)
            .map_err(|error| nonsense(&call.at, format!("our own object: {error}")))?;
        // The original plugin always says so.
        body["computeProvisioned"] = Value::Bool(false);
        call.make(
            &Request::post("/containers".to_owned(), &body, &call.at)?,
            new,
        )
        .await
    }

    /// Gives a container its true UUID and name. All else stays as the VSD has it, but for
    /// `resyncInfo`, which it does not take back.
    ///
    /// # Errors
    /// [`VsdError::Gone`]: there is no such container. [`VsdError::Refused`] with
    /// [`Code::UuidInUse`](super::Code::UuidInUse): another one has the UUID.
    pub async fn rename_container(&self, id: &ContainerId, to: &Rename) -> Result<(), VsdError> {
        let call = Call::new(self, "rename container", id.as_str());
        let path = format!("/containers/{id}");
        let reply = call
            .exchange(&Request::get(path.clone()))
            .await?
            .done(&call.at)?;
        let mut object = reply.one(&call.at)?;
        let Value::Object(fields) = &mut object else {
            return Err(nonsense(&call.at, "the container is no object".to_owned()));
        };
        fields.remove("resyncInfo");
        fields.insert("UUID".to_owned(), json!(to.uuid));
        fields.insert("name".to_owned(), json!(to.name));
        if let Some(orchestration) = &to.orchestration_id {
            fields.insert("orchestrationID".to_owned(), json!(orchestration));
        }
        call.put(&Request::put(path, &object, &call.at)?).await
    }

    /// Takes a container away, with its virtual ports; one that is not there is no error.
    ///
    /// # Errors
    /// The VSD cannot be had, or refuses.
    pub async fn delete_container(&self, id: &ContainerId) -> Result<(), VsdError> {
        let call = Call::new(self, "delete container", id.as_str());
        call.delete(format!("/containers/{id}")).await
    }

    /// Gives a container one more interface. One with the same MAC is taken for the one wanted.
    ///
    /// # Errors
    /// As of [`Self::create_container`].
    pub async fn add_interface(
        &self,
        of: &ContainerId,
        new: &NewInterface,
    ) -> Result<Interface, VsdError> {
        let call = Call::new(self, "add an interface to container", of.as_str());
        let path = format!("/containers/{of}/containerinterfaces");
        call.make(&Request::post(path, new, &call.at)?, &Further { of, new })
            .await
    }

    /// Takes an interface away; one that is not there is no error.
    ///
    /// # Errors
    /// The VSD cannot be had, or refuses.
    pub async fn delete_interface(&self, id: &InterfaceId) -> Result<(), VsdError> {
        let call = Call::new(self, "delete interface", id.as_str());
        call.delete(format!("/containerinterfaces/{id}")).await
    }
}
