"""`pawl serve` and its signals while an activity runs that does not stop: it is named, left behind and done again; a second signal ends all."""
import json
import os
import signal
import time

from cli_rig import DEADLINE, check, equal, main, within


def until(what, text):
    end = time.monotonic() + DEADLINE
    while not what():
        check(time.monotonic() < end, text)
        time.sleep(0.01)


def begin(p, drain):
    engine = p.serve("--drain", drain)
    begun, end = p.path("begun"), p.path("end")
    os.mkfifo(end)
    p.ok("start", "closing", "-w", "c1", "-i", json.dumps({"begun": begun, "end": end}))
    until(lambda: os.path.exists(begun), "the activity never began")
    return engine


def let_it_end(p):
    os.remove(p.path("end"))
    p.write("end", "")


def said(p, text):
    until(lambda: text in p.read("serve.log"), f"serve did not say: {text}")


def it_names_what_it_waits_for_and_closes_without_what_does_not_stop(p):
    begin(p, "100ms")
    equal(p.stop(signal.SIGINT), 0)
    log = p.read("serve.log")
    within(log, "closing: waiting for 1 activity (deaf), at most 0.1 s")
    within(log, "closing: 1 activity (deaf) told to stop, within 2 s")
    within(log, "closed without 1 activity (deaf)")
    let_it_end(p)
    p.serve()
    equal(p.until_status("c1", "completed")["id"], "c1")
    equal(p.ok("result", "c1").out, "1\n")
    equal(p.read("begun"), "attempt 1\nattempt 1\n")  # being closed used up nothing


def it_stops_at_once_at_the_second_signal(p):
    engine = begin(p, "10m")
    engine.send_signal(signal.SIGINT)
    said(p, "closing: waiting for 1 activity (deaf), at most 600 s")
    equal(p.stop(signal.SIGINT), -signal.SIGINT)
    let_it_end(p)
    p.serve()
    p.until_status("c1", "completed")
    equal(p.read("begun"), "attempt 1\nattempt 2\n")  # the process ended under it


main(globals())
