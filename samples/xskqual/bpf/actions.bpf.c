// SPDX-License-Identifier: GPL-2.0
/*
 * Does with the frames of a test what it is told, and counts them; all others pass. There once
 * for frames in one buffer, and once for frames over several (judge_frags).
 */
#include "frame.h"

char _license[] SEC("license") = "GPL";

/* As in src/programs.rs. */
enum { PASS, DROP, ABORTED, TX, DEVICE, PROCESSOR, SOCKET };

struct settings {
	__u32 action, target;
};

struct seen {
	__u64 frames, bytes, frags;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct seen);
} seen SEC(".maps");

/* By flow: one more than the number of the queue that a frame of it was last received on. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOWS);
	__type(key, __u32);
	__type(value, __u32);
} queues SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

/* Programs of the two kinds cannot share such a map. */
#define PROCESSORS(name)                          \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_CPUMAP); \
		__uint(max_entries, 1);           \
		__type(key, __u32);               \
		__type(value, __u32);             \
	} name SEC(".maps")

PROCESSORS(processors);
PROCESSORS(processors_frags);

static __always_inline int decide(struct xdp_md *ctx, void *cpus)
{
	void *data = (void *)(long)ctx->data, *end;
	__u32 zero = 0, key, queue = ctx->rx_queue_index + 1;
	struct settings *told = bpf_map_lookup_elem(&settings, &zero);
	struct seen *all = bpf_map_lookup_elem(&seen, &zero);
	__u8 address[ETH_ALEN];
	struct ethhdr *eth;
	__u64 len;
	int flow;

	flow = flow_of(ctx);
	if (flow < 0 || !told || !all)
		return XDP_PASS;
	key = flow;
	bpf_map_update_elem(&queues, &key, &queue, BPF_ANY);
	len = bpf_xdp_get_buff_len(ctx);
	__sync_fetch_and_add(&all->frames, 1);
	__sync_fetch_and_add(&all->bytes, len);
	end = (void *)(long)ctx->data_end;
	if (len > (__u64)(end - data))
		__sync_fetch_and_add(&all->frags, 1);

	switch (told->action) {
	case DROP:
		return XDP_DROP;
	case ABORTED:
		return XDP_ABORTED;
	case TX:
	case DEVICE:
		eth = data;
		if ((void *)(eth + 1) > end)
			return XDP_ABORTED;
		__builtin_memcpy(address, eth->h_dest, ETH_ALEN);
		__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
		__builtin_memcpy(eth->h_source, address, ETH_ALEN);
		return told->action == TX ? XDP_TX : bpf_redirect(told->target, 0);
	case PROCESSOR:
		return bpf_redirect_map(cpus, 0, XDP_ABORTED);
	case SOCKET:
		return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
	default:
		return XDP_PASS;
	}
}

SEC("xdp")
int judge(struct xdp_md *ctx)
{
	return decide(ctx, &processors);
}

SEC("xdp.frags")
int judge_frags(struct xdp_md *ctx)
{
	return decide(ctx, &processors_frags);
}

/* For frames that begin here (BPF_PROG_RUN): they leave by the device that is set. */
SEC("xdp")
int launch(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct settings *told = bpf_map_lookup_elem(&settings, &zero);

	(void)ctx;
	return told ? bpf_redirect(told->target, 0) : XDP_ABORTED;
}
