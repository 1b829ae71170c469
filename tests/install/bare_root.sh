#!/usr/bin/env bash
# Packages in a bare system: bare_root.sh FOLDER-OF-DEBS WORK. In a minimal Debian 12 (debootstrap; kept as WORK/base, or what PAWL_BARE_BASE names) they are
# installed, used, and purged, and every file of the system is listed before and after. Needs root, the network and util-linux' unshare; else exit 77.
# Not looked at: systemd, which does not run there.
set -euo pipefail

if [ "${1-}" = inside ]; then
    export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv
    cd /srv/debs
    # what nobody's package is: caches and logs
    listed() { find / -xdev \( -path /proc -o -path /dev -o -path /srv -o -path /tmp -o -path /var/cache -o -path /var/log -o -path /var/lib/apt \) -prune -o -print | sort; }
    # with what they need, and what tries them, there already: purge is about the packages alone
    needed=$(for deb in *.deb; do dpkg-deb -f "$deb" Depends; done | tr ',' '\n' | sed 's/(.*//; /libpawl/d' | sort -u)
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $needed gcc cmake ninja-build man-db bash-completion >/srv/apt.log 2>&1 ||
        { tail -n 20 /srv/apt.log && echo "skipped: apt does not reach Debian" && exit 77; }
    listed >/srv/before
    apt-get install -y -qq --no-install-recommends ./*.deb >/srv/apt.log 2>&1 || { cat /srv/apt.log && exit 1; }
    pawl version
    pawl --db /srv/a.db start release -w a -i '{}'
    pawl --db /srv/a.db verify
    man -w pawl-start
    bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader pawl; complete -p pawl'
    mkdir /srv/host
    cat >/srv/host/host.c <<'END'
#include <pawl.h>
int main(void)
{
    pawl_engine *e;
    pawl_error err;
    pawl_options o = {.struct_size = sizeof o, .memory = true};
    if (pawl_open("", &o, &e, &err) != PAWL_OK) {
        return 1;
    }
    pawl_close(e, 0);
    return 0;
}
END
    for name in pawl pawl-static pawl-net pawl-net-static pawl-embed pawl-embed-static; do
        cc /srv/host/host.c $(pkg-config --cflags --libs "$name") -o /srv/host/host && /srv/host/host
        echo "a program links $name of pkg-config, and runs"
    done
    printf '%s\n' 'cmake_minimum_required(VERSION 3.16)' 'project(host C)' 'find_package(pawl 0.1 REQUIRED)' \
        'foreach(t pawl static net net_static embed embed_static)' 'add_executable(h_${t} host.c)' 'target_link_libraries(h_${t} PRIVATE pawl::${t})' \
        'endforeach()' >/srv/host/CMakeLists.txt
    cmake -S /srv/host -B /srv/host/b -G Ninja >/srv/cmake.log 2>&1 && cmake --build /srv/host/b >>/srv/cmake.log 2>&1 || { cat /srv/cmake.log && exit 1; }
    for t in pawl static net net_static embed embed_static; do
        "/srv/host/b/h_$t"
        echo "a program links pawl::$t of CMake, and runs"
    done
    names=$(for deb in *.deb; do dpkg-deb -f "$deb" Package; done)
    apt-get purge -y -qq $names >/srv/apt.log 2>&1 || { cat /srv/apt.log && exit 1; }
    listed >/srv/after
    diff /srv/before /srv/after || { echo "purge left or took these" && exit 1; }
    echo "purge leaves nothing"
    exit 0
fi

debs=$(cd "$1" && pwd)
work=$2
base=${PAWL_BARE_BASE:-$work/base}
[ "$(id -u)" -eq 0 ] || { echo "skipped: this takes root" && exit 77; }
if [ ! -d "$base" ]; then
    command -v debootstrap >/dev/null || { echo "skipped: debootstrap is not installed" && exit 77; }
    mkdir -p "$work"
    rm -rf "$base.part"
    debootstrap --variant=minbase bookworm "$base.part" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 5 "$work/debootstrap.log" && echo "skipped: debootstrap made no system" && exit 77; }
    mv "$base.part" "$base"
fi
mkdir -p "$work"
root=$(mktemp -d "$work/root.XXXXXX")
trap 'rm -rf "$root"' EXIT
cp -a "$base/." "$root/"
cp /etc/resolv.conf "$root/etc/resolv.conf"
mkdir "$root/srv/debs"
cp "$debs"/*.deb "$root/srv/debs/"
cp "$0" "$root/srv/bare_root.sh"
# mounts of its own, which end with it
unshare --mount --pid --fork --mount-proc bash -c 'mount -t proc proc "$1/proc" && exec chroot "$1" bash /srv/bare_root.sh inside' bare "$root" || { code=$? && exit "$code"; }
