// SPDX-License-Identifier: GPL-2.0
/* The hash of received frames, as a program that is bound to the device asks for it. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

#define EXPERIMENTAL 0x88b5
#define OTHERS 63

enum xdp_rss_hash_type {
	XDP_RSS_L3_IPV4 = 1,
};

extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash,
				    enum xdp_rss_hash_type *type) __ksym;

struct report {
	__u32 hash, type, ports, error;
};

/* What was said of frames, by their UDP source port's last bits; of others, in the last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OTHERS + 1);
	__type(key, __u32);
	__type(value, struct report);
} reports SEC(".maps");

/*
 * The frame is moved and metadata written in front before the hash is asked for, which must
 * not change it. The ports are those of IPv4 without options.
 */
SEC("xdp")
int hash(struct xdp_md *ctx)
{
	enum xdp_rss_hash_type type = 0;
	struct report report = {};
	__u32 index, *meta;
	void *data = (void *)(long)ctx->data;
	struct ethhdr *eth = data;

	if (data + 38 > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		report.ports = *(__u32 *)(data + 34);
		index = bpf_ntohs(report.ports & 0xffff) % OTHERS;
	} else if (eth->h_proto == bpf_htons(EXPERIMENTAL)) {
		index = OTHERS;
	} else {
		return XDP_PASS;
	}
	if (bpf_xdp_adjust_head(ctx, 8) || bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return XDP_ABORTED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return XDP_ABORTED;
	*meta = 0xffffffff;
	report.error = -bpf_xdp_metadata_rx_hash(ctx, &report.hash, &type);
	report.type = type;
	bpf_map_update_elem(&reports, &index, &report, BPF_ANY);
	return XDP_DROP;
}
