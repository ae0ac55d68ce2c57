# shellcheck shell=bash
# Where Debian packages come from on this machine: sourced by what builds media and machines.

debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

# Prints "URI SUITE" of the Debian archive this machine installs from, else of the one debootstrap knows.
archive() {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI) $(CODENAME)' \
        'Created-By: Packages' 2>/dev/null |
        sed -n 's/^Debian|Debian|main|//p' | grep -v -- '-[a-z-]*$' | head -n 1 | grep . && return
    local mirror
    mirror=$(sed -n 's/^DEF_MIRROR="\(.*\)"/\1/p' /usr/sbin/debootstrap 2>/dev/null)
    [ -n "$mirror" ] || die "no Debian archive among this machine's apt sources and no debootstrap: run tests/setup demo"
    echo "$mirror trixie"
}
