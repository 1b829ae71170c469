"""The machine that a test runs on: where processes stand when one of them does not get on, and a port to come back to.

    done = run([pawl, "list"], 60, beside=[engine.pid])     as subprocess.run; who does not end in time is told of, with those beside
    print(standing([engine.pid]))
    holder, port = keep_port()

Of each thread its name, its state and what the kernel has it wait for; with gdb here, also its calls. Of the machine: how long work has waited for
the processor, the disk and memory. Only reads, and gives up after some seconds.
"""
import os
import re
import shutil
import socket
import subprocess

GDB_S = 20
LINES_MAX = 400


class Standstill(AssertionError):
    """What has not ended, and where everything stands."""


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().strip()
    except OSError as error:
        return f"({error.strerror})"


def _numbers(folder):
    try:
        return sorted(os.listdir(folder), key=int)
    except OSError:
        return []


def _family(pid):
    """A process and those it has started."""
    found = [pid]
    for at in found:
        for thread in _numbers(f"/proc/{at}/task"):
            found += [int(c) for c in _read(f"/proc/{at}/task/{thread}/children").split() if c.isdigit() and int(c) not in found]
    return found


def _threads(pid):
    rows = []
    for thread in _numbers(f"/proc/{pid}/task"):
        at = f"/proc/{pid}/task/{thread}/"
        state = re.search(r"^State:\s*(.*)$", _read(at + "status"), re.M)
        calls = re.findall(r"^\[<.*>\] (\w+)", _read(at + "stack"), re.M)
        rows.append(f"  thread {thread} {_read(at + 'comm')}: {state[1] if state else 'gone'}; {' < '.join(calls) or _read(at + 'wchan')}")
    return rows


def _calls(pid):
    if shutil.which("gdb") is None:
        return []
    argv = ["gdb", "-nx", "-batch", "-p", str(pid), "-ex", "thread apply all bt 24"]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=GDB_S, check=False)
    except subprocess.TimeoutExpired:
        return ["  gdb does not answer either"]
    return ["  " + line[:200] for line in done.stdout.splitlines() if re.match(r"#|Thread ", line)]


def standing(pids):
    """Text, of these processes and those that they have started."""
    text = [f"load {_read('/proc/loadavg')}"]
    text += [f"waiting for {name}: {_read('/proc/pressure/' + name)}".replace("\n", "; ") for name in ("cpu", "io", "memory")]
    for pid in dict.fromkeys(p for first in pids if first for p in _family(first)):
        command = _read(f"/proc/{pid}/cmdline").replace("\0", " ")
        text += [f"process {pid} {command[:200]}", *_threads(pid), *_calls(pid)]
    return "\n".join(text[:LINES_MAX])


def run(argv, patience_s, beside=(), **how):
    """Like subprocess.run with its output captured and no check."""
    given = how.pop("input", None)
    how = {"stdin": subprocess.DEVNULL if given is None else subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    with subprocess.Popen(argv, **how) as process:
        try:
            out, err = process.communicate(given, timeout=patience_s)
        except subprocess.TimeoutExpired as error:
            where = standing([process.pid, *beside])
            process.kill()
            out, err = process.communicate()
            raise Standstill(f"$ {' '.join(argv)}\nhas not ended after {patience_s} s; it said {out!r} and {err!r}\n{where}") from error
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def keep_port():
    """A socket that keeps a port of 127.0.0.1, and the port: a server that sets SO_REUSEADDR listens on it, and again after it was killed, and meanwhile
    the kernel gives it to nobody who asks for any port."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder, holder.getsockname()[1]
