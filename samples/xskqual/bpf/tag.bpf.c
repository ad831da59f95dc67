// SPDX-License-Identifier: GPL-2.0
/*
 * Tags frames of tests that leave a device, as a VLAN device above it would: beside the frame, from
 * where a device can take it.
 */
#include "frame.h"

char _license[] SEC("license") = "GPL";

#define VLAN 5
#define NEXT (-1)

SEC("tcx/egress")
int tag(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return NEXT;
	if (ip->ihl == 5 && ip->protocol == IPPROTO_UDP && udp->dest == bpf_htons(PORT))
		bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), VLAN);
	return NEXT;
}
