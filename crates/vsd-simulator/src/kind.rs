//! The kinds of objects, and which of them are below which.

/// A kind of object that the simulator knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An organization.
    Enterprise,
    /// What domains are made from.
    DomainTemplate,
    /// A layer 3 domain.
    Domain,
    /// A part of a domain.
    Zone,
    /// A range of addresses in a zone.
    Subnet,
    /// A container.
    Container,
    /// A container's interface.
    ContainerInterface,
    /// What an interface is plugged into.
    VPort,
    /// A name for ports that rules can speak of.
    PolicyGroup,
    /// Somebody who can log in.
    User,
    /// An address kept for a MAC.
    IpReservation,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Enterprise,
        Self::DomainTemplate,
        Self::Domain,
        Self::Zone,
        Self::Subnet,
        Self::Container,
        Self::ContainerInterface,
        Self::VPort,
        Self::PolicyGroup,
        Self::User,
        Self::IpReservation,
    ];

    /// The name in `parentType` and in errors; in paths it has an `s` at its end.
    #[must_use]
    pub fn rest_name(self) -> &'static str {
        match self {
            Self::Enterprise => "enterprise",
            Self::DomainTemplate => "domaintemplate",
            Self::Domain => "domain",
            Self::Zone => "zone",
            Self::Subnet => "subnet",
            Self::Container => "container",
            Self::ContainerInterface => "containerinterface",
            Self::VPort => "vport",
            Self::PolicyGroup => "policygroup",
            Self::User => "user",
            Self::IpReservation => "ipreservation",
        }
    }

    /// The kind that a part of a path speaks of.
    #[must_use]
    pub fn of_path(part: &str) -> Option<Self> {
        let name = part.strip_suffix('s')?;
        Self::ALL.into_iter().find(|kind| kind.rest_name() == name)
    }

    /// Can objects of this kind be listed below that parent, none being the root?
    pub(crate) fn is_listed_below(self, parent: Option<Self>) -> bool {
        use Kind as K;
        let children: &[Self] = match parent {
            None => return !matches!(self, K::DomainTemplate | K::IpReservation),
            Some(K::Enterprise) => &[K::DomainTemplate, K::Domain, K::User],
            Some(K::Domain) => &[
                K::Zone,
                K::Subnet,
                K::VPort,
                K::PolicyGroup,
                K::Container,
                K::ContainerInterface,
            ],
            Some(K::Zone) => &[K::Subnet, K::VPort, K::Container, K::ContainerInterface],
            Some(K::Subnet) => &[
                K::VPort,
                K::Container,
                K::ContainerInterface,
                K::IpReservation,
            ],
            Some(K::Container) => &[K::ContainerInterface],
            Some(K::VPort) => &[K::ContainerInterface, K::PolicyGroup, K::Container],
            Some(K::PolicyGroup) => &[K::VPort],
            Some(_) => &[],
        };
        children.contains(&self)
    }

    /// Can objects of this kind be made below that parent?
    pub(crate) fn is_made_below(self, parent: Option<Self>) -> bool {
        use Kind as K;
        matches!(
            (parent, self),
            (None, K::Enterprise | K::Container)
                | (Some(K::Enterprise), K::DomainTemplate | K::Domain | K::User)
                | (Some(K::Domain), K::Zone | K::PolicyGroup)
                | (Some(K::Zone), K::Subnet)
                | (Some(K::Subnet), K::VPort | K::IpReservation)
                | (Some(K::Container), K::ContainerInterface)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_plural_and_what_is_made_can_be_listed() {
        assert_eq!(Kind::of_path("vports"), Some(Kind::VPort));
        assert_eq!(Kind::of_path("vport"), None);
        assert_eq!(Kind::of_path("nosuchthings"), None);
        for kind in Kind::ALL {
            assert_eq!(Kind::of_path(&format!("{}s", kind.rest_name())), Some(kind));
            for parent in Kind::ALL.map(Some).into_iter().chain([None]) {
                let made = kind.is_made_below(parent);
                assert!(!made || kind.is_listed_below(parent), "{parent:?} {kind:?}");
            }
        }
    }
}
