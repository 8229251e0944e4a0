//! Attach: a checked plan, then the chain of the network's plugins.

use crate::list::Attachment;
use crate::{AttachError, AttachRequest, Node};
use fairlead_cni::ConfList;
use fairlead_cni::runtime::AttachmentParams;
use fairlead_kernel::NetNs;
use fairlead_store::AttachmentState;
use fairlead_types::Owner;
use serde_json::{Map, Value, json};

impl Node {
    /// Puts a container on a network, or leaves nothing behind.
    ///
    /// # Errors
    /// [`AttachError`] names what is in the way.
    pub fn attach(&self, request: &AttachRequest) -> Result<Attachment, AttachError> {
        let list = fairlead_networks::find(&self.config, &request.network)?;
        let params = plan(&list, request)?;
        let owner = params.owner(&list.name);
        self.clear_abandoned(&owner)?;
        let cache = self.cache(request.object.as_ref());
        match self.runtime(&cache).add_list(&list, &params) {
            Ok(_) => {}
            Err(fairlead_cni::runtime::RuntimeError::AlreadyAttached { owner }) => {
                return Err(AttachError::AlreadyAttached {
                    owner: Box::new(owner),
                });
            }
            Err(error) => return Err(error.into()),
        }
        self.attachment(&owner)
    }

    /// An earlier attach or detach of `owner` that ended half-way is finished first, so
    /// that a person need not call `gc` between two tries.
    fn clear_abandoned(&self, owner: &Owner) -> Result<(), AttachError> {
        let record = self.host().store(|store| store.view().attachment(owner))?;
        let Some(record) = record else { return Ok(()) };
        match (
            record.state,
            record.actor.filter(fairlead_store::Actor::is_live),
        ) {
            (_, Some(actor)) => Err(AttachError::Busy {
                operation: "attach",
                owner: Box::new(owner.clone()),
                pid: actor.pid,
            }),
            (AttachmentState::Ready, None) if record.netns.is_some_and(|ns| ns.is_live()) => {
                Err(AttachError::AlreadyAttached {
                    owner: Box::new(owner.clone()),
                })
            }
            _ => {
                let cache = self.cache(None);
                Ok(self.runtime(&cache).del_recorded(owner)?)
            }
        }
    }
}

/// Everything that can be known to be wrong before anything is done.
fn plan(list: &ConfList, request: &AttachRequest) -> Result<AttachmentParams, AttachError> {
    let path = request.sandbox.path();
    let mut params = AttachmentParams::new(
        request.container.clone(),
        request.ifname.clone(),
        Some(path.clone()),
    );
    NetNs::open(&path).map_err(|source| AttachError::Sandbox {
        owner: Box::new(params.owner(&list.name)),
        path,
        source: Box::new(source),
    })?;
    params.capability_args = capability_args(list, request)?;
    Ok(params)
}

fn capability_args(
    list: &ConfList,
    request: &AttachRequest,
) -> Result<Map<String, Value>, AttachError> {
    let ips: Vec<String> = request.ips.iter().map(ToString::to_string).collect();
    let asked = [
        (!ips.is_empty(), "--ip", "ips", json!(ips)),
        (request.mac.is_some(), "--mac", "mac", json!(request.mac)),
        (
            !request.publish.is_empty(),
            "--publish",
            "portMappings",
            json!(request.publish),
        ),
    ];
    let known = list.capabilities();
    let mut args = Map::new();
    for (_, wanted, capability, value) in asked.into_iter().filter(|(asked, ..)| *asked) {
        if !known.iter().any(|name| name == capability) {
            return Err(AttachError::NoCapability {
                network: list.name.clone(),
                wanted,
                capability,
            });
        }
        args.insert(capability.to_owned(), value);
    }
    Ok(args)
}
