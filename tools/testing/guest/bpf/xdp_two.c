// SPDX-License-Identifier: GPL-2.0
/*
 * Two programs for one device, by xdp-loader: both count frames, and the second one drops those of
 * UDP over IPv4 to the case's port.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

enum { FIRST, SECOND, DROPPED, COUNTS };

/* One for both, by its place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNTS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} two SEC(".maps");

static __always_inline void count(__u32 what)
{
	__u64 *value = bpf_map_lookup_elem(&two, &what);

	if (value)
		__sync_fetch_and_add(value, 1);
}

SEC("xdp")
int first(struct xdp_md *ctx)
{
	(void)ctx;
	count(FIRST);
	return XDP_PASS;
}

SEC("xdp")
int second(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct udphdr *udp = (void *)(ip + 1);

	count(SECOND);
	if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP ||
	    udp->dest != bpf_htons(4001))
		return XDP_PASS;
	count(DROPPED);
	return XDP_DROP;
}
