"""What tools/check builds ahead ends when it is told to, also below a first process that waits for nobody. check_test.py CHECKOUT"""
import ctypes
import os
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36

SCRIPT = r"""
set -euo pipefail
root=$1
mkdir -p "$root/build/log"
declare -A configured=([x]=1) targets=([x]="")
mkfifo "$root/began"
build_all() { sh -c "sleep 100 & echo > '$root/began'; wait"; }
eval "$(sed -n '/^ahead=0$/,/^trap end_ahead EXIT$/p' "$2")"
build_ahead x
read -r _ <"$root/began"
end_ahead
"""


def main(checkout, folder):
    # As in a container whose first process is "tail -f /dev/null": what lost its parent is ours, and stays a zombie.
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        print("skipped: this system has no subreapers")
        return 77
    check = os.path.join(checkout, "tools", "check")
    with open(check, encoding="utf-8") as file:
        assert "\nbuild_ahead() {" in file.read(), "it builds nothing ahead"
    done = subprocess.run(["bash", "-c", SCRIPT, "check", folder, check], timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done
    return 0


if __name__ == "__main__":
    import tempfile
    with tempfile.TemporaryDirectory() as place:
        sys.exit(main(sys.argv[1], place))
