# SPDX-License-Identifier: GPL-2.0
"""samples/xskqual: runs at both ends of a link, and its verdicts."""

import contextlib
import re
import select
import subprocess

from vnrtest import Failed, check

LINE = re.compile(r"(ok|not ok) (\d+) (\S+) # (.*)")
# What a line's reason begins with, in short.
WORDS = {"claimed, works": "works", "claimed, fails": "false", "works, not claimed": "extra",
         "SKIP not claimed": "none", "SKIP claimed, not measured": "unmeasured"}
PATIENCE = "6"


def program(env):
    return f"{env.job['bpf']}/xskqual"


@contextlib.contextmanager
def far_end(env, nic, *words):
    """The peer's program on a NIC, answering while the context lasts."""
    with nic.enter():
        process = subprocess.Popen([program(env), "-i", nic.name, "--peer", "--idle", "300", *words],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True)
    try:
        ready = select.select([process.stdout], [], [], 20)[0]
        line = process.stdout.readline() if ready else ""
        check("answers at" in line, f"the far end says {line!r}")
        yield process
    finally:
        process.kill()
        process.wait()


def start(env, nic, address, *only, more=()):
    """The tests whose names begin so, or all, in the background."""
    words = [*more, *(word for name in only for word in ("--only", name))]
    with nic.enter():
        return subprocess.Popen([program(env), "-i", nic.name, "--with", address, "--patience", PATIENCE, *words],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)


def verdicts(output):
    """{test: (word, reason)} of what it has printed; every line of a test must be in the plan."""
    found, planned = {}, 0
    for line in output.splitlines():
        if line.startswith("1.."):
            planned = int(line[3:])
        match = LINE.match(line)
        if not match:
            continue
        status, number, name, reason = match.groups()
        kind, _, rest = reason.partition(": ")
        word = WORDS.get(kind)
        check(word, f"a reason of another kind: {line}")
        check((status == "not ok") == (word == "false"), f"status and reason: {line}")
        check(int(number) == len(found) + 1, f"number: {line}")
        found[name] = word, rest
    if len(found) != planned or not planned:
        raise Failed(f"{len(found)} of {planned} tests have a verdict:\n{output}")
    return found


def qualify(env, nic, address, *only, seconds=300):
    """Runs the tests to their end; their verdicts, and the status, which must fit them."""
    process = start(env, nic, address, *only)
    output, _ = process.communicate(timeout=seconds)
    print(output)
    found = verdicts(output)
    false = [name for name, (word, _) in found.items() if word == "false"]
    check(process.returncode == (1 if false else 0), f"status {process.returncode} with {false}")
    return found
