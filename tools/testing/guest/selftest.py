# SPDX-License-Identifier: GPL-2.0
"""Runs one of the kernel's own selftests between the NIC under test and the
peer's, unmodified, and gives its lines to the runner, which holds them to
tools/testing/upstream."""

import os
import re
import signal
import subprocess
import time

from vnrtest import Failed, check, wait_for

# Programs that the tree has no version new enough of.
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin")
FOLDER = "tools/testing/selftests"
KTAP = re.compile(r"(ok|not ok) \d+ (\S+)(?: # ?(SKIP|XFAIL)\b ?(.*))?\s*$")
PLAN = re.compile(r"1\.\.(\d+)")
# What the shell library prints instead, with colours or without.
TEST = re.compile(r"TEST: (.*?)\s+\[\s*(OK|FAIL|SKIP|XFAIL)\s*\]")
# xskxceiver's own words, which name a test, behind KTAP's.
XSK = re.compile(r"(?:not )?ok \d+ (?:# SKIP )?(PASS|FAIL|SKIP): (?:SKB|DRV|ZC) (?:BUSY-POLL )?(\S+)(?: -- (.*))?$")
# xdp_features: what it measured, and what the driver claims.
FEATURE = re.compile(r"Feature (\w+): \[((?:NOT )?DETECTED)\]\[((?:NOT )?ADVERTISED)\]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# A program that does nothing here says so with this status.
SKIPPED = 4
# In the tunnels of its own that tso.py makes are 192.0.2.0/24 and 2001:db8::/64.
ADDRESSES = {"dut": ("198.51.100.1", "2001:db8:1::1"), "peer": ("198.51.100.2", "2001:db8:1::2")}


def place(env, path):
    """Where a file of the selftests is."""
    return os.path.join(env.job["selftests"], FOLDER, path)


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
        feature = FEATURE.search(line)
        if feature:
            bad = ", ".join(word for word in feature.groups()[1:] if word.startswith("NOT"))
            found.append([f"{program}.{feature[1]}", "fail" if bad else "pass", bad])
        elif xsk:
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


def run(env, path, seconds, *arguments, root=None, note="", prepared=True, name=None, late=()):
    """Run the program at `path` below the selftests for at most so many seconds (under
    emulation); `root` is another copy of them. `arguments` choose some of its lines, unless
    what it says with them has a `name` of its own. A line whose failure says one of `late` may
    have been short of time: it has a second try."""
    if prepared:
        env.stop_serving()
        for nic in (env.dut, env.peer):
            renumber(nic)
    file = os.path.join(root or place(env, ""), path)
    base, kind = os.path.splitext(os.path.basename(path))
    program = name or base
    interpreter = {".py": ["python3"], ".sh": ["bash"]}.get(kind, [])
    start = time.monotonic()
    command = [*interpreter, file]
    output, status = execute([*command, *arguments], os.path.dirname(file), settings(env),
                             seconds * env.job["slowness"])
    found, announced = lines(program, output)
    if status == SKIPPED and not found:
        found = [[program, "skip", " ".join(output.split())[-300:]]]
        announced = None
    told, text = again(env, command, program, found, late, start + seconds * env.job["slowness"])
    env.control.ask(selftest={"program": program, "lines": told, "output": output + text, "note": note,
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


def again(env, command, program, found, late, end):
    """(the lines with those of a second try, what the program said then), where there is time left."""
    names = [name for name, status, why in found if status == "fail" and any(text in why for text in late)]
    if not names or time.monotonic() > end:
        return found, ""
    chosen = [word for name in names for word in ("-t", name.removeprefix(f"{program}."))]
    output, _ = execute([*command, *chosen], os.path.dirname(command[-1]), settings(env), end - time.monotonic())
    second = {line[0]: line for line in lines(program, output)[0]}
    return [second.get(line[0], line) for line in found], f"\nA second try:\n{output}"


def features(env, names, seconds):
    """Run bpf/xdp_features for each of the names: one process at the device under test, which another
    at the far end asks for what the driver claims, and sends ten datagrams to."""
    program, output = place(env, "bpf/xdp_features"), []
    addresses = ["-D", f"::ffff:{env.dut.ip4}", "-T", f"::ffff:{env.peer.ip4}"]
    env.stop_serving()
    for name in names:
        with open("/tmp/features.out", "w+") as log:
            served = subprocess.Popen([program, "-f", name, *addresses, env.dut.name], stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=subprocess.STDOUT)
            # From then on it waits for three seconds.
            wait_for(lambda: listens(12345), f"{name}: the device's side", 60)
            with env.peer.enter():
                asked = subprocess.run([program, "-t", "-f", name, *addresses, "-C", addresses[1], env.peer.name],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, timeout=seconds)
            try:
                served.wait(20)
            finally:
                served.kill()
                log.seek(0)
                output += [f"# {name}", log.read(), asked.stdout]
    found, _ = lines("xdp_features", "\n".join(output))
    env.control.ask(selftest={"program": "xdp_features", "lines": found, "output": "\n".join(output), "note": "",
                              "chosen": []})


def listens(port):
    """Whether a process listens to that TCP port, over IPv6."""
    with open("/proc/self/net/tcp6") as file:
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                   for line in file.read().splitlines()[1:])
