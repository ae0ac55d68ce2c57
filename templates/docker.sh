<# Starts the engine with the system, where it was installed: RPM families leave it off. #>
for unit in "$target/usr/lib/systemd/system/docker.service" "$target/lib/systemd/system/docker.service"; do
    if [ -e "$unit" ]; then
        inside systemctl enable docker.service
        break
    fi
done
