//! The namespaces of the hosts, each with a bridge, and of the switch between them.

use super::{HOSTS, ROUTER, namespace, run, words};

/// Joins the hosts' bridges by the switch's.
pub(super) fn make_networks() {
    let addresses = [("switch", ROUTER)].into_iter().chain(HOSTS);
    for (name, address) in addresses {
        let name = namespace(name);
        run("ip", &["netns", "add", &name]);
        let inside = |line: &str| run("ip", &[&["-n", name.as_str()], &*words(line)].concat());
        inside("link set lo up");
        // As bridgeprereq has it: a bridge without an address of its own takes another with each port.
        let last = address.rsplit('.').next().unwrap();
        let mac = format!("02:00:00:00:00:{:02x}", last.parse::<u8>().unwrap());
        inside(&format!("link add mydocker0 address {mac} type bridge"));
        inside(&format!("addr add {address}/16 dev mydocker0"));
        inside("link set mydocker0 up");
    }
    let switch = namespace("switch");
    for (host, _) in HOSTS {
        let name = namespace(host);
        run(
            "ip",
            &[
                &["-n", name.as_str()],
                &*words(&format!("link add eth0 type veth peer name {host}")),
            ]
            .concat(),
        );
        run("ip", &["-n", &name, "link", "set", host, "netns", &switch]);
        run(
            "ip",
            &[
                "-n",
                &name,
                "link",
                "set",
                "eth0",
                "master",
                "mydocker0",
                "up",
            ],
        );
        run(
            "ip",
            &[
                "-n",
                &switch,
                "link",
                "set",
                host,
                "master",
                "mydocker0",
                "up",
            ],
        );
    }
}
