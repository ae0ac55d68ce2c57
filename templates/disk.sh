<# Finds the disk to install to and leaves its name in $disk. Plain shell, for what every installer has.

    Where the definition names no disk: the smallest that is built in (no USB), not removable, not
    write-protected, not in use and at least disk.smallest bytes large; of two alike the first by name.
    Where none fits, it prints that on the console and ends with 1, so that no other disk is taken. #>
say() {
    echo "slipway: $*" >&2
    echo "slipway: $*" >/dev/console || true
}
<% if disk.device %>
disk=$(readlink -f <@ disk.device | sh @> || true)
if [ ! -b "$disk" ]; then
    say "no disk to install to: there is no" <@ disk.device | sh @>
    exit 1
fi
<% else %>
disk=''
seen=''
for path in /sys/block/*; do
    name=${path##*/}
    case $name in sr* | fd* | nbd* | mmcblk*boot* | mmcblk*rpmb) continue ;; esac
    [ -e "$path/device" ] || continue
    size=$(cat "$path/size")
    seen="$seen $name=$((size / 2048))MiB"
    [ "$(cat "$path/removable")" = 0 ] || continue
    [ "$(cat "$path/ro")" = 0 ] || continue
    [ "$(cat "$path/hidden" 2>/dev/null || echo 0)" = 0 ] || continue
    case $(readlink -f "$path") in */usb[0-9]*) continue ;; esac
    name=$(echo "$name" | tr '!' '/')
    if grep -q "^/dev/${name}p\{0,1\}[0-9]* " /proc/mounts; then continue; fi
    [ "$size" -ge <@ disk.smallest // 512 @> ] || continue
    if [ -z "$disk" ] || [ "$size" -lt "$sectors" ]; then
        disk=/dev/$name
        sectors=$size
    fi
done
if [ -z "$disk" ]; then
    say "no disk to install to: none is built in, writable and at least <@ disk.smallest // 1048576 @> MiB large; found:${seen:- none}"
    exit 1
fi
<% endif %>
say "installing to $disk"
