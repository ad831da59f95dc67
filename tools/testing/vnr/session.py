# SPDX-License-Identifier: GPL-2.0
"""Runs one guest's plan to its end: a guest that dies is replaced by another
for the cases that are left, a few times."""

import json
import os
import random
import re
import sys
import time

from . import accel, console, jobs, network, paths, upstream
from .guest import Guest, GuestDied, mac_address
from .results import Result

# The suite "hostile" has some cases that end the C driver's guest.
RESTARTS = 12
# How often a guest may fail to come up.
TRIES = 3
# How often a case may be run again after what is neither driver's fault.
AGAIN, FULL_AGAIN = 2, 6
EMULATORS_FAULT = "a fault of the emulator, not of the kernel"
# Of cases that choose at random; a run prints it.
SEED = int(os.environ.get("VNR_SEED") or random.randrange(1, 1 << 30))
VERDICT = re.compile(r"(ok|not ok) \d+ (\S+)(?: # SKIP ?(.*))?$")


class Session:
    def __init__(self, plan, results, full):
        self.plan, self.results, self.full = plan, results, full
        self.verdicts = []
        self.came_up, self.others_fault = False, ""
        self.accel = accel.choose()[1]
        # Limits are for a machine that has other work too.
        self.slowness = (2 if self.accel == "tcg" else 1) * jobs.slowness() * plan.kernel.slowness

    def job(self, cases, by_turns):
        return {"cases": cases, "peer_driver": self.plan.peer_driver, "tests": str(paths.TESTS),
                "slowness": self.slowness * (2 if by_turns else 1), "full": self.full, "seed": SEED,
                "quick": self.plan.ci or bool(os.environ.get("QUICK")), "brief": self.plan.brief,
                **describe_nics(self.plan.nics, self.plan.kernel)}

    def run(self):
        """Returns this guest's verdicts."""
        left, tries, reason, by_turns = list(self.plan.cases), TRIES, "", False
        again = FULL_AGAIN if self.full else AGAIN
        for attempt in range(RESTARTS + 1):
            if Guest.ending:
                break
            done, reason = self._boot(left[:1] if by_turns else left, attempt, by_turns)
            if not self.came_up:
                # No case has begun, and no driver of ours was there yet.
                print(f"# guest {self.plan.name} did not come up: {reason}", flush=True)
                tries -= 1
                if tries:
                    continue
                break
            left = left[done:]
            if not left:
                break
            if by_turns and done:
                by_turns = False
                continue
            if self.others_fault and again:
                again -= 1
                # Emulation by turns is slower, and does not make that fault.
                by_turns = self.others_fault == EMULATORS_FAULT
                print(f"# guest {self.plan.name}: {self.others_fault} ({reason}); {left[0]['id']} is run again",
                      flush=True)
                continue
            # The case that was running fails; another guest takes the rest.
            by_turns = False
            self._add(left.pop(0), "fail", reason)
            if not left:
                break
        why = "the run was ended" if Guest.ending else f"the guest died too often ({reason})"
        for entry in left:
            self._add(entry, "fail", f"not run: {why}")
        return self.verdicts

    def _add(self, entry, status, why="", seconds=0.0):
        result = Result(entry["variant"], entry["driver"], status, why, seconds)
        self.verdicts.append(self.results.add(result))

    def _progress(self, text=""):
        """The running case, on a terminal only: the line is written over."""
        if sys.stdout.isatty():
            print(f"\r\033[K{text[:100]}\r", end="", flush=True)

    def _boot(self, cases, attempt, by_turns):
        """(cases done, why it ended early or None)."""
        name = self.plan.name + (f"-again{attempt}" if attempt else "")
        verdicts, why, reason, seconds, ended = [], "", "the guest ended early", 0.0, False
        self.came_up, self.others_fault = False, ""
        qemu, _ = accel.choose(self.plan.counted, self.plan.sse4, by_turns)
        guest = Guest(name, self.plan.nics, self.job(cases, by_turns), qemu, self.plan.kernel,
                      cpus=self.plan.cpus, memory=self.plan.memory,
                      in_memory=self.plan.in_memory)
        try:
            with guest:
                for line in guest.lines():
                    verdict = VERDICT.match(line)
                    if line.startswith("@ "):
                        self._request(guest, line[2:])
                    elif line.startswith("# start "):
                        self.came_up = True
                        guest.expect(float(line.split()[2]))
                        self.running = line.split()[3]
                        self._progress(f"  {name} {len(verdicts) + 1}/{len(cases)} {line.split()[3]}")
                        why = ""
                    elif line.startswith("# time "):
                        seconds = float(line.split()[2])
                    elif verdict:
                        status = {"ok": "ok", "not ok": "fail"}[verdict[1]]
                        if verdict[3] is not None:
                            status, why = "skip", verdict[3]
                        verdicts.append((status, why, seconds))
                        guest.expect(30 * jobs.slowness() * self.plan.kernel.slowness)
                    elif line == "# end":
                        ended = True
                    elif line.startswith("# "):
                        why = line[2:]
        except GuestDied as died:
            reason = str(died)
        except network.NetworkError as error:
            raise SystemExit(f"error: {error}") from error
        self._progress()
        wrong = guest.model.verdict()
        if wrong:
            self._add({"variant": f"{name}.device_model", "driver": "host"}, "fail", wrong)
        text = guest.console()
        done = [entry["id"] for entry in cases[:len(verdicts) + 1]]
        if not ended and self.accel == "tcg" and console.stale_int3(text):
            self.others_fault = EMULATORS_FAULT
        elif not ended and console.left_by_c(done, guest.waits()):
            self.others_fault = f"the C driver's device does not go after {done[-2]}"
        splats = console.splats(text)
        for entry, (status, why, seconds) in zip(cases, verdicts):
            own = [line for case, line in splats if case == entry["id"]]
            if own:
                status, why = "fail", f"kernel log: {own[0]} (see {guest.log})"
            self._add(entry, status, why, seconds)
        stray = [line for case, line in splats if case is None]
        entry = {"variant": f"{name}.kernel_log", "driver": "host"}
        if stray:
            self._add(entry, "fail", f"outside any case: {stray[0]} (see {guest.log})")
        elif ended:
            self._add(entry, "ok")
        elif len(verdicts) == len(cases):
            self._add(entry, "fail", f"the guest did not clean up: {reason} (see {guest.log})")
        last = [line for line in text.splitlines() if console.SPLAT.search(line)]
        detail = f"; {last[-1].strip()}" if last and not ended else ""
        return len(verdicts), f"{reason}{detail} (see {guest.log})"

    def _request(self, guest, text):
        request = json.loads(text)
        try:
            if "qmp" in request:
                value = guest.execute(request["qmp"], **request.get("arguments", {}))
            elif "model" in request:
                value = guest.model.ask(request["model"])
            elif "observe" in request:
                value = self.results.observe(self.running, self.plan.kernel.release,
                                             request["observe"])
            elif "selftest" in request:
                value = self._selftest(request["selftest"])
            elif "plug" in request:
                index = request["plug"]
                value = guest.execute("device_add", **self.plan.nics[index].plugged(index, mac_address(index)))
            elif "drops" in request:
                value = guest.wire.drops()
            else:
                raise ValueError("no such request")
            guest.answer({"number": request.get("number"), "value": value})
        except (RuntimeError, ValueError) as error:
            guest.answer({"number": request.get("number"), "error": str(error)})

    def _selftest(self, report):
        """What one of the kernel's own selftests said, held to what is expected."""
        entry = next(case for case in self.plan.cases if case["id"] == self.running)
        log = paths.OUT / "selftests" / f"{report['program']}{self.plan.kernel.suffix}@{entry['driver']}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text(report["output"])
        self._progress()
        for line in report["note"].splitlines():
            print(f"# {line}", flush=True)
        for result in upstream.judge(entry, self.plan.kernel.name, report, upstream.read()):
            self.verdicts.append(self.results.append(result))


def describe_nics(nics, kernel):
    """What the guest must know of its NICs, the last of which is the peer. `port` is
    the device model's number for the NIC."""
    ports = [index for index, nic in enumerate(nics) if nic.model]
    return {"module": str(kernel.module), "fault_module": str(kernel.fault_module),
            "restart_module": str(kernel.restart_module),
            "traffic": str(paths.OUT / "bin" / "traffic"),
            "bpf": str(paths.OUT / "bin"), "sanitized": str(paths.OUT / "asan"),
            "selftests": os.environ.get("VNR_SELFTESTS"),
            "nics": [{"role": "peer" if index == len(nics) - 1 else "dut", "label": nic.label,
                      "mmio": nic.mmio, "mac": mac_address(index), "place": nic.place(index),
                      "port": ports.index(index) if nic.model else None}
                     for index, nic in enumerate(nics)]}


def describe(plan, verdicts, start):
    """One line for a finished guest."""
    count = {word: sum(v.status in words for v in verdicts) for word, words in
             (("passed", ("ok", "xfail")), ("failed", ("fail",)), ("skipped", ("skip",)))}
    parts = [f"{count['passed']} passed"]
    parts += [f"{count[word]} {word}" for word in ("failed", "skipped") if count[word]]
    return f"guest {plan.name}: {', '.join(parts)} ({time.monotonic() - start:.0f} s)"
