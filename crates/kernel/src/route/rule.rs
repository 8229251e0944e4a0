//! Policy routing rules: which table a packet's route is looked up in.

use super::Route;
use crate::KernelError;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use std::fmt;

const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;

/// A rule that sends packets to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Packets from here; the family of the rule is the family of this prefix.
    pub source: IpNet,
    /// Packets to here.
    pub destination: Option<IpNet>,
    /// The table that is looked up.
    pub table: u32,
    /// Rules are tried from the lowest number on; `None` lets the kernel choose.
    pub priority: Option<u32>,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} lookup {}", self.source, self.table)
    }
}

impl Route {
    /// Adds a rule.
    ///
    /// # Errors
    /// [`KernelError::Refused`]; ask [`KernelError::is_exists`] for 'there is one'.
    pub fn add_rule(&mut self, rule: &Rule) -> Result<(), KernelError> {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.ask(RTM_NEWRULE, flags, &rule_message(rule), "add rule", rule)
            .map(drop)
    }

    /// Deletes a rule. Returns whether there was one.
    ///
    /// # Errors
    /// [`KernelError::Refused`] other than 'no such rule'.
    pub fn delete_rule(&mut self, rule: &Rule) -> Result<bool, KernelError> {
        match self.ask(RTM_DELRULE, 0, &rule_message(rule), "delete rule", rule) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The rules that send packets from a prefix to a table, both families.
    ///
    /// # Errors
    /// [`KernelError`] of the dump.
    pub fn rules(&mut self) -> Result<Vec<Rule>, KernelError> {
        let message = RuleMessage::default();
        let list: Vec<RuleMessage> = self.list(RTM_GETRULE, &message, "list", &"rules")?;
        Ok(list.into_iter().filter_map(read_rule).collect())
    }
}

fn rule_message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = match rule.source {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.src_len = rule.source.prefix_len();
    message.header.dst_len = rule.destination.map_or(0, |net| net.prefix_len());
    message.header.action = RuleAction::ToTable;
    let attributes = [
        (rule.source.prefix_len() > 0).then(|| RuleAttribute::Source(rule.source.network())),
        rule.destination
            .map(|net| RuleAttribute::Destination(net.network())),
        rule.priority.map(RuleAttribute::Priority),
        Some(RuleAttribute::Table(rule.table)),
    ];
    message.attributes.extend(attributes.into_iter().flatten());
    message
}

fn read_rule(message: RuleMessage) -> Option<Rule> {
    let mut source = None;
    let mut destination = None;
    let mut table = u32::from(message.header.table);
    let mut priority = None;
    for attribute in message.attributes {
        match attribute {
            RuleAttribute::Source(ip) => source = IpNet::new(ip, message.header.src_len).ok(),
            RuleAttribute::Destination(ip) => {
                destination = IpNet::new(ip, message.header.dst_len).ok();
            }
            RuleAttribute::Table(number) => table = number,
            RuleAttribute::Priority(number) => priority = Some(number),
            _ => {}
        }
    }
    (message.header.action == RuleAction::ToTable).then_some(Rule {
        source: source?,
        destination,
        table,
        priority,
    })
}
