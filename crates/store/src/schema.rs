//! The tables.
//!
//! Every statement that opens the file parses this text again, so it is kept
//! short: no check constraints (the types check), no index that no lookup uses.
//! An owner is three columns, always `container, ifname, network`, so that the
//! rows of a container are one stretch of each index.

/// The schema that this release writes, kept in `PRAGMA user_version`.
pub(crate) const VERSION: i64 = 6;

/// The size of a page in bytes. Smaller ones make the log shorter but the tables
/// deeper: at 10,000 addresses they cost a fifth more (measured by `examples/store-cost`).
pub(crate) const PAGE_SIZE: u32 = 4096;

/// What brings the tables of an earlier schema to the next one, from the first on.
pub(crate) const UPGRADES: [&str; 5] = [
    "ALTER TABLE attachments ADD COLUMN resource TEXT",
    "ALTER TABLE attachments ADD COLUMN naming TEXT;
     CREATE TABLE services(object TEXT PRIMARY KEY, since INT, addresses TEXT, containers TEXT) WITHOUT ROWID",
    "CREATE TABLE docker_networks(id TEXT PRIMARY KEY, network TEXT, record TEXT) WITHOUT ROWID;
     CREATE TABLE resting(pool TEXT, addr BLOB, holder TEXT, since INT, PRIMARY KEY(pool, addr)) WITHOUT ROWID",
    "CREATE TABLE endpoints(owner TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID;
     CREATE TABLE endpoint_containers(container TEXT PRIMARY KEY, owner TEXT) WITHOUT ROWID",
    "CREATE TABLE vsp_leases(id TEXT PRIMARY KEY, port TEXT UNIQUE, record TEXT) WITHOUT ROWID;
     CREATE TABLE vsp_networks(id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID",
];

/// Makes the tables of [`VERSION`].
///
/// `meta` has one row. `addresses.boot` is 1 for a row that ends with the boot. `runs` holds the
/// longest stretches without a free address, see `runs.rs`. `cursors.set_index`
/// is -1 for the row that says the pool's host-local directory was looked at.
pub(crate) const TABLES: &str = "
CREATE TABLE meta(boot TEXT, checkpoints INT);
CREATE TABLE addresses(pool TEXT, addr BLOB, container TEXT, ifname TEXT, network TEXT, netns, boot INT, since INT, PRIMARY KEY(pool, addr)) WITHOUT ROWID;
CREATE INDEX addresses_owner ON addresses(container, ifname);
CREATE TABLE runs(pool TEXT, first BLOB, last BLOB, PRIMARY KEY(pool, first)) WITHOUT ROWID;
CREATE TABLE cursors(pool TEXT, set_index INT, last BLOB, PRIMARY KEY(pool, set_index)) WITHOUT ROWID;
CREATE TABLE attachments(container TEXT, ifname TEXT, network TEXT, id TEXT, netns, object TEXT, state INT, pid INT, started INT, host_ifname TEXT, since INT, config TEXT, args TEXT, capabilities TEXT, result TEXT, resource TEXT, naming TEXT, PRIMARY KEY(container, ifname, network)) WITHOUT ROWID;
CREATE INDEX attachments_object ON attachments(object) WHERE object IS NOT NULL;
CREATE TABLE masquerades(container TEXT, ifname TEXT, network TEXT, addr BLOB, subnet TEXT, netns, PRIMARY KEY(container, ifname, network, addr)) WITHOUT ROWID;
CREATE INDEX masquerades_addr ON masquerades(addr);
CREATE TABLE ports(protocol INT, family INT, port INT, host BLOB, container TEXT, ifname TEXT, network TEXT, target BLOB, target_port INT, hairpin TEXT, netns, conditions TEXT, PRIMARY KEY(protocol, family, port, host)) WITHOUT ROWID;
CREATE INDEX ports_owner ON ports(container, ifname, network);
CREATE TABLE services(object TEXT PRIMARY KEY, since INT, addresses TEXT, containers TEXT) WITHOUT ROWID;
CREATE TABLE docker_networks(id TEXT PRIMARY KEY, network TEXT, record TEXT) WITHOUT ROWID;
CREATE TABLE resting(pool TEXT, addr BLOB, holder TEXT, since INT, PRIMARY KEY(pool, addr)) WITHOUT ROWID;
CREATE TABLE endpoints(owner TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID;
CREATE TABLE endpoint_containers(container TEXT PRIMARY KEY, owner TEXT) WITHOUT ROWID;
CREATE TABLE vsp_leases(id TEXT PRIMARY KEY, port TEXT UNIQUE, record TEXT) WITHOUT ROWID;
CREATE TABLE vsp_networks(id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID;
";
