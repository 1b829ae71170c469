"""Drives the pawl program as a person or a script would: each test has a folder, a journal in it, and at most one engine.

    python3 cli_runs_test.py PAWL MODULE.so ... [TEST]     TEST: only the tests whose name holds this

Waits for events (a ready line, a run's state), never for an amount of time. Standard library only.
"""
import fcntl
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback

import machine

DEADLINE = 60  # seconds: what does not happen by then has failed


class Failure(AssertionError):
    """A test's expectation that did not hold."""


def check(truth, message):
    if not truth:
        raise Failure(message)


def equal(got, wanted, what="value"):
    check(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


def within(text, part):
    check(part in text, f"{part!r} is not in:\n{text}")


class Done:
    """A command that has ended."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def says(self):
        return f"$ {' '.join(self.argv)}\nexit {self.code}\nstdout: {self.out}\nstderr: {self.err}"

    def exits(self, code):
        check(self.code == code, f"wanted exit {code}\n{self.says()}")
        return self

    def json(self):
        """The one JSON document on stdout, and nothing else."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise Failure(f"stdout is not one JSON document ({error})\n{self.says()}") from error

    def jsonl(self):
        """The JSON values on stdout, one a line, and nothing else."""
        try:
            return [json.loads(line) for line in self.out.splitlines()]
        except ValueError as error:
            raise Failure(f"stdout is not JSON lines ({error})\n{self.says()}") from error


class Place:
    """A test's folder, with its journal and its engine."""

    def __init__(self, pawl, modules):
        self.pawl, self.modules = pawl, modules
        self.folder = tempfile.mkdtemp(prefix="pawl-cli-")
        self.db = os.path.join(self.folder, "pawl.db")
        self.engine, self.workers = None, []
        self.holder, self.port = None, None  # a port that is kept for it
        self.env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.folder, "LC_ALL": "C.UTF-8", "PAWL_DB": self.db}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LD_LIBRARY_PATH"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        with open(self.path(name), "wb" if isinstance(data, bytes) else "w") as f:
            f.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def beside(self):
        """Those that a command may wait for."""
        return [process.pid for process in (self.engine, *self.workers) if process is not None]

    @staticmethod
    def has(program):
        return shutil.which(program) is not None

    def run(self, *args, stdin="", env=None, timeout=DEADLINE):
        argv = [self.pawl, *args]
        given = stdin.encode() if isinstance(stdin, str) else stdin
        try:
            done = machine.run(argv, timeout, self.beside(), input=given, cwd=self.folder, env={**self.env, **(env or {})})
        except machine.Standstill as error:
            raise Failure(str(error)) from error
        return Done(argv, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def on_terminal(self, columns, *args):
        """What a command prints on a terminal of so many columns, without its colours."""
        code, text = self.at_terminal(columns, None, *args)
        check(code == 0, text)
        return text

    def at_terminal(self, columns, interrupt, *args):
        """Its exit code and what it prints there, standard error too. interrupt: Ctrl-C once it has printed this; None = never."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        done = subprocess.Popen([self.pawl, *args], cwd=self.folder, env={**self.env, "TERM": "xterm"}, stdin=subprocess.DEVNULL, stdout=theirs,
                                stderr=subprocess.STDOUT)
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 65536):
                text += piece
                if interrupt is not None and interrupt.encode() in text:
                    done.send_signal(signal.SIGINT)
                    interrupt = None
        except OSError:  # EIO: the other end is closed
            pass
        os.close(ours)
        code = done.wait(timeout=DEADLINE)
        check(interrupt is None, f"it never printed {interrupt!r}: {text.decode()}")
        return code, re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text.decode()).replace("\r\n", "\n")

    def ok(self, *args, **more):
        return self.run(*args, **more).exits(0)

    def begin(self, *args):
        """A command that goes on beside the test."""
        return subprocess.Popen([self.pawl, *args], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def serve(self, *args, code=0):
        """Starts an engine with a module (code: which of them, None = none) and waits for its ready line."""
        check(self.engine is None, "an engine runs already")
        module = ["--module", self.modules[code]] if code is not None else []
        log = open(self.path("serve.log"), "ab")
        self.engine = subprocess.Popen([self.pawl, "serve", *module, *args], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        line = self.engine.stdout.readline()
        check("ready" in line, f"serve did not get ready: {line!r}\n{self.read('serve.log')}")
        self.engine.ready = line
        return self.engine

    def stop(self, number=signal.SIGTERM):
        engine, self.engine = self.engine, None
        engine.send_signal(number)
        try:
            engine.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired as error:
            self.engine = engine  # to be ended with the test
            raise Failure(f"the engine has not ended after {DEADLINE} s\n{machine.standing(self.beside())}") from error
        engine.stdout.close()
        return engine.returncode

    def wait_in(self, process):
        """Until a command sits in its wait: it has connected, and has blocked the signals it takes by itself."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            with open(f"/proc/{process.pid}/status") as f:
                if not re.search(r"^SigBlk:\t0+$", f.read(), re.M):
                    return
            time.sleep(0.01)
        raise Failure("the command does not wait")

    def state(self, run):
        return self.ok("describe", run, "-o", "json").json()

    def until(self, run, wanted):
        """Waits until describe of a run satisfies `wanted`."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            done = self.run("describe", run, "-o", "json")
            if done.code == 0 and wanted(done.json()):
                return done.json()
            time.sleep(0.02)
        raise Failure(f"{run} never got there: {self.run('describe', run).says()}\n{self.run('stack', run).says()}\n{machine.standing(self.beside())}")

    def until_status(self, run, status):
        return self.until(run, lambda d: d["status"] == status)

    def until_waiting(self, run, text):
        return self.until(run, lambda d: text in (d["waiting"] or ""))

    def clear(self):
        if self.holder is not None:
            self.holder.close()
        if self.engine is not None:
            self.engine.kill()
            self.engine.wait()
            self.engine.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        end = time.monotonic() + DEADLINE
        while os.path.exists(self.folder) and not os.path.ismount(self.folder) and time.monotonic() < end:
            time.sleep(0.01)  # a process that ends now may still write
            shutil.rmtree(self.folder, ignore_errors=True)


def plain(text):
    """Text without colours."""
    return re.sub(r"\033\[[0-9;]*[A-Za-z]", "", text)


def main(tests):
    """Runs the functions of `tests` (a module's globals) whose names begin with "it_"; exit 1 if one failed."""
    arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    only = [a for a in arguments if not os.path.exists(a)]
    paths = [os.path.abspath(a) for a in arguments if os.path.exists(a)]
    failed = 0
    for path in (a for a in only if "/" in a):
        print(f"there is no {path}: is it built?", flush=True)
    every = [n for n in tests if n.startswith("it_")]
    names = [n for n in every if any(o in n for o in only) or (not only and not getattr(tests[n], "long", False))]
    for name in names:
        place = Place(paths[0], paths[1:])
        try:
            tests[name](place)
            print(f"ok      {name}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            text = str(error) if isinstance(error, Failure) else traceback.format_exc()
            print(f"FAILED  {name}\n{text}\nagain: python3 {' '.join(sys.argv[:1] + paths)} {name}", flush=True)
            if os.path.exists(place.path("serve.log")):
                print("serve said:\n" + place.read("serve.log")[-3000:], flush=True)
        finally:
            place.clear()
    print(f"{len(names) - failed} of {len(names)} passed")
    sys.exit(1 if failed or not names else 0)
