//! What discs of Debian and Ubuntu say in .disk/info.

use copycds::recognise::Evidence;

use crate::table;

#[test]
fn disk_info_lines_are_read_by_their_words_and_not_by_their_places() {
    table(
        &[
            (
                "Debian GNU/Linux 12.9.0 \"Bookworm\" - Official amd64 DVD Binary-1 with firmware 20250111-10:55",
                "debian12.9.0 x86_64",
            ),
            (
                "Debian GNU/Linux 6.0.1a _Squeeze_ - Official i386 NETINST Binary-1 20110320-15:03",
                "debian6.0.1a x86",
            ),
            (
                "Debian GNU/Linux 8.5.0 \"Jessie\" - Official Multi-architecture amd64/i386 NETINST #1 20160604-19:56",
                "debian8.5.0 x86_64",
            ),
            (
                "Debian GNU/Linux 7 \"Wheezy\" - Official Snapshot amd64 LIVE/INSTALL Binary 20140723-17:11",
                "debian7 x86_64",
            ),
            (
                "Debian GNU/Linux 3.1 r0a \"Sarge\" - Official i386 Binary-1 (20050607)",
                "debian3.1 x86",
            ),
            (
                "Debian GNU/Linux 11.3.0 \"Bullseye\" - Unofficial amd64 NETINST with firmware 20220326-11:22",
                "debian11.3.0 x86_64",
            ),
            (
                "Debian GNU/Linux testing \"Trixie\" - Official Snapshot amd64 DVD Binary-1 20231225-03:16",
                "debiantesting x86_64",
            ),
            (
                "Debian GNU/Linux bookworm-DI-rc1 \"Bookworm\" - Official RC amd64 NETINST with firmware 20230402-10:29",
                "debiantesting x86_64",
            ),
            (
                "Debian GNU/Linux 17.1.0 \"Unheardof\" - Official riscv64 NETINST 20310101-10:00",
                "unconfirmed",
            ),
            (
                "Ubuntu-Server 24.04.4 LTS \"Noble Numbat\" - Release arm64 (20260210)\0\0",
                "ubuntu24.04.4 aarch64",
            ),
            (
                "Ubuntu-Server 14.04.1 LTS \"Trusty Tahr\" - Release amd64",
                "ubuntu14.04.1 x86_64",
            ),
            (
                "Ubuntu 13.04 \"Raring Ringtail\" - Alpha amd64 (20121209)",
                "ubuntu13.04.alpha x86_64",
            ),
            (
                "Ubuntu 28.04 LTS \"Zany Zebu\" - Daily amd64 (20280401)",
                "unconfirmed",
            ),
            (
                "Xubuntu 22.04.1 LTS \"Jammy Jellyfish\" - Release amd64 (20220809.1)",
                "ubuntu22.04.1 x86_64",
            ),
        ],
        |line| Evidence::of_file(".disk/info", line),
    );
}

#[test]
fn what_imitates_debian_or_ubuntu_is_refused() {
    table(
        &[
            (
                "Debian GNU/Linux 4.10 \"Rolling\" - Official Snapshot amd64 LIVE/INSTALL Binary 20200810",
                "derivative",
            ),
            (
                "Debian GNU/Linux none \"Sid\" - Snapshot amd64 LIVE Binary 20210101-00:00",
                "derivative",
            ),
            (
                "Debian GNU/Linux 12.1.0 \"Bullseye\" - Official amd64 NETINST 20230722-10:49",
                "derivative",
            ),
            (
                "Debian GNU/Linux 20230501 \"Bookworm\" - Official Snapshot amd64 LIVE Binary",
                "derivative",
            ),
            (
                "Debian GNU/Linux 11 \"Bullseye\" - Snapshot amd64 LIVE/INSTALL Binary 20220101",
                "derivative",
            ),
            (
                "Debian GNU/Linux 99.0 \"Trixie\" - Official amd64 NETINST 20990101",
                "derivative",
            ),
            (
                "Kali GNU/Linux 2022.3rc2 \"Kali-last-snapshot\" - Official amd64 BD Binary-1",
                "derivative",
            ),
            (
                "Pop_OS 24.04 \"Noble Numbat\" - Release arm64 (20251210)",
                "derivative",
            ),
            (
                "Linux Mint 21.2 \"Victoria\" - Release amd64 20230711",
                "derivative",
            ),
            (
                "elementary OS 6.1 \"Jolnir\" - Release amd64 (20211218)",
                "derivative",
            ),
            ("Systemback Live (x) - Release amd64", "derivative"),
            ("Ubuntu 22.04 \"Custom\" - Release amd64", "derivative"),
            (
                "Ubuntu 24.04 LTS \"Jammy Jellyfish\" - Release amd64 (20240424)",
                "derivative",
            ),
        ],
        |line| Evidence::of_file(".disk/info", line),
    );
}
