<# Tells chrony the time servers, where the installer does not. The script before sets $target, where the
   installed system is mounted. #>
<% if server.timeservers %>
for sources in "$target/etc/chrony/sources.d/slipway.sources" "$target/etc/chrony.d/slipway.conf"; do
    if [ -d "${sources%/*}" ]; then
        printf 'server %s iburst\n'<% for source in server.timeservers %> <@ source | sh @><% endfor %> >"$sources"
    fi
done
<% endif %>
