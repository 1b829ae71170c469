# What tools/quickstart, tools/check and the demonstrations share: progress lines, packages, builds. Sourced, not run.
#
# Needs: script (the caller's name), root (the checkout), steps (how many steps it will announce). The demonstrations have none of them, and use fit alone.

started=$(date +%s)
step=0
step_began=$started
step_times=''

clock() {
    printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

elapsed() {
    clock $(($(date +%s) - started))
}

# Columns of the terminal that is written to; 0 = none is.
columns=0
if [ -t 1 ]; then
    exec 9>&1
    columns=$({ stty size <&9 | cut -d ' ' -f 2; } 2>/dev/null || echo 0)
    exec 9>&-
fi

# fit INDENT: a line of standard input, broken between words where the terminal ends; what goes on is indented.
fit() {
    if [ "${columns:-0}" -gt $(($1 + 20)) ]; then
        fold -s -w $((columns - $1)) | sed -e 's/ *$//' -e "2,\$s/^/$(printf '%*s' "$1" '')/"
    else
        cat
    fi
}

# say TEXT: one progress line.
say() {
    printf '[%s %s] %s\n' "$script" "$(elapsed)" "$*" | fit 4
}

# step_ended: how long the step under way took goes to step_times, "0:02 + 3:10".
step_ended() {
    local now
    now=$(date +%s)
    if [ "$step" -gt 0 ]; then
        step_times="${step_times:+$step_times + }$(clock $((now - step_began)))"
    fi
    step_began=$now
}

# begin TEXT: a progress line that counts steps.
begin() {
    step_ended
    step=$((step + 1))
    say "step $step of $steps: $*"
}

die() {
    printf '%s: %s\n' "$script" "$*" >&2
    exit 1
}

# lock_tree: one such script at a time in a tree; two would build and remove the same files. The lock is held by a process that ends with this one, not
# by this one: whatever a test leaves behind would inherit it. A script that has just ended is waited for.
lock_tree() {
    local lock at=$root/build/script.lock
    case $root in # CMake loses its way there; of ', ninja does, and builds everything every time
    *[\"\'\;\$\\]*) die "CMake and ninja cannot build in a folder with one of \" ' ; \$ \\ in its name: $root" ;;
    esac
    mkdir -p "$root/build/log" && exec {lock}>>"$at" ||
        die "cannot write below $root: it takes a clone of your own, on a disk with space"
    flock -w 5 "$lock" ||
        die "tools/$(cat "$at") is at work in this tree: wait until it has ended, or use another clone"
    printf '%s (process %d)\n' "$script" $$ >"$at"
    tail --pid=$$ -s 0.2 -f /dev/null >/dev/null 2>&1 </dev/null &
    disown $!
    exec {lock}>&-
}

# packages_missing KIND...: names of packages.txt that are not installed.
packages_missing() {
    local kind name why wanted
    while read -r kind name why; do
        for wanted in "$@"; do
            if [ "$kind" = "$wanted" ] && ! package_installed "$name"; then
                printf '%s\n' "$name"
            fi
        done
    done <"$root/tools/packages.txt"
}

package_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages KIND...: installs what is missing, and only that.
install_packages() {
    command -v dpkg-query >/dev/null 2>&1 ||
        die "this is not Debian: install what tools/packages.txt lists, then build with cmake --preset release"
    local missing as_root=()
    missing=$(packages_missing "$@")
    if [ -z "$missing" ]; then
        say "no package is missing"
        return 0
    fi
    missing=$(printf '%s' "$missing" | tr '\n' ' ')
    if [ "$(id -u)" -ne 0 ]; then
        # asked here, where a password can be typed
        command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || sudo -v; } || die "packages are missing, and only root can install them. As root:

    apt-get update && apt-get install --no-install-recommends $missing

Then run this again, as anybody."
        as_root=(sudo)
    fi
    say "installing: $missing"
    (run_logged packages-update "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update) || say "going on with the package lists that are here"
    (run_logged packages "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing) ||
        die "these packages were not installed: $missing
This takes Debian 12 or newer, its main archive in apt's sources, and the network."
}

# run_logged NAME COMMAND...: output to build/log/NAME.log, its last line shown now and then, its end when the command fails.
run_logged() {
    local log="$root/build/log/$1.log" status=0 watcher
    shift
    mkdir -p "$root/build/log"
    : >"$log"
    show_growth "$log" &
    watcher=$!
    "$@" >"$log" 2>&1 </dev/null || status=$?
    kill "$watcher" 2>/dev/null || true
    wait "$watcher" 2>/dev/null || true
    if [ "$status" -ne 0 ]; then
        tail -n 60 "$log" >&2
        disk_is_full "$log"
        die "failed: $* (whole output: $log)"
    fi
}

# disk_is_full LOG: says so and ends, if that is why a command failed. A log on a full disk may lack the words.
disk_is_full() {
    local place free
    for place in "$root/build" "${TMPDIR:-/tmp}" /var/cache/apt; do
        free=$({ df -Pm "$place" 2>/dev/null || true; } | awk 'NR == 2 { print $4 }') # not each system has each place
        if [ "${free:-9}" -eq 0 ] || { [ "${free:-9999}" -lt 1024 ] && grep -qi 'no space left on device\|enough free space' "$1"; }; then
            die "the disk is full: $free MiB are free where $place is. Make space, and run this again: what is built stays"
        fi
    done
}

# show_growth FILE: its last line every 20 seconds, while this script lives.
show_growth() {
    local seconds=0
    while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        seconds=$((seconds + 1))
        if [ $((seconds % 20)) -eq 0 ]; then
            # of "[131/445] Building C object engine/CMakeFiles/x.dir/turn.c.o" the file is what tells, and the end is what a narrow terminal cuts off
            say "  ... $(tail -n 1 "$1" | sed -e 's# Building C[A-Z]* object # #' -e 's#CMakeFiles/[^ ]*\.dir/##' |
                cut -c 1-$((columns > 60 ? columns - 34 : 90)))"
        fi
    done
}

# configure NAME ARG...: cmake into build/NAME, afresh if the cache there is of a checkout at another place, or of another compiler than CC says.
configure() {
    local name=$1 cache=$root/build/$1/CMakeCache.txt afresh=() compiler=''
    shift
    if [ -n "${CC-}" ]; then
        compiler=$(command -v ${CC%% *}) || die "CC is '$CC', and there is no ${CC%% *}: install it, or unset CC"
    fi
    if [ -f "$cache" ]; then
        grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache" || afresh=(--fresh)
        [ -z "$compiler" ] || [ "$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$cache")" = "$compiler" ] || afresh=(--fresh)
    fi
    run_logged "$name-configure" cmake ${afresh[@]+"${afresh[@]}"} -S "$root" "$@"
}

# build NAME [TARGET...]: what is configured in build/NAME.
build() {
    local name=$1
    shift
    run_logged "$name-build" cmake --build "$root/build/$name" --parallel "$(jobs_count)" ${1:+--target "$@"}
}

jobs_count() {
    nproc 2>/dev/null || echo 2
}
