//! The match of iptables for packets that pass ports of bridges (`-m physdev`): what names the NIC there begins to
//! match when it is one.
//!
//! Reference: linux/netfilter/xt_physdev.h.

use super::Move;
use crate::netlink::uapi::{
    NFTA_MATCH_INFO, NFTA_MATCH_NAME, XT_PHYSDEV_OP_ISIN, XT_PHYSDEV_OP_ISOUT,
};
use crate::nftables::{Expression, NAME_SIZE, padded};

/// Any port will do.
const ANY_PORT: u8 = XT_PHYSDEV_OP_ISIN | XT_PHYSDEV_OP_ISOUT;

/// Reports whether an extension of nf_tables begins to match.
pub(super) fn begins(one: &Expression, moves: &[Move]) -> bool {
    one.text(NFTA_MATCH_NAME).as_deref() == Some("physdev")
        && one
            .get(NFTA_MATCH_INFO)
            .is_some_and(|info| matches(info, moves))
}

/// `struct xt_physdev_info`: two names, each with the mask of the bytes that count, then two sets of flags.
fn matches(info: &[u8], moves: &[Move]) -> bool {
    let [input, input_mask, output, output_mask] = [0, 1, 2, 3].map(|at| {
        info.get(at * NAME_SIZE..(at + 1) * NAME_SIZE)
            .unwrap_or_default()
    });
    let flags = info.get(4 * NAME_SIZE..).unwrap_or_default();
    let (invert, wanted) = (flags.first().unwrap_or(&0), flags.get(1).unwrap_or(&0));
    let names = |name: &[u8], mask: &[u8]| {
        let is_named = |one: &&Move| {
            let own = padded(&one.nic);
            let mut bytes = name.iter().zip(mask).zip(&own);
            mask.iter().any(|byte| *byte != 0) && bytes.all(|((a, mask), b)| a & mask == b & mask)
        };
        moves
            .iter()
            .filter(|one| !one.is_port)
            .any(|one| is_named(&one))
    };
    let any_port = wanted & ANY_PORT & !invert != 0 && moves.iter().any(|one| !one.is_port);
    any_port || names(input, input_mask) || names(output, output_mask)
}

/// Reports whether the words of a rule of iptables begin to match.
pub(super) fn begins_in(words: &[String], moves: &[Move]) -> bool {
    let mut unplugged = moves.iter().filter(|one| !one.is_port).peekable();
    let any_port = |(at, word): (usize, &String)| {
        matches!(word.as_str(), "--physdev-is-in" | "--physdev-is-out")
            && (at == 0 || words[at - 1] != "!")
    };
    let named = |pair: &[String], one: &Move| {
        matches!(pair[0].as_str(), "--physdev-in" | "--physdev-out")
            && super::xtables::covers(&pair[1], &one.nic)
    };
    unplugged.peek().is_some() && words.iter().enumerate().any(any_port)
        || unplugged.any(|one| words.windows(2).any(|pair| named(pair, one)))
}
