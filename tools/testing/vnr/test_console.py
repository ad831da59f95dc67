# SPDX-License-Identifier: GPL-2.0
"""The splat scanner: what each checker of the kernel prints fails the case that
was running, and ordinary lines fail none. Run by host.sh."""

import unittest

from .console import left_by_c, splats, stale_int3

# One header line of each checker, as the kernel's sources print it.
BAD = """
NOHZ tick-stop error: local softirq work is pending, handler #08!!!
dut: Driver has suspect GRO implementation, TCP performance may be compromised.
protocol 0800 is buggy, dev dut
virtio_net_rs virtio3: no answer to command 4/0: ETIMEDOUT; the device is given up
BUG: KASAN: slab-use-after-free in receive_buf+0x12/0x80 [virtio_net_rs]
UBSAN: array-index-out-of-bounds in drivers/net/x.c:12:3
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: possible irq lock inversion dependency detected
WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected
WARNING: inconsistent lock state
WARNING: suspicious RCU usage
WARNING: bad unlock balance detected!
WARNING: held lock freed!
WARNING: ip/312 still has locks held!
WARNING: lock held when returning to user space!
[ BUG: Invalid wait context ]
turning off the locking correctness validator.
BUG: sleeping function called from invalid context at mm/slab.h:321
BUG: scheduling while atomic: swapper/0/0/0x00000100
BUG: using smp_processor_id() in preemptible [00000000] code: ip/312
BUG skbuff_head_cache (Not tainted): Objects remaining on __kmem_cache_shutdown()
DMA-API: virtio-pci 0000:00:10.0: device driver has pending DMA allocations while released from device
DMA-API: cacheline tracking ENOMEM, dma-debug disabled
ODEBUG: free active (active state 0) object: (____ptrval____) object type: work_struct
ODEBUG: Out of memory. ODEBUG disabled
refcount_t: underflow; use-after-free.
ref_tracker: netdev@ffff888012345678 has 1/1 users at
unregister_netdevice: waiting for dut to become free. Usage count = 2
page_pool_release_retry() stalled pool shutdown: id 5, 1 inflight 60 sec
vnr: leaked:  0xffff888000176580 (size 8):
DMAR: [DMA Read NO_PASID] Request device [00:10.0] fault addr 0xffffd000 [fault reason 0x06]
virtio_iommu virtio0: page fault from EP 3 at 0xfffd000 [R]
kmemleak: Cannot allocate a kmemleak_object structure
kmemleak: Kernel memory leak detector disabled
INFO: task ip:312 blocked for more than 60 seconds.
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [ip:312]
list_del corruption. prev->next should be ffff888012345678, but was 0
kernel BUG at lib/list_debug.c:32!
rust_kernel: panicked at drivers/net/virtio_net/rx.rs:12:5:
Oops: general protection fault, 0000 [#1] SMP KASAN
NETDEV WATCHDOG: CPU: 1: transmit queue 0 timed out 5012 ms
""".strip().splitlines()

GOOD = """
DMA-API: preallocated 65536 debug entries
DMA-API: debugging enabled by kernel config
kasan: KernelAddressSanitizer initialized (generic)
kmemleak: Kernel memory leak detector initialized (mem pool available: 63000)
kmemleak: Automatic memory scanning thread started
Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
virtio_net virtio1 dut: renamed from eth0
virtio_net_rs: loading out-of-tree module taints kernel.
""".strip().splitlines()


class Splats(unittest.TestCase):
    def test_each_header_is_seen(self):
        for line in BAD:
            with self.subTest(line):
                self.assertEqual(len(splats(f"[   12.345678] {line}")), 1)

    def test_ordinary_lines_are_not(self):
        for line in GOOD:
            with self.subTest(line):
                self.assertEqual(splats(f"[   12.345678] {line}"), [])

    def test_the_running_case_is_blamed(self):
        text = "\n".join(("[1.0] " + BAD[0], "[1.1] vnr: start smoke.ping/x@c", "[1.2] " + BAD[1],
                          "[1.3] vnr: end smoke.ping/x@c", "[1.4] " + BAD[2]))
        self.assertEqual([case for case, _ in splats(text)], [None, "smoke.ping/x@c", None])

    def test_a_queue_of_the_c_driver_is_stuck_still(self):
        def blamed(case, driver):
            def line(ms):
                return f"{driver} virtio3 dut: NETDEV WATCHDOG: CPU: 3: transmit queue 1 timed out {ms} ms"
            text = (f"[ 1.1] vnr: start {case}\n[ 8.2] {line(5380)}\n[12.5] vnr: end {case}\n[13.3] {line(10480)}\n"
                    f"[13.4] vnr: start suspend.next/x@rust\n[18.4] {line(15580)}\n[ 30.0] {line(5380)}")
            return [found for found, _ in splats(text)]
        reset, after = "suspend.function_reset_under_traffic/x", "suspend.next/x@rust"
        # Also when the next case has begun; not what has got stuck in that.
        self.assertEqual(blamed(f"{reset}@c", "virtio_net"), [f"{reset}@c"] * 3 + [after])
        self.assertEqual(blamed(f"{reset}@c", "virtio_net_rs"), [f"{reset}@c", None, after, after])
        self.assertEqual(blamed(f"{reset}@rust", "virtio_net"), [f"{reset}@rust", None, after, after])
        # Where a case brings that about, none of them counts.
        self.assertEqual(blamed("rings.tx_timeout_recovers/x@c", "virtio_net"), [after])

    def test_only_the_bug_of_the_core_is_ignored(self):
        report = ("[ cut here ]", "WARNING: fs/proc/generic.c:742 at remove_proc_entry+0x310/0x4b0",
                  "RIP: 0010:remove_proc_entry+0x314/0x4b0", "Call Trace:",
                  " unregister_irq_proc+0xb5/0x170", " </TASK>")

        def seen(lines, case="faults.probe/x@c"):
            marked = (f"vnr: start {case}", *lines, f"vnr: end {case}")
            return [line for _, line in splats("\n".join(f"[1.0] {line}" for line in marked))]

        self.assertEqual(seen(report), [])
        self.assertEqual(len(seen(report, "smoke.ping/x@c")), 3)
        other = [line for line in report if "unregister" not in line]
        self.assertEqual(len(seen(other)), 3)
        asleep = ("BUG: sleeping function called from invalid context at include/linux/sched/mm.h:322",
                  "Call Trace:", " __xa_alloc+0xe9/0x1a0", " page_pool_dma_map+0x27f/0x810", " </TASK>")
        self.assertEqual(seen(asleep), [])
        self.assertEqual(len(seen([line for line in asleep if "page_pool" not in line])), 2)
        key = ("INFO: trying to register non-static key.", "turning off the locking correctness validator.",
               "Call Trace:", " net_failover_get_stats+0x43/0x420 [net_failover]", " </TASK>")
        self.assertEqual(seen(key, "failover.probe/x@c"), [])
        self.assertEqual(len(seen(key)), 2)
        self.assertEqual(len(seen((*key[:3], key[4]), "failover.probe/x@c")), 2)
        page = ("BUG: Bad page state in process xskxceiver  pfn:035f7", "page dumped because: page_pool leak",
                "Call Trace:", " bpf_xdp_adjust_tail+0x241/0x2d0", " bpf_prog_run_generic_xdp+0x12d/0x3c0",
                " </IRQ>", " <TASK>", "RIP: 0010:do_syscall_64+0xa2/0x560", " </TASK>")
        self.assertEqual(seen(page, "xskxceiver.skb/x@c"), [])
        self.assertEqual(len(seen(page)), 3)
        for part in ("page_pool leak", "adjust_tail", "generic_xdp"):
            self.assertEqual(len(seen([line for line in page if part not in line], "xskxceiver.skb/x@c")), 3)
        early = (*page[:5], page[7], *page[5:])
        self.assertEqual(len(seen(early, "xskxceiver.skb/x@c")), 1)
        both = (*report[:2], BAD[0], *report[2:])
        self.assertEqual(seen(both), [f"[1.0] {BAD[0]}"])

    def test_only_a_breakpoint_that_is_not_there_is_the_emulators(self):
        code = "[9.2] Code: 90 f3 0f 1e fa 0f 1f 44 00 00 {} <52> af 4d"
        oops = "[9.1] Oops: int3: 0000 [#1] SMP NOPTI\n[9.1] RIP: 0010:bpf_dispatcher_xdp_func+0xa/0x10\n"
        self.assertTrue(stale_int3(oops + code.format("e9")))
        self.assertFalse(stale_int3(oops + code.format("cc")))
        self.assertFalse(stale_int3(oops))
        self.assertFalse(stale_int3(oops.replace("int3", "invalid opcode") + code.format("e9")))

    def test_devices_that_do_not_go(self):
        waits = "[  226.302723]  virtnet_remove+0x75/0xa0 [virtio_net]\n"
        self.assertTrue(left_by_c(["a.b/nic@c", "a.c/nic@rust"], waits))
        self.assertFalse(left_by_c(["a.c/nic@rust"], waits))
        self.assertFalse(left_by_c(["a.b/nic@rust", "a.c/nic@rust"], waits))
        self.assertFalse(left_by_c(["a.b/nic@c", "a.c/nic@c"], waits))
        self.assertFalse(left_by_c(["a.b/nic@c", "a.c/nic@rust"], waits.replace("virtio_net]", "virtio_net_rs]")))


if __name__ == "__main__":
    unittest.main()
