# shellcheck shell=bash
# The installer's components without which nothing can be installed, made of the packages that they are
# made of, where an archive does not hand them out: it drops those of a point release when the next comes,
# and mirrors drop more. Sourced by debian-iso.

# Completes the index of a medium and its pool.
mend_components() {
    local tree=$1 index=$2 store=$3
    if ! grep -qx "Package: ext4-modules-$KERNEL-di" "$index"; then
        say "making the installer's modules of linux-image-$KERNEL"
        make_modules "$store"
        lay_made "$tree" "$index" "$store/made.udeb"
    fi
    if ! grep -qx 'Package: e2fsprogs-udeb' "$index"; then
        say "making e2fsprogs-udeb of e2fsprogs"
        make_e2fsprogs "$store"
        lay_made "$tree" "$index" "$store/made.udeb"
    fi
}

# What a disk is reached by and what is on it; the installer's own initrd has the network's.
make_modules() {
    local store=$1 root=$1/modules from=lib/modules/$KERNEL/kernel
    rm -rf "$root"
    unpack "$store/packages" "linux-image-$KERNEL" "$root" "*/$from/drivers/block/*" "*/$from/drivers/scsi/*" \
        "*/$from/drivers/ata/*" "*/$from/drivers/cdrom/*" "*/$from/drivers/md/*" "*/$from/drivers/nvme/*" \
        "*/$from/drivers/virtio/*" "*/$from/lib/*" "*/$from/crypto/*" "*/$from/arch/x86/crypto/*" \
        "*/$from/fs/ext4/*" "*/$from/fs/jbd2/*" "*/$from/fs/mbcache.ko*" "*/$from/fs/xfs/*" "*/$from/fs/isofs/*"
    make_component "$root" "$store" "storage-modules-$KERNEL-di" "$(version_of "linux-image-$KERNEL")" standard \
        "kernel-image-$KERNEL-di" \
        "$(printf '%s-modules, ' ata cdrom-core crc ext2 ext3 isofs loop md nvme sata scsi xfs)ext4-modules" "$KERNEL"
}

# The programs that make and check ext2, ext3 and ext4, and the libraries that only they use.
make_e2fsprogs() {
    local store=$1 root=$1/e2fsprogs library
    rm -rf "$root"
    unpack "$store/packages" e2fsprogs "$root" '*/sbin/*e2fs*' '*/sbin/mkfs.ext*' '*/sbin/fsck.ext*' '*/etc/mke2fs.conf'
    for library in $(apt-cache depends --no-recommends --no-suggests --no-enhances e2fsprogs |
        sed -n 's/^ *\(Pre\)\?-\?Depends: \(libext2fs.*\|libss2\|libcom-err2\)$/\2/p'); do
        unpack "$store/packages" "$library" "$root" '*/lib/*.so.*'
    done
    make_component "$root" "$store" e2fsprogs-udeb "$(version_of e2fsprogs)" optional 'libc6-udeb, libblkid1-udeb, libuuid1-udeb' ''
}

version_of() { apt-cache show --no-all-versions "$1" | sed -n 's/^Version: //p'; }

# Builds STORE/made.udeb of what lies below ROOT.
make_component() {
    local root=$1 store=$2 name=$3 version=$4 priority=$5 depends=$6 provides=$7 kernel=${8-}
    mkdir -p "$root/DEBIAN"
    {
        printf '%s: %s\n' Package "$name" Version "$version" Architecture amd64 Section debian-installer \
            Priority "$priority" Maintainer 'Slipway demo medium <demo@slipway.invalid>' Depends "$depends"
        [ -z "$provides" ] || echo "Provides: $provides"
        [ -z "$kernel" ] || echo "Kernel-Version: $kernel"
        echo "Description: made for a test medium of the package that it is usually built beside"
    } >"$root/DEBIAN/control"
    dpkg-deb --root-owner-group --uniform-compression -Zxz -b "$root" "$store/made.udeb" >/dev/null
    rm -rf "$root"
}

# Puts a component into the pool and its stanza into the index.
lay_made() {
    local tree=$1 index=$2 made=$3 name file
    name=$(dpkg-deb -f "$made" Package)
    file=pool/main/installer/${name}_$(dpkg-deb -f "$made" Version)_amd64.udeb
    mkdir -p "$tree/pool/main/installer"
    mv "$made" "$tree/$file"
    {
        dpkg-deb -f "$tree/$file"
        printf '%s: %s\n' Filename "$file" Size "$(stat -c %s "$tree/$file")" \
            MD5sum "$(md5sum <"$tree/$file" | cut -d' ' -f1)" SHA256 "$(sha256sum <"$tree/$file" | cut -d' ' -f1)"
        echo
    } >>"$index"
}
