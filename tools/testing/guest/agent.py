# SPDX-License-Identifier: GPL-2.0
"""Runs the cases of a job in the guest, each in a process of its own, and
reports them as KTAP over the second serial line. Usage: agent.py JOB"""

import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import fault
import vnrtest
from environment import Control, Environment
from nic import DRIVERS, run


def mark(text):
    """A line in the kernel log, so that a splat is the case's that made it."""
    with open("/dev/kmsg", "w") as file:
        file.write(f"<6>vnr: {text}\n")


def kill_descendants():
    """End what a case left running; this process is their reaper."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid():
            os.kill(int(entry), signal.SIGKILL)
            return os.waitpid(int(entry), 0)
    return None


def in_child(environment, case, to):
    """The case's own process: set up, run, write the verdict as JSON."""
    os.setpgid(0, 0)
    verdict = {"result": "ok"}
    try:
        environment.fresh()
        if environment.dut.driver() != DRIVERS[environment.driver]:
            raise vnrtest.Failed("the device under test has another driver")
        case.function(environment)
    except vnrtest.Skip as skip:
        verdict = {"result": "skip", "why": str(skip)}
    except vnrtest.Failed as failed:
        verdict = {"result": "fail", "why": str(failed)}
    except BaseException as error:  # a broken test must not pass
        last = traceback.extract_tb(error.__traceback__)[-1]
        verdict = {"result": "fail", "why": f"{type(error).__name__}: {error} "
                                            f"({os.path.basename(last.filename)}:{last.lineno})"}
    os.write(to, json.dumps(verdict).encode())
    os._exit(0)


def supervise(environment, case, seconds):
    """Run one case; its verdict, within its time."""
    end = time.monotonic() + seconds
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        in_child(environment, case, sink)
    os.close(sink)
    os.set_blocking(source, False)
    data = b""
    while True:
        done, _ = os.waitpid(child, os.WNOHANG)
        try:
            data += os.read(source, 65536)
        except BlockingIOError:
            pass
        if done:
            break
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            data = json.dumps({"result": "fail",
                               "why": f"not done within {seconds} s"}).encode()
            break
        time.sleep(0.02)
    os.close(source)
    while kill_descendants():
        pass
    if not data:
        return {"result": "fail", "why": "the case's process died"}
    return json.loads(data)


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    sys.path.insert(0, job["tests"])
    for name in {entry["case"].split(".")[0] for entry in job["cases"]}:
        importlib.import_module(f"test_{name}")
    # Orphans of a case come to us.
    import ctypes
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    control = Control()
    run("ip", "netns", "add", "peer")
    run("ip", "-n", "peer", "link", "set", "lo", "up")
    for where in ([], ["ip", "netns", "exec", "peer"]):
        run(*where, "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647",
            "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.router_solicitations=0",
            "net.ipv6.conf.default.accept_ra=0")
    environment = Environment(job, control)
    vnrtest.slowness = job["slowness"]
    control.say("KTAP version 1")
    control.say(f"1..{len(job['cases'])}")
    for number, entry in enumerate(job["cases"], 1):
        case = vnrtest.CASES[entry["case"]]
        name = entry["id"]
        environment.select(entry["driver"], entry["label"])
        seconds = (case.full if job["full"] else case.timeout) * job["slowness"]
        control.say(f"# start {seconds} {name}")
        mark(f"start {name}")
        begin = time.monotonic()
        verdict = supervise(environment, case, seconds)
        mark(f"end {name}")
        why = " ".join(verdict.get("why", "").split())
        if why and verdict["result"] == "fail":
            control.say(f"# {why}")
        control.say(f"# time {time.monotonic() - begin:.1f}")
        word = "not ok" if verdict["result"] == "fail" else "ok"
        tail = f" # SKIP {why}" if verdict["result"] == "skip" else ""
        control.say(f"{word} {number} {name}{tail}")
    # What was lost may show only now.
    for nic in environment.nics:
        nic.unbind()
    for driver in DRIVERS:
        if environment.modules.loaded(driver):
            environment.modules.unload(driver)
    fault.leaks()
    control.say("# end")


if __name__ == "__main__":
    main()
