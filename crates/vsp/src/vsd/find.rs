//! Objects by their names: the VSD filters, and we compare once more, since its `==` may not heed
//! case, and a simpler one may not filter at all.

use super::Vsd;
use super::call::Call;
use super::error::{Kind, VsdError};
use super::filter::Filter;
use super::ids::{DomainId, EnterpriseId, ZoneId};
use super::resource::{Domain, Enterprise, PolicyGroup, Subnet, Zone};
use serde::de::DeserializeOwned;

trait Named: DeserializeOwned {
    const KIND: Kind;
    const OPERATION: &'static str;
    fn name(&self) -> &str;
}

macro_rules! named {
    ($($name:ident $operation:literal)*) => {$(
        impl Named for $name {
            const KIND: Kind = Kind::$name;
            const OPERATION: &'static str = $operation;
            fn name(&self) -> &str {
                &self.name
            }
        }
    )*};
}

named! {
    Enterprise "find enterprise"
    Domain "find domain"
    Zone "find zone"
    Subnet "find subnet"
    PolicyGroup "find policy group"
}

impl Vsd {
    async fn find<T: Named>(
        &self,
        path: &str,
        parent: Option<&str>,
        name: &str,
    ) -> Result<T, VsdError> {
        let call = Call::new(self, T::OPERATION, name);
        let filter = call.filter("name", name)?;
        let mut found: Vec<T> = call.list(path, Some(&filter)).await?;
        found.retain(|one| one.name() == name);
        let (kind, name, parent) = (T::KIND, name.to_owned(), parent.map(ToOwned::to_owned));
        match (found.pop(), found.len()) {
            (Some(one), 0) => Ok(one),
            (None, _) => Err(VsdError::NoSuch { kind, name, parent }),
            (_, more) => Err(VsdError::Several {
                kind,
                name,
                parent,
                count: more + 1,
            }),
        }
    }

    /// The enterprise of that name.
    ///
    /// # Errors
    /// [`VsdError::NoSuch`] and [`VsdError::Several`]; otherwise the VSD cannot be had.
    pub async fn enterprise(&self, name: &str) -> Result<Enterprise, VsdError> {
        self.find("/enterprises", None, name).await
    }

    /// The layer-3 domain of that name.
    ///
    /// # Errors
    /// As of [`Self::enterprise`].
    pub async fn domain(&self, of: &EnterpriseId, name: &str) -> Result<Domain, VsdError> {
        self.find(
            &format!("/enterprises/{of}/domains"),
            Some(of.as_str()),
            name,
        )
        .await
    }

    /// The zone of that name.
    ///
    /// # Errors
    /// As of [`Self::enterprise`].
    pub async fn zone(&self, of: &DomainId, name: &str) -> Result<Zone, VsdError> {
        self.find(&format!("/domains/{of}/zones"), Some(of.as_str()), name)
            .await
    }

    /// The subnet of that name in a zone.
    ///
    /// # Errors
    /// As of [`Self::enterprise`].
    pub async fn subnet(&self, of: &ZoneId, name: &str) -> Result<Subnet, VsdError> {
        self.find(&format!("/zones/{of}/subnets"), Some(of.as_str()), name)
            .await
    }

    /// The subnet of that name in whichever zone of a domain.
    ///
    /// # Errors
    /// As of [`Self::enterprise`]; two zones may each have one.
    pub async fn subnet_of_domain(&self, of: &DomainId, name: &str) -> Result<Subnet, VsdError> {
        self.find(&format!("/domains/{of}/subnets"), Some(of.as_str()), name)
            .await
    }

    /// The policy group of that name.
    ///
    /// # Errors
    /// As of [`Self::enterprise`].
    pub async fn policy_group(&self, of: &DomainId, name: &str) -> Result<PolicyGroup, VsdError> {
        self.find(
            &format!("/domains/{of}/policygroups"),
            Some(of.as_str()),
            name,
        )
        .await
    }
}

impl Call {
    /// A filter for this call.
    pub(super) fn filter(&self, attribute: &str, value: &str) -> Result<Filter, VsdError> {
        Filter::equals(attribute, value).map_err(|cause| VsdError::Name {
            at: self.at.clone(),
            cause,
        })
    }
}
