"""A connection that is there and carries nothing any more: the worker takes it for lost by itself, comes back, and what runs there goes on."""
from remote_rig import Wire, need_openssl, remote_worker, serve
from worker_rig import equal, events, lines, result, run, start, until, until_lines

need_openssl()


def it_comes_back_from_a_connection_that_is_frozen(p):
    serve(p)
    wire = Wire(p.port)
    remote_worker(p, port=wire.port)
    start(p, "r1", "hold_unsafe")
    until_lines(p, ["began r1 1"])
    wire.freeze()
    until(p, lambda: "connected again" in p.read("worker.log"), "it notices, after 35 s")
    p.write("go", "")
    result(p, "r1")
    equal(lines(p), ["began r1 1", "ended r1 1"], "the same attempt")
    equal((events(p, "r1", "ActivityRetried"), events(p, "r1", "ActivityUnknown")), (0, 0))
    equal(wire.count, 2)


run(globals())
