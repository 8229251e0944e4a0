//! The model: which zones there are, and their records, kept as instances come and go.

use crate::expand::{Made, Maker, TTL};
use crate::name::{self, Name, parent, upwards};
use crate::record::{RType, Record, RecordData};
use crate::table::{Entry, RECORD_HEAD, Table};
use crate::{Instance, Settings, held, reverse};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// All zones that are answered for, with their records.
#[derive(Debug)]
pub struct Zones {
    maker: Arc<Maker>,
    settings: Settings,
    own: Vec<IpAddr>,
    zones: Vec<Zone>,
    table: Table,
    /// How often each instance was inserted.
    instances: HashMap<Box<str>, u32>,
    serial: u32,
}

/// One zone.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) origin: Name,
    /// Whether it is the cluster's; else it is there to be empty (RFC 6303).
    pub(crate) is_ours: bool,
    /// The data of its SOA record. The serial is to be put in.
    soa: Box<[u8]>,
}

/// How many bytes of an SOA record's data are numbers.
const SOA_NUMBERS: usize = 20;

impl Zone {
    /// The data of its SOA record.
    pub(crate) fn soa(&self, serial: u32) -> (&[u8], [u8; 4], &[u8]) {
        let at = self.soa.len().saturating_sub(SOA_NUMBERS);
        let serial = if self.is_ours { serial } else { 1 };
        (&self.soa[..at], serial.to_be_bytes(), &self.soa[at + 4..])
    }
}

impl Zones {
    /// Zones without instances, with `serial`.
    #[must_use]
    pub fn new(settings: &Settings, serial: u32) -> Self {
        Self::with(settings, &[], serial)
    }

    /// As [`Zones::new`], with the addresses that are answered on.
    pub(crate) fn with(settings: &Settings, own: &[IpAddr], serial: u32) -> Self {
        let maker = Arc::new(Maker::new(settings, own));
        let mut origins = vec![maker.cluster().clone()];
        origins.extend(reverse::origins(&settings.ranges));
        let soa: Box<[u8]> = maker.soa().into();
        let ours = origins.iter().map(|origin| Zone {
            origin: origin.clone(),
            is_ours: true,
            soa: soa.clone(),
        });
        let empty = reverse::empty(&origins).into_iter().map(|origin| Zone {
            soa: empty_soa(&origin),
            origin,
            is_ours: false,
        });
        let mut zones = Self {
            zones: ours.chain(empty).collect(),
            settings: settings.clone(),
            own: own.to_vec(),
            table: Table::default(),
            instances: HashMap::new(),
            maker,
            serial,
        };
        zones.plant();
        let maker = Arc::clone(&zones.maker);
        maker.servers(&origins, &mut |made| zones.add(&made));
        zones
    }

    /// Makes the origins exist, the empty zones first: others lie in them.
    fn plant(&mut self) {
        let Self { zones, table, .. } = self;
        let numbered = |is_ours| {
            let numbered = (0u16..).zip(zones.iter());
            numbered.filter(move |(_, zone)| zone.is_ours == is_ours)
        };
        for (number, Zone { origin, .. }) in numbered(false) {
            table.plant(origin.wire(), number, None);
            let server = Made {
                name: origin,
                rtype: RType::NS,
                ttl: TTL,
                data: origin.wire(),
            };
            table.add(&server, number);
        }
        for (number, Zone { origin, .. }) in numbered(true) {
            let mut above = upwards(origin.wire()).skip(1);
            let around = above.find_map(|name| table.get(name)).map(Entry::zone);
            table.plant(origin.wire(), number, around);
        }
    }

    /// Adds an instance, or counts it once more. Returns whether that changed anything.
    pub fn insert(&mut self, instance: &Instance) -> bool {
        let Some(line) = held::pack(instance) else {
            return false;
        };
        let count = self.instances.entry(line).or_default();
        *count += 1;
        if *count == 1 {
            let maker = Arc::clone(&self.maker);
            maker.instance(instance, &mut |made| self.add(&made));
            return true;
        }
        false
    }

    /// Takes an instance away, or counts it once less. Returns whether that changed
    /// anything.
    pub fn remove(&mut self, instance: &Instance) -> bool {
        let line = held::pack(instance);
        let Some(line) = line.filter(|line| self.instances.contains_key(line)) else {
            return false;
        };
        if let Some(count) = self.instances.get_mut(&line) {
            *count -= 1;
            if *count > 0 {
                return false;
            }
        }
        self.instances.remove(&line);
        let maker = Arc::clone(&self.maker);
        maker.instance(instance, &mut |made| self.table.remove(&made));
        true
    }

    /// The same instances under other settings.
    pub fn configure(&mut self, settings: &Settings) {
        let own = std::mem::take(&mut self.own);
        *self = self.rebuilt(settings, &own);
    }

    /// What [`Zones::configure`] makes, beside this.
    pub(crate) fn rebuilt(&self, settings: &Settings, own: &[IpAddr]) -> Self {
        let mut new = Self::with(settings, own, self.serial);
        for (line, count) in &self.instances {
            if let Some(instance) = held::unpack(line) {
                new.insert(&instance);
                new.instances.insert(line.clone(), *count);
            }
        }
        new
    }

    /// Whether other settings or own addresses would make other zones.
    pub(crate) fn would_change(&self, settings: &Settings, own: &[IpAddr]) -> bool {
        let old = &self.settings;
        let is_named = !settings.servers.is_empty();
        old.cluster != settings.cluster
            || old.servers != settings.servers
            || old.ranges != settings.ranges
            || old.names != settings.names
            || (!is_named && self.own != own)
    }

    /// Keeps settings that make the same zones.
    pub(crate) fn keep(&mut self, settings: &Settings, own: &[IpAddr]) {
        self.settings = settings.clone();
        self.own = own.to_vec();
    }

    /// The settings they were made from.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The addresses they were made with.
    pub(crate) fn own(&self) -> &[IpAddr] {
        &self.own
    }

    fn add(&mut self, made: &Made<'_>) {
        let around = upwards(made.name.wire()).find_map(|name| self.table.get(name));
        let Some(zone) = around.map(Entry::zone) else {
            return;
        };
        // Neither outside our zones nor in those that are to be empty.
        if self.zone(zone).is_some_and(|zone| zone.is_ours) {
            self.table.add(made, zone);
        }
    }

    /// The serial of all zones.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Moves the serial: to the time in seconds since 1970 where that is later (RFC 1982,
    /// 3.2), else by one.
    pub fn step(&mut self, now: u32) {
        let ahead = now.wrapping_sub(self.serial);
        let is_later = ahead > 0 && ahead < 1 << 31;
        self.serial = if is_later {
            now
        } else {
            self.serial.wrapping_add(1)
        };
    }

    /// The origins of the cluster's zones, with final dots: its own first, then the reverse
    /// zones.
    pub fn origins(&self) -> impl Iterator<Item = String> {
        self.ours().map(|zone| zone.origin.text())
    }

    fn ours(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter().filter(|zone| zone.is_ours)
    }

    /// All records of the cluster's zones, by name.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut all: Vec<Record> = self.ours().filter_map(|zone| self.soa(zone)).collect();
        for entry in self.table.iter() {
            self.append(entry, &mut all);
        }
        all.sort_unstable();
        all
    }

    /// The records of one zone of the cluster, by name with its SOA first; none where there
    /// is no such zone.
    pub(crate) fn zone_records(&self, origin: &Name) -> Option<Vec<Record>> {
        let (zone, number) = self.find(origin.wire())?;
        let mut all = Vec::new();
        for entry in self.table.iter().filter(|entry| entry.zone() == number) {
            self.append(entry, &mut all);
        }
        all.sort_unstable();
        all.splice(0..0, self.soa(zone));
        Some(all)
    }

    /// All records of one name.
    pub(crate) fn name_records(&self, name: &Name) -> Vec<Record> {
        let mut all = Vec::new();
        if let Some(entry) = self.table.get(name.wire()) {
            if let Some((zone, _)) = self.find(name.wire()) {
                all.extend(self.soa(zone));
            }
            self.append(entry, &mut all);
        }
        all
    }

    fn append(&self, entry: &Entry, all: &mut Vec<Record>) {
        if !self.zone(entry.zone()).is_some_and(|zone| zone.is_ours) {
            return;
        }
        let name = name::text(entry.name());
        for set in entry.sets() {
            all.extend(set.records().filter_map(|record| {
                let ttl = record.get(6..10)?.first_chunk()?;
                let length = record.len() - RECORD_HEAD;
                Some(Record {
                    name: name.clone(),
                    ttl: u32::from_be_bytes(*ttl),
                    data: RecordData::read(record, RECORD_HEAD, length, set.rtype)?,
                })
            }));
        }
    }

    fn soa(&self, zone: &Zone) -> Option<Record> {
        let (start, serial, end) = zone.soa(self.serial);
        let data = [start, &serial, end].concat();
        Some(Record {
            name: zone.origin.text(),
            ttl: TTL,
            data: RecordData::read(&data, 0, data.len(), RType::SOA)?,
        })
    }

    /// The zone with that origin, if it is the cluster's, and its number.
    pub(crate) fn find(&self, origin: &[u8]) -> Option<(&Zone, u16)> {
        let number = self.table.get(origin)?.zone();
        let zone = self.zone(number)?;
        (zone.is_ours && zone.origin.wire() == origin).then_some((zone, number))
    }

    /// The zone of that number.
    #[inline]
    pub(crate) fn zone(&self, number: u16) -> Option<&Zone> {
        self.zones.get(usize::from(number))
    }

    /// What belongs to a name.
    #[inline]
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Entry> {
        self.table.get(name)
    }

    /// The zone that a name without entry would lie in.
    pub(crate) fn around(&self, name: &[u8]) -> Option<&Zone> {
        let mut above = upwards(parent(name)?);
        let entry = above.find_map(|name| self.table.get(name))?;
        // A name between two zones belongs to the outer one.
        self.zone(entry.zone())
    }

    /// All names, for a transfer.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter()
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }
}

/// The data of an empty zone's SOA record (RFC 6303, 3). What is not there may be kept for
/// a minute: a network may be declared meanwhile.
fn empty_soa(origin: &Name) -> Box<[u8]> {
    let mut data = origin.wire().to_vec();
    data.extend_from_slice(b"\x06nobody\x07invalid\x00");
    for number in [1u32, 3600, 1200, 604_800, TTL] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    data.into()
}

#[cfg(test)]
pub(crate) mod tests;
