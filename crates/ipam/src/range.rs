//! Ranges of addresses and sets of them.

use crate::RangeError;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// A stretch of one subnet to give addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    subnet: IpNet,
    start: IpAddr,
    end: IpAddr,
    gateway: IpAddr,
}

impl Range {
    /// Checks a range and fills in what is missing: it starts with the subnet's
    /// first host, ends with its last (of IPv4 the one before broadcast), and its
    /// gateway is the first host. A gateway elsewhere is accepted.
    ///
    /// # Errors
    /// [`RangeError`] as host-local has it.
    pub fn new(
        subnet: IpNet,
        start: Option<IpAddr>,
        end: Option<IpAddr>,
        gateway: Option<IpAddr>,
    ) -> Result<Self, RangeError> {
        if subnet.prefix_len() > subnet.max_prefix_len() - 2 {
            return Err(RangeError::TooSmall(subnet));
        }
        if subnet.addr().to_canonical() != subnet.addr() {
            return Err(RangeError::Mapped(subnet));
        }
        if subnet.addr() != subnet.network() {
            return Err(RangeError::HostBits(subnet));
        }
        let first = step(subnet.network(), 1);
        let last = match subnet {
            IpNet::V4(_) => step(subnet.broadcast(), -1),
            IpNet::V6(_) => subnet.broadcast(),
        };
        let start = start.map(|addr| addr.to_canonical());
        let end = end.map(|addr| addr.to_canonical());
        if let Some(start) = start
            && (!subnet.contains(&start) || end.is_some_and(|end| start > end))
        {
            return Err(RangeError::Start { start, subnet });
        }
        let start = start.unwrap_or(first);
        if let Some(end) = end
            && (!subnet.contains(&end) || end < start)
        {
            return Err(RangeError::End { end, subnet });
        }
        Ok(Self {
            subnet,
            start,
            end: end.unwrap_or(last),
            gateway: gateway.map_or(first, |addr| addr.to_canonical()),
        })
    }

    /// The subnet, whose prefix length the addresses carry.
    #[must_use]
    pub const fn subnet(&self) -> IpNet {
        self.subnet
    }

    /// The gateway, which is never given out.
    #[must_use]
    pub const fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// The first address that may be given out: where the range starts, but never
    /// the subnet's own address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.start.max(step(self.subnet.network(), 1))
    }

    /// The last address that may be given out: where the range ends, but never
    /// the broadcast address of an IPv4 subnet.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        match self.subnet {
            IpNet::V4(_) => self.end.min(step(self.subnet.broadcast(), -1)),
            IpNet::V6(_) => self.end,
        }
    }

    /// Whether `addr` is one that may be given out, or the gateway among them.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        same_family(self.start, addr) && self.first() <= addr && addr <= self.last()
    }

    fn overlaps(&self, other: &Self) -> bool {
        same_family(self.start, other.start) && self.start <= other.end && other.start <= self.end
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// Ranges of one family, none overlapping another: an attachment gets one address
/// out of the whole set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSet(Vec<Range>);

impl RangeSet {
    /// Checks the ranges against each other.
    ///
    /// # Errors
    /// [`RangeError`] as host-local has it.
    pub fn new(ranges: Vec<Range>) -> Result<Self, RangeError> {
        let first = ranges.first().ok_or(RangeError::Empty)?;
        if ranges.iter().any(|r| !same_family(r.start, first.start)) {
            return Err(RangeError::Mixed);
        }
        for (i, one) in ranges.iter().enumerate() {
            if let Some(other) = ranges[i + 1..].iter().find(|other| one.overlaps(other)) {
                return Err(RangeError::Overlap {
                    first: one.to_string(),
                    second: other.to_string(),
                });
            }
        }
        Ok(Self(ranges))
    }

    /// The ranges, in the order given; never none.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// The range that `addr` is in.
    #[must_use]
    pub fn range_of(&self, addr: IpAddr) -> Option<&Range> {
        self.0.iter().find(|range| range.contains(addr))
    }

    /// Whether its addresses are IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.0.iter().any(|range| range.start.is_ipv4())
    }

    /// Whether `addr` is the gateway of one of the ranges.
    #[must_use]
    pub fn is_gateway(&self, addr: IpAddr) -> bool {
        self.0.iter().any(|range| range.gateway == addr)
    }

    /// How many addresses it can give out. A set that is all of IPv6 counts one
    /// less than it has.
    #[must_use]
    pub fn size(&self) -> u128 {
        let mut size: u128 = 0;
        for range in &self.0 {
            if range.first() <= range.last() {
                let stretch = bits(range.last()) - bits(range.first());
                size = size.saturating_add(stretch.saturating_add(1));
            }
        }
        let mut gateways: Vec<_> = self.0.iter().map(|range| range.gateway).collect();
        gateways.sort_unstable();
        gateways.dedup();
        gateways.retain(|gateway| self.range_of(*gateway).is_some());
        size.saturating_sub(gateways.len() as u128)
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.0
            .iter()
            .any(|one| other.0.iter().any(|two| one.overlaps(two)))
    }

    /// The stretches in which to look for a free address, in order: from after
    /// `cursor` on to the end of its range, then each further range in turn, and
    /// last what is before and at the cursor.
    pub(crate) fn stretches(&self, cursor: Option<IpAddr>) -> Vec<(&Range, IpAddr, IpAddr)> {
        let whole = |range: &'_ Range| (range.first(), range.last());
        let mut out = Vec::with_capacity(self.0.len() + 1);
        let at = cursor.and_then(|addr| {
            let index = self.0.iter().position(|range| range.contains(addr))?;
            Some((index, addr))
        });
        let (index, rest) = match at {
            Some((index, addr)) => {
                let range = &self.0[index];
                if addr < range.last() {
                    out.push((range, step(addr, 1), range.last()));
                }
                (index + 1, Some((range, range.first(), addr)))
            }
            None => (0, None),
        };
        let others = self.0[index..].iter().chain(&self.0[..index]);
        let skipped = rest.map(|(range, ..)| range);
        for range in others.filter(|range| Some(*range) != skipped) {
            let (first, last) = whole(range);
            out.push((range, first, last));
        }
        out.extend(rest);
        out
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.0.iter().enumerate() {
            write!(f, "{}{range}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

const fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address `by` further, at the family's end the last one there is.
pub(crate) fn step(addr: IpAddr, by: i8) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => IpAddr::V4(v4.to_bits().saturating_add_signed(by.into()).into()),
        IpAddr::V6(v6) => IpAddr::V6(v6.to_bits().saturating_add_signed(by.into()).into()),
    }
}
