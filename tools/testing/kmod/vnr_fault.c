// SPDX-License-Identifier: GPL-2.0
/*
 * Lets chosen calls of kernel functions fail that have no error injection of
 * their own, such as virtqueue_add_outbuf() or dma_map_phys(): the call returns
 * at once, with a value that is given. For the tests; x86-64 only.
 *
 *   insmod vnr_fault.ko functions=F,... values=V,... [start=A end=B [deep=1]]
 *	[device=NAME]
 *   insmod vnr_fault.ko leak=1	# loses objects
 *   echo N >/sys/module/vnr_fault/parameters/nth	# and counts start again
 *
 * From then on the N-th call fails, and after it each `every`-th one, if that is
 * not 0. Calls count if they come from the address range (with deep, from
 * anywhere below a function of it) and, with a device, have it as their first
 * argument.
 */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/module.h>
#include <linux/objtool.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>

#define FUNCTIONS 8
#define DEPTH 48

static char *functions[FUNCTIONS];
static unsigned int nr_functions;
module_param_array(functions, charp, &nr_functions, 0444);
MODULE_PARM_DESC(functions, "functions whose calls are to fail");

static long values[FUNCTIONS];
module_param_array(values, long, NULL, 0444);
MODULE_PARM_DESC(values, "what each of them returns then");

static unsigned long start, end = ULONG_MAX;
module_param(start, ulong, 0444);
module_param(end, ulong, 0444);
MODULE_PARM_DESC(start, "first address of callers that count");
MODULE_PARM_DESC(end, "address after the last of them");

static bool deep;
module_param(deep, bool, 0444);
MODULE_PARM_DESC(deep, "callers of callers count, too");

static char *device = "";
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "name of the device that is the first argument");

static bool leak;
module_param(leak, bool, 0444);
MODULE_PARM_DESC(leak, "objects are allocated and forgotten");

static unsigned int every;
module_param(every, uint, 0644);
MODULE_PARM_DESC(every, "after the first failure, each so many calls fail; 0: none");

/* Calls that counted, and those that failed, since nth was written. */
static int seen, failed;
module_param(seen, int, 0444);
module_param(failed, int, 0444);

static unsigned int nth;

static int nth_set(const char *text, const struct kernel_param *kp)
{
	unsigned int value;
	int error = kstrtouint(text, 0, &value);

	if (error)
		return error;
	WRITE_ONCE(nth, 0);
	WRITE_ONCE(seen, 0);
	WRITE_ONCE(failed, 0);
	WRITE_ONCE(nth, value);
	return 0;
}

static const struct kernel_param_ops nth_ops = {
	.set = nth_set,
	.get = param_get_uint,
};
module_param_cb(nth, &nth_ops, &nth, 0644);
MODULE_PARM_DESC(nth, "the call that fails; 0: none");

static struct kprobe probes[FUNCTIONS];

static bool from_range(unsigned long caller)
{
	unsigned long entries[DEPTH];
	unsigned int i, nr;

	if (!deep)
		return caller >= start && caller < end;
	nr = stack_trace_save(entries, DEPTH, 0);
	for (i = 0; i < nr; i++)
		if (entries[i] >= start && entries[i] < end)
			return true;
	return false;
}

static bool chosen(unsigned int number)
{
	unsigned int first = READ_ONCE(nth), period = READ_ONCE(every);

	if (number == first)
		return true;
	return period && number > first && (number - first) % period == 0;
}

/* A probe by ftrace can change where execution goes on, but not the stack. */
void vnr_just_return(void);
asm(".pushsection .text\n"
    ".type vnr_just_return, @function\n"
    ".globl vnr_just_return\n"
    "vnr_just_return:\n"
    ANNOTATE_NOENDBR "\n"
    ASM_RET
    ".size vnr_just_return, .-vnr_just_return\n"
    ".popsection\n");

/* At the function's first instruction: the return address is on top. */
static int at_entry(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long *stack = (unsigned long *)regs->sp;

	if (!READ_ONCE(nth) || !from_range(*stack))
		return 0;
	if (*device && strcmp(dev_name((struct device *)regs->di), device))
		return 0;
	if (!chosen(atomic_inc_return((atomic_t *)&seen)))
		return 0;
	atomic_inc((atomic_t *)&failed);
	regs->ax = values[probe - probes];
	regs->ip = (unsigned long)vnr_just_return;
	return 1;
}

/* A probe that has one is not made a jump, which could not change what follows. */
static void after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

/* Many, as the allocator's arrays still have the addresses of the last ones. */
static void forget(void)
{
	unsigned int i;

	for (i = 0; i < 256; i++) {
		u8 *object = kmalloc(96, GFP_KERNEL);

		if (object)
			memset(object, 0xa5, 96);
		OPTIMIZER_HIDE_VAR(object);
	}
}

static int __init vnr_fault_init(void)
{
	unsigned int i;
	int error;

	if (leak)
		forget();
	for (i = 0; i < nr_functions; i++) {
		probes[i].symbol_name = functions[i];
		probes[i].pre_handler = at_entry;
		probes[i].post_handler = after;
		error = register_kprobe(&probes[i]);
		if (error) {
			pr_err("vnr_fault: no probe at %s: %d\n", functions[i], error);
			while (i--)
				unregister_kprobe(&probes[i]);
			return error;
		}
	}
	return 0;
}

static void __exit vnr_fault_exit(void)
{
	unsigned int i;

	for (i = 0; i < nr_functions; i++)
		unregister_kprobe(&probes[i]);
}

module_init(vnr_fault_init);
module_exit(vnr_fault_exit);
MODULE_DESCRIPTION("Failures of chosen kernel functions, for tests");
MODULE_LICENSE("GPL");
