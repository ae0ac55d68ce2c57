//! Constants of the kernel's interface that libc has not, by the kernel's names.
//!
//! Each group names its header below `include/uapi/`.

// linux/capability.h
pub(crate) const CAP_NET_ADMIN: u32 = 12;

// linux/fib_rules.h
pub(crate) const FRA_IIFNAME: u16 = 3;
pub(crate) const FRA_OIFNAME: u16 = 17;
pub(crate) const FIB_RULE_IIF_DETACHED: u32 = 0x08;
pub(crate) const FIB_RULE_OIF_DETACHED: u32 = 0x10;

// linux/if_addr.h
pub(crate) const IFA_PROTO: u16 = 11;
pub(crate) const IFAPROT_KERNEL_LL: u8 = 3;

// linux/if_link.h
pub(crate) const IFLA_BR_FORWARD_DELAY: u16 = 1;
pub(crate) const IFLA_BR_STP_STATE: u16 = 5;
pub(crate) const IFLA_VXLAN_LINK: u16 = 3;

// linux/net_namespace.h
pub(crate) const NETNSA_NSID: u16 = 1;
pub(crate) const NETNSA_PID: u16 = 2;

// linux/nexthop.h
pub(crate) const NHA_ID: u16 = 1;
pub(crate) const NHA_OIF: u16 = 5;
pub(crate) const NHA_GATEWAY: u16 = 6;

// linux/rtnetlink.h
pub(crate) const RTA_NH_ID: u16 = 30;
pub(crate) const RTM_NEWNEXTHOP: u16 = 104;
pub(crate) const RTM_GETNEXTHOP: u16 = 106;
pub(crate) const RTNH_F_ONLINK: u32 = 4;
pub(crate) const RTPROT_RA: u8 = 9;

// linux/sock_diag.h, and the states of sockets (include/net/tcp_states.h)
pub(crate) const SOCK_DIAG_BY_FAMILY: u16 = 20;
pub(crate) const TCP_CLOSE: u32 = 7;
pub(crate) const TCP_LISTEN: u32 = 10;
