//! Constants of the kernel's interface that libc has not, by the kernel's names.
//!
//! Each group names its header below `include/uapi/`.

// linux/capability.h
pub(crate) const CAP_NET_ADMIN: u32 = 12;

// linux/ethtool_netlink.h
pub(crate) const ETHTOOL_GENL_NAME: &str = "ethtool";
pub(crate) const ETHTOOL_MSG_FEATURES_SET: u8 = 12;
pub(crate) const ETHTOOL_A_HEADER_DEV_NAME: u16 = 2;
pub(crate) const ETHTOOL_A_FEATURES_HEADER: u16 = 1;
pub(crate) const ETHTOOL_A_FEATURES_WANTED: u16 = 3;
pub(crate) const ETHTOOL_A_BITSET_BITS: u16 = 3;
pub(crate) const ETHTOOL_A_BITSET_BITS_BIT: u16 = 1;
pub(crate) const ETHTOOL_A_BITSET_BIT_NAME: u16 = 2;

// linux/fib_rules.h
pub(crate) const FRA_IIFNAME: u16 = 3;
pub(crate) const FRA_PRIORITY: u16 = 6;
pub(crate) const FRA_OIFNAME: u16 = 17;

// linux/genetlink.h
pub(crate) const GENL_ID_CTRL: u16 = 0x10;
pub(crate) const CTRL_CMD_GETFAMILY: u8 = 3;
pub(crate) const CTRL_ATTR_FAMILY_ID: u16 = 1;
pub(crate) const CTRL_ATTR_FAMILY_NAME: u16 = 2;

// linux/if_addr.h
pub(crate) const IFA_PROTO: u16 = 11;
pub(crate) const IFAPROT_KERNEL_LL: u8 = 3;

// linux/if_link.h
pub(crate) const IFLA_BR_FORWARD_DELAY: u16 = 1;
pub(crate) const IFLA_BR_STP_STATE: u16 = 5;
pub(crate) const IFLA_VXLAN_LINK: u16 = 3;
pub(crate) const IFLA_INET6_TOKEN: u16 = 7;

// linux/ip_vs.h
pub(crate) const IPVS_GENL_NAME: &str = "IPVS";
pub(crate) const IPVS_CMD_GET_DAEMON: u8 = 11;
pub(crate) const IPVS_CMD_ATTR_DAEMON: u16 = 3;
pub(crate) const IPVS_DAEMON_ATTR_STATE: u16 = 1;
pub(crate) const IPVS_DAEMON_ATTR_MCAST_IFN: u16 = 2;
pub(crate) const IPVS_DAEMON_ATTR_SYNC_ID: u16 = 3;

// linux/if_addrlabel.h
pub(crate) const IFAL_ADDRESS: u16 = 1;
pub(crate) const IFAL_LABEL: u16 = 2;

// linux/mptcp_pm.h, linux/mptcp.h
pub(crate) const MPTCP_PM_NAME: &str = "mptcp_pm";
pub(crate) const MPTCP_PM_CMD_GET_ADDR: u8 = 3;
pub(crate) const MPTCP_PM_ATTR_ADDR: u16 = 1;
pub(crate) const MPTCP_PM_ADDR_ATTR_ID: u16 = 2;
pub(crate) const MPTCP_PM_ADDR_ATTR_ADDR4: u16 = 3;
pub(crate) const MPTCP_PM_ADDR_ATTR_ADDR6: u16 = 4;
pub(crate) const MPTCP_PM_ADDR_ATTR_IF_IDX: u16 = 7;

// linux/neighbour.h
pub(crate) const NDA_PROTOCOL: u16 = 12;
pub(crate) const NDA_FLAGS_EXT: u16 = 15;
pub(crate) const NTF_EXT_MANAGED: u32 = 1;

// linux/net_namespace.h
pub(crate) const NETNSA_NSID: u16 = 1;

// linux/nexthop.h
pub(crate) const NHA_ID: u16 = 1;
pub(crate) const NHA_OIF: u16 = 5;
pub(crate) const NHA_GATEWAY: u16 = 6;

// linux/openvswitch.h
pub(crate) const OVS_DATAPATH_FAMILY: &str = "ovs_datapath";

// linux/rtnetlink.h
pub(crate) const RTA_NH_ID: u16 = 30;
pub(crate) const RTM_NEWNEXTHOP: u16 = 104;
pub(crate) const RTM_GETNEXTHOP: u16 = 106;
pub(crate) const RTNH_F_ONLINK: u32 = 4;
pub(crate) const RTPROT_RA: u8 = 9;

// linux/sock_diag.h, and the states of sockets (include/net/tcp_states.h)
pub(crate) const SOCK_DIAG_BY_FAMILY: u16 = 20;
pub(crate) const TCP_ESTABLISHED: u32 = 1;
pub(crate) const TCP_CLOSE: u32 = 7;
pub(crate) const TCP_LISTEN: u32 = 10;

// linux/xfrm.h
pub(crate) const XFRM_MSG_GETSA: u16 = 0x12;
pub(crate) const XFRM_MSG_GETPOLICY: u16 = 0x15;
pub(crate) const XFRMA_OFFLOAD_DEV: u16 = 28;

// linux/netfilter/ipset/ip_set.h
pub(crate) const IPSET_PROTOCOL: u8 = 6;
pub(crate) const IPSET_CMD_LIST: u16 = 7;
pub(crate) const IPSET_ATTR_PROTOCOL: u16 = 1;
pub(crate) const IPSET_ATTR_SETNAME: u16 = 2;
pub(crate) const IPSET_ATTR_ADT: u16 = 8;
pub(crate) const IPSET_ATTR_IFACE: u16 = 23;

// linux/netfilter/nf_tables.h: messages, flags and keys
pub(crate) const NFT_MSG_GETFLOWTABLE: i32 = 23;
pub(crate) const NFT_SET_CONCAT: i32 = 0x80;
pub(crate) const NFT_SET_ELEM_CATCHALL: i32 = 0x2;
pub(crate) const NFT_META_IIFKIND: i32 = 26;
pub(crate) const NFT_META_OIFKIND: i32 = 27;
pub(crate) const NFT_META_SDIF: i32 = 33;
pub(crate) const NFT_META_SDIFNAME: i32 = 34;
pub(crate) const NFT_FIB_RESULT_OIF: i32 = 1;
pub(crate) const NFT_FIB_RESULT_OIFNAME: i32 = 2;
pub(crate) const NFT_BITWISE_MASK_XOR: u32 = 0;
pub(crate) const NFT_OBJECT_QUOTA: u32 = 2;
pub(crate) const NFT_OBJECT_LIMIT: u32 = 4;
pub(crate) const NFT_OBJECT_CONNLIMIT: u32 = 5;

// linux/netfilter/nf_tables.h: attributes of objects
pub(crate) const NFTA_LIST_ELEM: u16 = 1;
pub(crate) const NFTA_TABLE_NAME: u16 = 1;
pub(crate) const NFTA_CHAIN_TABLE: u16 = 1;
pub(crate) const NFTA_CHAIN_NAME: u16 = 3;
pub(crate) const NFTA_CHAIN_HOOK: u16 = 4;
pub(crate) const NFTA_CHAIN_POLICY: u16 = 5;
pub(crate) const NFTA_CHAIN_TYPE: u16 = 7;
pub(crate) const NFTA_HOOK_HOOKNUM: u16 = 1;
pub(crate) const NFTA_HOOK_PRIORITY: u16 = 2;
pub(crate) const NFTA_HOOK_DEV: u16 = 3;
pub(crate) const NFTA_HOOK_DEVS: u16 = 4;
pub(crate) const NFTA_FLOWTABLE_TABLE: u16 = 1;
pub(crate) const NFTA_FLOWTABLE_NAME: u16 = 2;
pub(crate) const NFTA_FLOWTABLE_HOOK: u16 = 3;
pub(crate) const NFTA_FLOWTABLE_HOOK_DEVS: u16 = 3;
pub(crate) const NFTA_RULE_TABLE: u16 = 1;
pub(crate) const NFTA_RULE_CHAIN: u16 = 2;
pub(crate) const NFTA_RULE_HANDLE: u16 = 3;
pub(crate) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(crate) const NFTA_RULE_COMPAT: u16 = 5;
pub(crate) const NFTA_RULE_POSITION: u16 = 6;
pub(crate) const NFTA_RULE_USERDATA: u16 = 7;
pub(crate) const NFTA_RULE_COMPAT_PROTO: u16 = 1;
pub(crate) const NFTA_RULE_COMPAT_FLAGS: u16 = 2;
pub(crate) const NFTA_SET_TABLE: u16 = 1;
pub(crate) const NFTA_SET_NAME: u16 = 2;
pub(crate) const NFTA_SET_FLAGS: u16 = 3;
pub(crate) const NFTA_SET_KEY_LEN: u16 = 5;
pub(crate) const NFTA_SET_DESC: u16 = 9;
pub(crate) const NFTA_SET_DESC_CONCAT: u16 = 2;
pub(crate) const NFTA_SET_FIELD_LEN: u16 = 1;
pub(crate) const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
pub(crate) const NFTA_SET_ELEM_LIST_SET: u16 = 2;
pub(crate) const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
pub(crate) const NFTA_SET_ELEM_KEY: u16 = 1;
pub(crate) const NFTA_SET_ELEM_DATA: u16 = 2;
pub(crate) const NFTA_SET_ELEM_FLAGS: u16 = 3;
pub(crate) const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
pub(crate) const NFTA_SET_ELEM_EXPIRATION: u16 = 5;
pub(crate) const NFTA_SET_ELEM_KEY_END: u16 = 10;

// linux/netfilter/nf_tables.h: attributes of expressions and of data
pub(crate) const NFTA_EXPR_NAME: u16 = 1;
pub(crate) const NFTA_EXPR_DATA: u16 = 2;
pub(crate) const NFTA_DATA_VALUE: u16 = 1;
pub(crate) const NFTA_DATA_VERDICT: u16 = 2;
pub(crate) const NFTA_VERDICT_CODE: u16 = 1;
pub(crate) const NFTA_VERDICT_CHAIN: u16 = 2;
pub(crate) const NFTA_BITWISE_SREG: u16 = 1;
pub(crate) const NFTA_BITWISE_DREG: u16 = 2;
pub(crate) const NFTA_BITWISE_MASK: u16 = 4;
pub(crate) const NFTA_BITWISE_XOR: u16 = 5;
pub(crate) const NFTA_BITWISE_OP: u16 = 6;
pub(crate) const NFTA_BYTEORDER_LEN: u16 = 4;
pub(crate) const NFTA_BYTEORDER_SIZE: u16 = 5;
pub(crate) const NFTA_CMP_SREG: u16 = 1;
pub(crate) const NFTA_CMP_OP: u16 = 2;
pub(crate) const NFTA_CMP_DATA: u16 = 3;
pub(crate) const NFTA_CT_DREG: u16 = 1;
pub(crate) const NFTA_CT_KEY: u16 = 2;
pub(crate) const NFTA_DUP_SREG_DEV: u16 = 2;
pub(crate) const NFTA_DYNSET_EXPR: u16 = 7;
pub(crate) const NFTA_DYNSET_FLAGS: u16 = 9;
pub(crate) const NFTA_DYNSET_EXPRESSIONS: u16 = 10;
pub(crate) const NFTA_FIB_RESULT: u16 = 2;
pub(crate) const NFTA_FWD_SREG_DEV: u16 = 1;
pub(crate) const NFTA_IMMEDIATE_DREG: u16 = 1;
pub(crate) const NFTA_IMMEDIATE_DATA: u16 = 2;
pub(crate) const NFTA_LOOKUP_SET: u16 = 1;
pub(crate) const NFTA_LOOKUP_SREG: u16 = 2;
pub(crate) const NFTA_LOOKUP_DREG: u16 = 3;
pub(crate) const NFTA_LOOKUP_FLAGS: u16 = 5;
pub(crate) const NFTA_META_DREG: u16 = 1;
pub(crate) const NFTA_META_KEY: u16 = 2;
pub(crate) const NFTA_META_SREG: u16 = 3;
pub(crate) const NFTA_OBJREF_IMM_TYPE: u16 = 1;
pub(crate) const NFTA_PAYLOAD_DREG: u16 = 1;
pub(crate) const NFTA_PAYLOAD_BASE: u16 = 2;
pub(crate) const NFTA_PAYLOAD_OFFSET: u16 = 3;
pub(crate) const NFTA_PAYLOAD_LEN: u16 = 4;
pub(crate) const NFTA_RANGE_OP: u16 = 2;
pub(crate) const NFTA_RANGE_FROM_DATA: u16 = 3;
pub(crate) const NFTA_RANGE_TO_DATA: u16 = 4;

// linux/netfilter/nf_tables_compat.h
pub(crate) const NFTA_MATCH_NAME: u16 = 1;
pub(crate) const NFTA_MATCH_INFO: u16 = 3;
pub(crate) const NFTA_TARGET_NAME: u16 = 1;
pub(crate) const NFTA_TARGET_INFO: u16 = 3;

// linux/netfilter/xt_physdev.h
pub(crate) const XT_PHYSDEV_OP_ISIN: u8 = 0x08;
pub(crate) const XT_PHYSDEV_OP_ISOUT: u8 = 0x10;
