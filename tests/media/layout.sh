# shellcheck shell=bash
# What every Debian medium here has alike, whatever its packages: sourced by debian-iso and mini-debian.

# Writes Packages.gz and Release of one component from its Packages.
lay_component() {
    local dir=$1 suite=$2 version=$3
    gzip -9n "$dir/Packages" --stdout >"$dir/Packages.gz"
    printf '%s: %s\n' Archive "$suite" Version "$version" Component main Origin Debian Label Debian \
        Architecture amd64 >"$dir/Release"
}

# Writes dists/CODENAME/Release over what lies below it, then drops the plain Packages: media carry
# the compressed ones alone, though Release names both.
lay_release() {
    local dists=$1 suite=$2 version=$3 description=$4 field=APT::FTPArchive::Release
    apt-ftparchive -o $field::Origin=Debian -o $field::Label=Debian -o $field::Suite="$suite" \
        -o $field::Version="$version" -o $field::Codename="${dists##*/}" -o $field::Architectures=amd64 \
        -o $field::Components=main -o $field::Description="$description" release "$dists" >"$dists.Release"
    mv "$dists.Release" "$dists/Release"
    find "$dists" -name Packages -delete
}

# Makes a key to sign one medium with; KEYRING is its public half. HOME is its directory, which is no part
# of the build: the path of gpg-agent's socket must fit in 108 bytes.
make_key() {
    local home=$1 keyring=$2
    gpg --homedir "$home" --batch --quiet --passphrase '' --quick-generate-key \
        'Slipway demo medium <demo@slipway.invalid>' ed25519 sign 1y 2>/dev/null
    gpg --homedir "$home" --batch --quiet --export --output "$keyring"
}

# Signs files with the key in HOME, each beside itself.
sign() {
    local home=$1 file
    shift
    for file; do
        gpg --homedir "$home" --batch --quiet --yes --armor --detach-sign --output "$file.gpg" "$file"
    done
}

# Throws the key in HOME away.
drop_key() {
    gpgconf --homedir "$1" --kill all
    rm -rf "$1"
}

# Writes .disk/ as debian-cd does.
lay_label() {
    local tree=$1 codename=$2 version=$3 date=$4
    mkdir -p "$tree/.disk"
    printf 'Debian GNU/Linux %s "%s" - Unofficial amd64 NETINST %s' \
        "$version" "${codename^}" "$date" >"$tree/.disk/info"
    echo main >"$tree/.disk/base_components"
    : >"$tree/.disk/base_installable"
    echo not_complete >"$tree/.disk/cd_type"
}

# Writes md5sum.txt and sha256sum.txt over everything but themselves and their signatures.
lay_checksums() {
    (
        cd "$1" || exit
        files=$(find . -type f ! -path ./md5sum.txt ! -path './sha256sum.txt*' | sort)
        xargs -d '\n' md5sum <<<"$files" >md5sum.txt
        xargs -d '\n' sha256sum <<<"$files" >sha256sum.txt
    )
}

# Writes an image with Rock Ridge and Joliet; further arguments make it boot.
write_image() {
    local tree=$1 out=$2 volume=$3
    shift 3
    xorriso -as mkisofs -quiet -r -J -joliet-long -V "$volume" -o "$out" "$@" "$tree" 2>"$out.log" || {
        cat "$out.log" >&2
        return 1
    }
    rm "$out.log"
}
