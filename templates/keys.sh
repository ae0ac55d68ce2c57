<# Lets the administrators' ssh keys in as root. The script before sets $target, where the installed
    system is mounted. #>
<% if root.keys %>
mkdir -p "$target/root/.ssh"
chmod 0700 "$target/root/.ssh"
printf '%s\n'<% for key in root.keys %> <@ key | sh @><% endfor %> >"$target/root/.ssh/authorized_keys"
chmod 0600 "$target/root/.ssh/authorized_keys"
<% endif %>
