# SPDX-License-Identifier: GPL-2.0
"""Runs one of the kernel's own selftests between the NIC under test and the
peer's, unmodified, and gives its lines to the runner, which holds them to
tools/testing/upstream."""

import os
import re
import signal
import subprocess
import time

from vnrtest import Failed, check

# Programs that the tree has no version new enough of.
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin")
FOLDER = "tools/testing/selftests"
KTAP = re.compile(r"(ok|not ok) \d+ (\S+)(?: # ?(SKIP|XFAIL)\b ?(.*))?\s*$")
PLAN = re.compile(r"1\.\.(\d+)")
# What the shell library prints instead, with colours or without.
TEST = re.compile(r"TEST: (.*?)\s+\[\s*(OK|FAIL|SKIP|XFAIL)\s*\]")
# xskxceiver's own words, which name a test, behind KTAP's.
XSK = re.compile(r"(?:not )?ok \d+ (?:# SKIP )?(PASS|FAIL|SKIP): (?:SKB|DRV|ZC) (?:BUSY-POLL )?(\S+)(?: -- (.*))?$")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# A program that does nothing here says so with this status.
SKIPPED = 4
# In the tunnels of its own that tso.py makes are 192.0.2.0/24 and 2001:db8::/64.
ADDRESSES = {"dut": ("198.51.100.1", "2001:db8:1::1"), "peer": ("198.51.100.2", "2001:db8:1::2")}


def renumber(nic):
    """Other addresses than those that the programs take for their own devices."""
    nic.ip(f"addr flush dev {nic.name} scope global")
    nic.ip4, nic.ip6 = ADDRESSES[nic.role]
    nic.addresses()


def settings(env):
    """What drivers/net/README.rst asks for: the two ends and how to reach the far one; and
    what the kernel's own runs say of a machine that keeps no exact time."""
    slow = {"KSFT_MACHINE_SLOW": "yes"} if env.job["slowness"] > 1 else {}
    return {**os.environ, **slow, "NETIF": env.dut.name, "LOCAL_V4": env.dut.ip4, "LOCAL_V6": env.dut.ip6,
            "REMOTE_V4": env.peer.ip4, "REMOTE_V6": env.peer.ip6,
            "LOCAL_PREFIX_V6": "2001:db8:2::0/64", "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "REMOTE_TYPE": "netns", "REMOTE_ARGS": env.peer.namespace or ""}


def reason(comments):
    """Of the remarks before a line that failed, those that say why."""
    raised = re.compile(r"Exception\| ([\w.]*(?:Error|Failure|Ex|Exception): .*)")
    failed = [text for text in comments if text.startswith("Check failed")]
    failed += [found[1] for found in map(raised.match, comments) if found]
    # In an exception's text the command and what it said come after its name; of what it
    # said, the last line tells why.
    said = [text.partition("|")[2] for text in comments if re.match(r"Exception\|\s+(CMD|STDERR):", text)]
    last = [text.partition("|")[2] for text in comments if text.startswith("Exception|") and text[10:].strip()]
    picked = (failed[-1:] + said[-2:] + (last[-1:] if said else [])) or comments[-1:]
    short = [text if len(text) < 160 else f"{text[:60]} ... {text[-90:]}"
             for text in (" ".join(text.split()) for text in picked)]
    return "; ".join(dict.fromkeys(short))


def lines(program, output):
    """([[name, status, why]], number of lines that the program announced or None)."""
    found, comments, announced = [], [], None
    for line in COLOUR.sub("", output).splitlines():
        plan, ktap, test, xsk = PLAN.match(line), KTAP.match(line), TEST.search(line), XSK.match(line)
        if xsk:
            status = xsk[1].lower()
            told = [text for text in comments if re.match(r"\[|error", text, re.IGNORECASE)]
            told = told[-1:] if status == "fail" and told else comments[-1:]
            why = xsk[3] or ("" if status == "pass" else reason(told))
            found.append([f"{program}.{xsk[2]}", status, why])
            comments = []
        elif ktap:
            status = {"ok": "pass", "not ok": "fail"}[ktap[1]]
            why = " ".join((ktap[4] or "").split())[:300]
            if ktap[3]:
                status = ktap[3].lower()
            found.append([ktap[2], status, why or (reason(comments) if status == "fail" else "")])
            comments = []
        elif test:
            status = {"OK": "pass"}.get(test[2], test[2].lower())
            found.append([f"{program}.{'_'.join(test[1].split())}", status, ""])
            comments = []
        elif plan:
            announced = int(plan[1])
        elif line.strip():
            comments.append(line.lstrip("# ").rstrip())
    return found, announced


def execute(command, folder, environment, seconds):
    """(output, status or None if it was not done in time)."""
    with open("/tmp/selftest.out", "w+", errors="replace") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            # Asked to, a program undoes what it changed.
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.seek(0)
        return log.read(), status


def run(env, path, seconds, *arguments, root=None, note="", prepared=True, name=None):
    """Run the program at `path` below the selftests for at most so many seconds (under
    emulation); `root` is another copy of them. `arguments` choose some of its lines, unless
    what it says with them has a `name` of its own."""
    if prepared:
        env.stop_serving()
        for nic in (env.dut, env.peer):
            renumber(nic)
    file = os.path.join(root or os.path.join(env.job["selftests"], FOLDER), path)
    base, kind = os.path.splitext(os.path.basename(path))
    program = name or base
    interpreter = {".py": ["python3"], ".sh": ["bash"]}.get(kind, [])
    start = time.monotonic()
    output, status = execute([*interpreter, file, *arguments], os.path.dirname(file), settings(env),
                             seconds * env.job["slowness"])
    found, announced = lines(program, output)
    if status == SKIPPED and not found:
        found = [[program, "skip", " ".join(output.split())[-300:]]]
        announced = None
    env.control.ask(selftest={"program": program, "lines": found, "output": output, "note": note,
                              "chosen": [] if name else list(arguments)})
    check(status is not None,
          f"{program}: not done within {time.monotonic() - start:.0f} s, {len(found)} lines came")
    last = " / ".join(output.strip().splitlines()[-3:])
    check(found, f"{program}: status {status} and no lines: {last}")
    check(announced in (None, len(found)), f"{program}: {len(found)} lines of {announced}: {last}")
    failed = any(line[1] == "fail" for line in found)
    skipped = any(line[1] == "skip" for line in found)
    good = {1} if failed else {0, SKIPPED} if skipped else {0}
    if base == "xskxceiver" and failed:
        good = {0, 1}  # it does not count all of its failures
    if status not in good:
        raise Failed(f"{program}: status {status} does not fit its lines: {last}")
