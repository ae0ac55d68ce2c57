//! Filters of traffic control that name the NIC, on whatever device they are (tc-u32(8), tc-flower(8), tc-mirred(8)).
//!
//! One that asks by which device a packet came in gets another answer once that is the bridge. One that sends packets to
//! the NIC goes on: they leave by the port. What a filter on the NIC itself asks, it asks below the bridge.

use super::{Move, RuleFinding, Survey};
use crate::bridge::net::message::{FilterDevice, TrafficFilter};

/// Adds what was found to the survey; `name` knows the devices by their numbers.
pub(super) fn look_through(
    filters: &[(u32, TrafficFilter)],
    moves: &[Move],
    name: impl Fn(u32) -> String,
    survey: &mut Survey,
) {
    for (device, filter) in filters {
        let on = name(*device);
        let words = format!("tc: the {} of {on}", filter.words);
        for one in moves.iter().filter(|one| one.nic != on) {
            let count = |named: (&str, Option<u32>)| {
                let same = filters.iter().filter(|(other, _)| other == device);
                same.filter(|(_, filter)| compares(filter, named)).count()
            };
            let nic = (one.nic.as_str(), Some(one.nic_index));
            let bridge = (one.bridge.as_str(), one.bridge_index);
            if compares(filter, nic) && count(bridge) < count(nic) {
                survey.findings.push(RuleFinding::by_hand(
                    format!("{words} compares with {}", one.nic),
                    &format!("needs the same with {}", one.bridge),
                ));
            }
            let note = format!("{words} goes on to send to {}, as a port", one.nic);
            if filter.sends.contains(&one.nic_index) && !survey.notes.contains(&note) {
                survey.notes.push(note);
            }
        }
    }
}

/// Reports whether a filter asks for a device of this name or number.
fn compares(filter: &TrafficFilter, (name, index): (&str, Option<u32>)) -> bool {
    filter.compares.iter().any(|named| match named {
        FilterDevice::Name(named) => named == name,
        FilterDevice::Index(named) => Some(*named) == index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_another_device_is_found_until_the_bridge_has_the_same() {
        let one = Move {
            nic: "eth0".to_owned(),
            nic_index: 2,
            nic_kind: None,
            nic_group: 0,
            bridge: "br0".to_owned(),
            bridge_group: 0,
            bridge_index: Some(9),
            is_port: false,
        };
        let filter = |device: u32, compares: &[FilterDevice], sends: &[u32]| {
            let filter = TrafficFilter {
                words: "u32 filter with preference 1".to_owned(),
                compares: compares.to_vec(),
                sends: sends.to_vec(),
            };
            (device, filter)
        };
        let named = |name: &str| FilterDevice::Name(name.to_owned());
        let (nic, bridge) = ([named("eth0")], [named("br0")]);
        let finding = "tc: the u32 filter with preference 1 of dev3 compares with eth0";
        let note =
            "tc: the u32 filter with preference 1 of dev3 goes on to send to eth0, as a port";
        for (filters, findings, notes) in [
            (vec![filter(3, &nic, &[])], vec![finding], vec![]),
            (
                vec![filter(3, &[FilterDevice::Index(2)], &[])],
                vec![finding],
                vec![],
            ),
            (
                vec![filter(3, &nic, &[]), filter(3, &bridge, &[])],
                vec![],
                vec![],
            ),
            // the twin is on another device
            (
                vec![filter(3, &nic, &[]), filter(4, &bridge, &[])],
                vec![finding],
                vec![],
            ),
            (
                vec![
                    filter(3, &nic, &[]),
                    filter(3, &[FilterDevice::Index(9)], &[]),
                ],
                vec![],
                vec![],
            ),
            (
                vec![filter(3, &[], &[2]), filter(3, &[], &[2])],
                vec![],
                vec![note],
            ),
            (vec![filter(3, &[named("eth00")], &[5])], vec![], vec![]),
            // on the NIC itself
            (vec![filter(2, &nic, &[2])], vec![], vec![]),
        ] {
            let mut survey = Survey::default();
            let name = |index| match index {
                2 => "eth0".to_owned(),
                other => format!("dev{other}"),
            };
            look_through(&filters, std::slice::from_ref(&one), name, &mut survey);
            let found: Vec<_> = survey
                .findings
                .iter()
                .map(|one| one.rule.as_str())
                .collect();
            assert_eq!(
                (found, survey.notes),
                (
                    findings,
                    notes.iter().map(|note: &&str| (*note).to_owned()).collect()
                )
            );
        }
    }
}
