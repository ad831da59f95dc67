// SPDX-License-Identifier: GPL-2.0
/* What the device tells of received frames, as a program that is bound to it asks. */
#include "frame.h"

char _license[] SEC("license") = "GPL";

enum xdp_rss_hash_type {
	XDP_RSS_L3_IPV4 = 1,
};

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym;
extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash,
				    enum xdp_rss_hash_type *type) __ksym;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *proto,
					__u16 *tci) __ksym;

/* As in src/hints.rs: what was said of the last frame of a flow, and errors as they came. */
struct hint {
	__u64 frames, timestamp, now;
	__u32 hash, hash_type;
	__s32 timestamp_error, hash_error, vlan_error;
	__u16 vlan_tci;
	__be16 vlan_proto;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOWS);
	__type(key, __u32);
	__type(value, struct hint);
} hints SEC(".maps");

/* Whether frame and metadata are moved before anything is asked, which must not change it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} moved SEC(".maps");

static __always_inline int ask(struct xdp_md *ctx)
{
	__u32 zero = 0, key, *move = bpf_map_lookup_elem(&moved, &zero), *meta;
	enum xdp_rss_hash_type type = 0;
	struct hint *hint;
	__be16 proto = 0;
	__u16 tci = 0;
	int flow;

	flow = flow_of(ctx);
	if (flow < 0)
		return XDP_PASS;
	key = flow;
	hint = bpf_map_lookup_elem(&hints, &key);
	if (!hint)
		return XDP_ABORTED;
	if (move && *move) {
		if (bpf_xdp_adjust_head(ctx, 8) || bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
			return XDP_ABORTED;
		meta = (void *)(long)ctx->data_meta;
		if ((void *)(meta + 1) > (void *)(long)ctx->data)
			return XDP_ABORTED;
		*meta = 0xffffffff;
	}
	hint->timestamp = 0;
	hint->timestamp_error = bpf_xdp_metadata_rx_timestamp(ctx, &hint->timestamp);
	hint->hash_error = bpf_xdp_metadata_rx_hash(ctx, &hint->hash, &type);
	hint->hash_type = type;
	hint->vlan_error = bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci);
	hint->vlan_proto = proto;
	hint->vlan_tci = tci;
	hint->now = bpf_ktime_get_ns();
	hint->frames++;
	return XDP_DROP;
}

SEC("xdp")
int hinted(struct xdp_md *ctx)
{
	return ask(ctx);
}

SEC("xdp.frags")
int hinted_frags(struct xdp_md *ctx)
{
	return ask(ctx);
}
