// SPDX-License-Identifier: GPL-2.0
/*
 * Which frames sockets are given. Each program is there twice: for frames in one buffer, and for
 * frames over several.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

/* By queue, or by turn: as many as a device may have queues. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

/* Set before the programs are loaded. */
const volatile struct {
	__u32 socket_count;
	__u32 their_queue;
} settings;

static __u32 turn;

/* The socket of the queue has the frame, or if it has none, the stack. */
static __always_inline int by_queue(struct xdp_md *context)
{
	return bpf_redirect_map(&xsks_map, context->rx_queue_index, XDP_PASS);
}

/* The sockets of one queue have its frames by turns; frames of other queues are the stack's. */
static __always_inline int by_turns(struct xdp_md *context)
{
	if (context->rx_queue_index != settings.their_queue)
		return XDP_PASS;
	/* One processor at a time has the queue. */
	turn = (turn + 1) % settings.socket_count;
	return bpf_redirect_map(&xsks_map, turn, XDP_DROP);
}

SEC("xdp")
int xsk_queue(struct xdp_md *context)
{
	return by_queue(context);
}

SEC("xdp.frags")
int xsk_queue_frags(struct xdp_md *context)
{
	return by_queue(context);
}

SEC("xdp")
int xsk_turns(struct xdp_md *context)
{
	return by_turns(context);
}

SEC("xdp.frags")
int xsk_turns_frags(struct xdp_md *context)
{
	return by_turns(context);
}
