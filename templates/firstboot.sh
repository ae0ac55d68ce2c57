<# Puts the program and the list of postscripts on the node, checks both, and makes them run after the
    first boot; and, for root alone, what the node enrols with. The one place that knows firstboot's options.

    The script before sets $target, where the installed system is mounted, and inside(), which runs a
    command in it. #>
<% if enrolment %>
order=$target<@ enrolment.path | sh @>
mkdir -p "${order%/*}"
rm -f "$order"
(umask 077 && printf '%s\n' <@ enrolment.text | sh @> >"$order")
<% endif %>
<% if firstboot %>
fetch() {
    mkdir -p "$target${2%/*}"
    rm -f "$target$2.new"
    (umask 077 && : >"$target$2.new")
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --retry 5 --output "$target$2.new" "$1"
    else
        wget -q -O "$target$2.new" "$1"
    fi
    echo "$3  $target$2.new" | sha256sum -c - >&2
    chmod "$4" "$target$2.new"
    mv "$target$2.new" "$target$2"
}
fetch <@ firstboot.url | sh @> <@ firstboot.path | sh @> <@ firstboot.sha256 | sh @> 0755
fetch <@ firstboot.list_url | sh @> <@ firstboot.list_path | sh @> <@ firstboot.list_sha256 | sh @> 0600
inside <@ firstboot.path | sh @> --enable
<% if firstboot.in_installer %>
inside <@ firstboot.path | sh @> --phase installer
<% endif %>
<% endif %>
