/* SPDX-License-Identifier: GPL-2.0 */
/* Which frames are a test's: UDP over IPv4 to one port, with a VLAN tag or without. */
#ifndef XSKQUAL_FRAME_H
#define XSKQUAL_FRAME_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* As in src/frames.rs. */
#define PORT 20824
#define FLOWS 64

struct tag {
	__be16 tci;
	__be16 proto;
};

/* The flow of a test's frame, or -1 for others. */
static __always_inline int flow_of(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct tag *tag = (void *)(eth + 1);
	struct udphdr *udp;
	struct iphdr *ip;
	__be16 proto;

	if ((void *)(tag + 1) > end)
		return -1;
	proto = eth->h_proto;
	ip = (void *)tag;
	if (proto == bpf_htons(ETH_P_8021Q)) {
		proto = tag->proto;
		ip = (void *)(tag + 1);
	}
	udp = (void *)(ip + 1);
	if ((void *)(udp + 1) > end || proto != bpf_htons(ETH_P_IP))
		return -1;
	if (ip->ihl != 5 || ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(PORT))
		return -1;
	return bpf_ntohs(udp->source) % FLOWS;
}

#endif
