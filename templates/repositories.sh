<# Tells the installed system where packages come from, and which keys sign them. The script before sets
   $target, where the installed system is mounted, and inside(), which runs a command in it; the template
   sets repositories, those that it tells of. #>
<% set index_key = "" %>
<% for repository in repositories %>
<% if repository.form == "apt" %>
<% set directory = "/etc/apt/sources.list.d" %>
<% elif repository.form == "dnf" %>
<% set directory = "/etc/yum.repos.d" %>
<% else %>
<% set directory = "/etc/zypp/repos.d" %>
<% endif %>
printf '%s\n' >"$target<@ directory @>/<@ repository.file_name | line @>" \
<% for row in repository.file | trim_end | split(pat="\n") %>
    <@ row | sh @><% if not loop.last %> \<% endif %>
<% endfor %>
<% if repository.key and repository.form != "apt" %>
mkdir -p "$target/etc/pki/rpm-gpg"
printf '%s\n' >"$target/etc/pki/rpm-gpg/RPM-GPG-KEY-<@ repository.name | line @>" \
<% for row in repository.key | trim_end | split(pat="\n") %>
    <@ row | sh @><% if not loop.last %> \<% endif %>
<% endfor %>
inside rpm --import /etc/pki/rpm-gpg/RPM-GPG-KEY-<@ repository.name | line @>
<% endif %>
<# The site signs the indices of its trees with one key. #>
<% if repository.index_key and not index_key %>
<% set_global index_key = repository.index_key %>
mkdir -p "$target/etc/pki/rpm-gpg"
printf '%s\n' >"$target<@ repository.index_key_file | line @>" \
<% for row in index_key | trim_end | split(pat="\n") %>
    <@ row | sh @><% if not loop.last %> \<% endif %>
<% endfor %>
<# zypper verifies by rpm's own keys, dnf by those of each repository. #>
<% if repository.form == "zypper" %>
inside rpm --import <@ repository.index_key_file | line @>
<% endif %>
<% endif %>
<% endfor %>
