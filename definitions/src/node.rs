//! Nodes, and the groups whose attributes they inherit.
//!
//! Both say the same things, so their attributes are here once. What a node is in the end is worked
//! out in [`crate::Nodes`].

use std::net::IpAddr;

use crate::schema::definition;
use crate::{Arch, Distro};

/// Declares a noun that says what nodes say, and what is its alone.
macro_rules! like_a_node {
    ($(#[$meta:meta])* pub struct $noun:ident: $kind:ident { $($own:tt)* }) => { definition! {
        $(#[$meta])*
        pub struct $noun: $kind {
            $($own)*
            /// A remark of the user.
            usercomment: Option<String>,

            // Who the node is.
            /// The address.
            ip: Option<IpAddr>,
            /// The hardware address, or several as `mac!host|mac2!host2`.
            mac: Option<crate::MacAddresses>,
            /// Further names of the node.
            hostnames: Vec<String>,
            /// What kind of thing the node is: `osi`, `mp`, `switch`.
            nodetype: Option<String>,
            /// The zone whose ssh keys the node has.
            zonename: Option<String>,

            // What it gets.
            /// The release: `ubuntu24.04.3`.
            os: Option<Distro>,
            /// The architecture: `x86_64`.
            arch: Option<Arch>,
            /// What the node is for: `compute`, `dockerhost`.
            profile: Option<String>,
            /// The name of its osimage, or `install`, `netboot`; `image!command` of a container.
            provmethod: Option<String>,
            /// Scripts that run inside the installer; those of groups come first.
            postscripts: Vec<String>,
            /// Scripts that run after the first boot; those of groups come first.
            postbootscripts: Vec<String>,

            // How it is installed.
            /// The label of the file system that keeps the state of a node without an installed disk: layers of containers, ssh host keys.
            statelabel: Option<crate::StateLabel>,
            /// The disk on which that file system is made at the first boot, if it holds nothing: `/dev/sda`, or `empty` for the only such disk.
            statedisk: Option<crate::StateDisk>,
            /// The file system that is made there: `ext4` or `xfs`.
            statefs: Option<crate::StateFsType>,
            /// What becomes of the node without that file system: `none`, it is not started; `memory`, its state is in memory.
            statefallback: Option<crate::StateFallback>,
            /// How much memory the state of a node without an installed disk may take, where it is in memory: `50%`, `4G`.
            statememory: Option<crate::MemoryBound>,
            /// What keeps, in memory, what is written to the root of a node without an installed disk: `tmpfs`, or `zram`, which compresses it.
            overlay: Option<crate::OverlayDevice>,
            /// How much memory that may take: `25%`, `2G`.
            overlaymemory: Option<crate::MemoryBound>,
            /// The disk that is installed to: `/dev/sda`, or a path below `/dev/disk/`.
            disk: Option<String>,
            /// The NIC that the node installs over: a name, or `mac`.
            installnic: Option<String>,
            /// The NIC that carries the node's own address.
            primarynic: Option<String>,
            /// The boot loader on the network: `xnba`, `grub2`, `petitboot`.
            netboot: Option<String>,
            /// The management or service node as the node reaches it.
            xcatmaster: Option<String>,
            /// Where trees are served from.
            nfsserver: Option<String>,
            /// The path that is served there.
            nfsdir: Option<String>,
            /// Where boot files are served from.
            tftpserver: Option<String>,
            /// The path of the boot files.
            tftpdir: Option<String>,
            /// The service nodes that serve the node, the preferred one first.
            servicenode: Vec<String>,
            /// The server that monitors the node.
            monserver: Option<String>,
            /// The DNS servers of the node.
            nameservers: Vec<String>,
            /// Whether DHCP answers by proxy.
            proxydhcp: Option<String>,
            /// The kernel that the node boots now.
            kernel: Option<String>,
            /// The initrd that the node boots now.
            initrd: Option<String>,
            /// The kernel's command line now.
            kcmdline: Option<String>,
            /// More for the kernel's command line.
            addkcmdline: Option<String>,
            /// What the node boots next.
            currstate: Option<String>,
            /// What is left of the chain of actions.
            currchain: Option<String>,
            /// The chain of actions of a node that was just found.
            chain: Option<String>,
            /// What is done when the node is found.
            ondiscover: Option<String>,
            /// The addresses at which the node was found.
            otherinterfaces: Vec<String>,
            /// Static routes of the node.
            routenames: Vec<String>,

            // What became of it.
            /// What the node does: `installing`, `booted`.
            status: Option<String>,
            /// Since when.
            statustime: Option<String>,
            /// How the last run of scripts ended.
            updatestatus: Option<String>,
            /// Since when.
            updatestatustime: Option<String>,
            /// What the node's programs do.
            appstatus: Option<String>,
            /// Since when.
            appstatustime: Option<String>,

            // How it is managed.
            /// How its hardware is managed: `ipmi`, `kvm`; `docker` of a container.
            mgt: Option<String>,
            /// How its power is switched, where that differs from `mgt`.
            power: Option<String>,
            /// How its console is reached, where that differs from `mgt`.
            cons: Option<String>,
            /// The server that holds its console open.
            conserver: Option<String>,
            /// Whether the console is opened only when asked for.
            consoleondemand: Option<String>,
            /// The terminal server.
            termserver: Option<String>,
            /// The port there.
            termport: Option<String>,
            /// The serial port of the console, from 0.
            serialport: Option<u32>,
            /// Its speed.
            serialspeed: Option<u32>,
            /// Its flow control: `hard`, `soft` or `none`.
            serialflow: Option<String>,
            /// The management controller.
            bmc: Option<String>,
            /// The NIC of the management controller.
            bmcport: Option<String>,
            /// The VLAN of the management controller.
            bmcvlantag: Option<u32>,
            /// The user there.
            bmcusername: Option<String>,
            /// The password there.
            bmcpassword: Option<crate::Secret>,

            // A container.
            /// Where a container runs: a node, `HOST:PORT`, or `unix:/PATH` on the management node.
            dockerhost: Option<crate::DockerHost>,
            /// The image of a container: `[REGISTRY/]NAME[:TAG][@DIGEST]`.
            image: Option<crate::ImageReference>,
            /// What a container runs in place of the image's command: words, or a JSON array.
            command: Option<crate::ProcessArguments>,
            /// What a container runs the command by, in place of the image's entry point.
            entrypoint: Option<crate::ProcessArguments>,
            /// The environment of a container, `NAME=VALUE` each.
            environment: Vec<crate::NamedValue>,
            /// What a container has at its paths: `/HOST/PATH:/PATH[:ro]`, `NAME:/PATH`, `tmpfs:/PATH`.
            volumes: Vec<crate::VolumeMount>,
            /// Ports of a container that its host offers: `[ADDRESS:][PORT:]PORT[/udp]`.
            ports: Vec<crate::PublishedPort>,
            /// Other containers, on any host, that a container knows by name: `NODE[:ALIAS]`, `GROUP`.
            links: Vec<crate::ContainerLink>,
            /// How many processors a container may use (`1.5`), or which (`0-3`, `2-2`).
            dockercpus: Option<crate::CpuLimit>,
            /// How much memory a container may use: `512M`, `2g`; a number alone is MiB.
            dockermemory: Option<crate::MemorySize>,
            /// More for the engine, a JSON object that goes before all other attributes.
            dockerflag: Option<crate::EngineOptions>,
            /// The docker networks of a container; the first has its address.
            dockernics: Vec<crate::DockerName>,
            /// A second address, of the other family; the only one where there is no `ip`.
            ip6: Option<std::net::Ipv6Addr>,
            /// What becomes of a container that ends: `no`, `always`, `unless-stopped`, `on-failure[:TIMES]`.
            restart: Option<crate::RestartPolicy>,
            /// `1`: a container has an init process that reaps what it leaves.
            init: Option<crate::Switch>,
            /// How a container's health is looked at: a line for its shell, a JSON array, or `none`.
            healthcheck: Option<crate::HealthCheck>,
            /// The user that a container's process runs as: `USER[:GROUP]`.
            user: Option<crate::ContainerUser>,
            /// Capabilities that a container gets, or with `-` does not get: `NET_ADMIN`, `-ALL`.
            caps: Vec<crate::CapabilityChange>,
            /// Devices that a container may use: `/dev/NAME[:/dev/NAME][:rwm]`.
            devices: Vec<crate::DeviceMapping>,
            /// Labels of a container, `NAME=VALUE` each.
            labels: Vec<crate::NamedValue>,
            /// Where what a container prints is kept: `json-file`, `local`, `journald`, `none`.
            logdriver: Option<crate::DockerName>,
            /// How many seconds a container has to end when it is stopped, before it is killed.
            stoptimeout: Option<u32>,

            // A virtual machine.
            /// The host of a virtual machine.
            vmhost: Option<String>,
            /// How many processors it has.
            vmcpus: Option<String>,
            /// How much memory it has.
            vmmemory: Option<String>,
            /// Where its disks are.
            vmstorage: Option<String>,
            /// What kind of disk it sees.
            vmstoragemodel: Option<String>,
            /// The networks that it is on.
            vmnics: Option<String>,
            /// What kind of NIC it sees.
            vmnicnicmodel: Option<String>,
            /// What it boots from, in order.
            vmbootorder: Option<String>,
            /// The manager that keeps it.
            vmmanager: Option<String>,
            /// The cluster that it is in.
            vmcluster: Option<String>,
            /// More for its hypervisor.
            vmothersetting: Option<String>,

            // Its NICs, `nic!value|value2` each.
            /// Addresses.
            nicips: Vec<String>,
            /// Kinds: `Ethernet`, `bond`, `vlan`, `bridge`.
            nictypes: Vec<String>,
            /// What follows the node's name in the host name of each address.
            nichostnamesuffixes: Vec<String>,
            /// What precedes it.
            nichostnameprefixes: Vec<String>,
            /// Networks.
            nicnetworks: Vec<String>,
            /// Further host names.
            nicaliases: Vec<String>,
            /// Scripts that configure the NIC.
            niccustomscripts: Vec<String>,
            /// Further settings, `name=value`.
            nicextraparams: Vec<String>,
            /// The NICs below a bridge, a bond or a VLAN.
            nicdevices: Vec<String>,
            /// What the hardware says of the NIC.
            nicsadapter: Vec<String>,

            // Where it is and what it is made of.
            /// The room.
            room: Option<String>,
            /// The rack.
            rack: Option<String>,
            /// The place in the rack.
            unit: Option<String>,
            /// Its height in the rack.
            height: Option<String>,
            /// The chassis.
            chassis: Option<String>,
            /// The slot in the chassis.
            slot: Option<String>,
            /// The switch that it is plugged into.
            switch: Option<String>,
            /// The port there.
            switchport: Option<String>,
            /// The VLAN there.
            switchvlan: Option<String>,
            /// The NIC that is plugged in there.
            switchinterface: Option<String>,
            /// The serial number.
            serial: Option<String>,
            /// Machine type and model.
            mtm: Option<String>,
            /// The asset number.
            asset: Option<String>,
            /// The hardware's UUID.
            uuid: Option<String>,
            /// The processor.
            cputype: Option<String>,
            /// How many processors it has.
            cpucount: Option<String>,
            /// How much memory it has.
            memory: Option<String>,
            /// The disks' sizes.
            disksize: Option<String>,
            /// The architectures that it can run.
            supportedarchs: Vec<String>,
        }
    } };
}

like_a_node! {
    /// A machine or a container.
    pub struct Node: Node {
        /// The groups that the node is in; what they say it says, unless it says otherwise.
        groups: Vec<crate::GroupName>,
    }
}

like_a_node! {
    /// A group of nodes; what it says, its members say unless they say otherwise.
    pub struct Group: Group {
        /// `static`: its members are the nodes that name it in `groups`.
        grouptype: Option<crate::GroupType>,
    }
}

impl Group {
    /// The group that every node is in without being listed, after all others.
    pub const EVERYONE: &'static str = "xcatdefaults";

    /// The name by which node ranges mean every node, whether it says so or not.
    pub const ALL: &'static str = "all";
}

impl Node {
    /// Lists its own addresses, those of its NICs apart: `ip`, then `ip6`.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        self.ip.into_iter().chain(self.ip6.map(IpAddr::V6))
    }

    /// Returns the address by which it is reached: `ip`, or `ip6` where there is none.
    pub fn address(&self) -> Option<IpAddr> {
        self.addresses().next()
    }
}

/// How a group comes by its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupType {
    /// Nodes name it.
    Static,
}

impl std::fmt::Display for GroupType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad("static")
    }
}

impl std::str::FromStr for GroupType {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        match text {
            "static" => Ok(Self::Static),
            _ => Err(crate::Error::invalid("a type of group", text, "static")),
        }
    }
}
