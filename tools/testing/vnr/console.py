# SPDX-License-Identifier: GPL-2.0
"""What a guest's kernel said, and during which test case it said it."""

import re

# Lines that no test case may cause.
SPLAT = re.compile("|".join((
    r"\bWARNING: ", r"\bBUG: ", r"\bkernel BUG at\b", r"\bOops\b", r"\bRIP: 0010:",
    r"\bKASAN\b", r"\bUBSAN\b", r"\bKFENCE\b", r"\bCall Trace:", r"\bKernel panic\b",
    # Of the debug kernel: lockdep, leaks, references, and checks that gave up.
    r"\bpossible (?:recursive|circular) locking\b", r"\binconsistent lock state\b",
    r"\block (?:order|inversion dependency) detected\b", r"\bsuspicious RCU usage\b",
    r"\bInvalid wait context\b", r"\bbad (?:unlock balance|contention) detected\b",
    r"\bheld lock freed\b", r"\bstill has locks held\b", r"\bNested lock was not taken\b",
    r"\block held when returning to user space\b", r"\blocking correctness validator\b",
    r"\bvnr: leaked: ", r"\bkmemleak: .*(?:Cannot|disabled|empty)",
    r"\bref_tracker: ", r"\bBUG \S+ \(.*\): ", r"dma-debug disabled",
    r"\bblocked for more than \d+ seconds\b", r"\brefcount_t:", r"\bgeneral protection fault\b",
    r"\bsoft lockup\b", r"\bhard LOCKUP\b", r"\brcu(?:_\w+)?: INFO: .*(?:stall|detected)",
    r"NETDEV WATCHDOG", r"page_pool_release_retry", r"stalled pool", r"\bDMA-API: ",
    r"\bODEBUG: ", r"\bpage allocation failure\b", r"\bBad page state\b", r"\blist_(?:add|del) corruption",
    r"\brust_kernel: panicked\b", r"softirq: huh", r"is not a head!", r"scheduling while atomic", r"sleeping function called",
    r"\bslab.*corruption\b", r"\bunregister_netdevice: waiting for\b",
    # Of a driver that polls, or gives packets to the stack, in the wrong context; or one of ours
    # that has given its device up.
    r"NOHZ tick-stop error", r"suspect GRO implementation", r"protocol \w+ is buggy",
    r"\bvirtio_net_rs .*\bgiven up\b",
    # Of IOMMUs: a device used what is not mapped.
    r"\bDMAR: .*fault", r"\bfault from EP\b",
)))
# The kernel's own words that look like one: each with its reason.
HARMLESS = re.compile("|".join((
    r"Spectre|MDS|MMIO Stale|RETBleed|Speculative|ITS:|TSA:",   # CPU mitigations of the model
    r"earlyprintk|clocksource: .*WARNING",                       # TCG time
    r"DMA-API: (?:preallocated|debugging enabled|dma_debug_entry pool grown)",  # how it is set up
    r"ODEBUG: selftest passed",
)))
# What the kernel rightly says where a case provokes it: the ring code of a wrong
# id, the watchdog of a queue that does not move.
OF_LIARS = re.compile(r"is not a head!|NETDEV WATCHDOG|\bvirtio_net_rs .*\bgiven up\b")
OF_LOSSES = re.compile(r"\bvirtio_net_rs .*\bgiven up\b")
# What is said by checkers that go on without an allocation that failed.
OF_FAILURES = re.compile(r"ref_tracker: memory allocation failure|kmemleak: Cannot allocate a scan area")
PROVOKED = {"hostile.": OF_LIARS, "canary.": OF_LIARS,
            "faults.": OF_FAILURES, "reset_faults.": OF_FAILURES, "xdp_faults.": OF_FAILURES,
            "rings.tx_timeout_recovers": re.compile(r"NETDEV WATCHDOG"),
            "rings.tx_timeout_with_program": re.compile(r"NETDEV WATCHDOG"),
            "rings.tx_timeout_with_socket": re.compile(r"NETDEV WATCHDOG"),
            # One long TCP segment, which the program has sent past what could cut it.
            **{f"xdp.redirects_to_processor/modern-split-{mode}-1q-ctrl_guest_offloads=off":
               re.compile(r"suspect GRO implementation") for mode in ("mergeable", "big")},
            "faults.leaks_are_found": re.compile(r"vnr: leaked: "),
            "suspend.reset_heals": OF_LIARS,
            "restart.does_not_come_back": OF_LOSSES,
            "restart.changes_while_away": OF_LOSSES,
            "restart.others_reset_it": OF_LOSSES,
            # The core takes a processor's network work over without a look at that.
            "lifecycle.cpu_hotplug": re.compile(r"NOHZ tick-stop error"),
            # Of the bug below: it is told 60 times a minute.
            "xskxceiver.skb": re.compile(r"BUG: Bad page state: \d+ messages suppressed")}
OF_FAULTS = ("faults.", "reset_faults.", "xdp_faults.")
# Bugs of the core (7.3) under any driver: the cases that bring them out, how the
# report starts, and what is in its stack.
CORE_BUGS = (
    # register_irq_proc() goes on without a file in /proc/irq that it had no memory
    # for, and unregister_irq_proc() warns that it is missing.
    (OF_FAULTS, re.compile(r"WARNING: fs/proc/generic\.c:\d+ at remove_proc_entry"),
     (re.compile(r"\bunregister_irq_proc\+"),)),
    # page_pool_create() does not tell its xarray that the lock is taken with bottom
    # halves off (XA_FLAGS_LOCK_BH), so xa_alloc_bh() sleeps with them off.
    (OF_FAULTS,
     re.compile(r"BUG: sleeping function called from invalid context at include/linux/sched/mm\.h"),
     (re.compile(r"\b__xa_alloc\+"), re.compile(r"\bpage_pool_dma_map\+"))),
    # net_failover_create() does not initialise stats_lock, at which lockdep gives
    # up for good: locks go unchecked in the rest of that guest's run.
    (("failover.",), re.compile(r"INFO: trying to register non-static key"),
     (re.compile(r"\bnet_failover_get_stats\+"),)),
    # bpf_xdp_adjust_tail() frees a fragment of an skb, of generic XDP, as if it were of no
    # page pool.
    (("xskxceiver.skb",), re.compile(r"BUG: Bad page state in process"),
     (re.compile(r"page dumped because: page_pool leak"), re.compile(r"\bbpf_xdp_adjust_tail\+"),
      re.compile(r"\bbpf_prog_run_generic_xdp\+"))),
)
# It is said of a queue of the C driver's every 5 s, until the next case's devices are fresh.
STUCK_STILL = re.compile(r"\[ *(\d+\.\d+)\] virtio_net virtio\d+ \S+: NETDEV WATCHDOG: .* timed out (\d+) ms")
END = "</TASK>"
CASE = re.compile(r"\[ *(\d+\.\d+)\] vnr: (start|end) (\S+)")


def provoked(case, line):
    """Whether the running case is there to make the kernel say this."""
    return any((case or "").startswith(name) and pattern.search(line)
               for name, pattern in PROVOKED.items())


def known(case, lines, start):
    """Which lines of the report that starts here a bug of the core accounts for."""
    signs = next((signs for cases, head, signs in CORE_BUGS
                  if (case or "").startswith(cases) and head.search(lines[start])), None)
    count = next((number for number, line in enumerate(lines[start:start + 150]) if END in line), 0)
    report = lines[start:start + count]
    if not signs or not all(any(sign.search(line) for line in report) for sign in signs):
        return set()
    # Anything else that is said meanwhile counts, but for where an interrupt came.
    outside = next((number for number, line in enumerate(report) if "</IRQ>" in line), count)
    return {start} | {start + number for number, line in enumerate(report)
                      if re.search(r"\bRIP: 0010:remove_proc_entry|Call Trace:"
                                   r"|turning off the locking correctness validator", line)
                      or (number > outside and "RIP: 0010:" in line)}


def stale_int3(text):
    """Whether the kernel ended at a breakpoint that is not there: memory has another instruction where
    the processor has run one, which the kernel had put there while it replaced the code. QEMU's
    translator can do that to a processor whose code another one changes."""
    fatal = re.search(r"Oops: int3: .*?\bCode: ([^\n]*)", text, re.DOTALL)
    before = re.search(r"\b([0-9a-f]{2}) <[0-9a-f]{2}>", fatal[1]) if fatal else None
    return bool(before) and before[1] != "cc"


def left_by_c(cases, waits):
    """Whether the last of these cases, one of ours, could not begin as the device that the C driver had in
    the one before does not go: somebody has a reference to it. `waits` is what the guest said of its tasks."""
    return len(cases) > 1 and cases[-1].endswith("@rust") and cases[-2].endswith("@c") \
        and bool(re.search(r"\bvirtnet_remove\+\S+ \[virtio_net\]", waits))


def stuck_since(begun, line):
    """The case of the C driver that was running when the queue got stuck of which the line says so; of
    [(second, case)]."""
    still = STUCK_STILL.search(line)
    since = float(still[1]) - int(still[2]) / 1000 if still else 0
    case = next((case for second, case in reversed(begun) if second <= since), "")
    return case if case.endswith("@c") else None


def splats(text):
    """[(case or None, line)]: each splat line with the case that was running."""
    found, case, begun, ignored = [], None, [], set()
    lines = text.splitlines()
    for number, line in enumerate(lines):
        mark = CASE.search(line)
        if mark:
            case = mark[3] if mark[2] == "start" else None
            begun += [(float(mark[1]), case)] if case else []
            continue
        ignored |= known(case, lines, number)
        if number in ignored:
            continue
        whose = stuck_since(begun, line) or case
        if SPLAT.search(line) and not HARMLESS.search(line) and not provoked(whose, line):
            found.append((whose, line.strip()))
    return found
