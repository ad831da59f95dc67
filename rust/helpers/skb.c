// SPDX-License-Identifier: GPL-2.0
#include "helpers.h"

/* Safety: the context fits the flags. */
struct sk_buff *rust_helper_alloc_skb(unsigned int size, gfp_t gfp)
{
	return alloc_skb(size, gfp);
}

/* Safety: the caller owns the packet. */
int rust_helper_virtio_net_handle_csum_offload(struct sk_buff *skb, struct virtio_net_hdr *hdr,
					       bool tunnel_csum)
{
	return virtio_net_handle_csum_offload(skb, hdr, tunnel_csum);
}

/* Safety: the caller owns the packet, which has an Ethernet header. */
int rust_helper_virtio_net_hdr_tnl_to_skb(struct sk_buff *skb,
					  const struct virtio_net_hdr_v1_hash_tunnel *hdr,
					  bool tunnel, bool tunnel_csum, bool little_endian)
{
	return virtio_net_hdr_tnl_to_skb(skb, hdr, tunnel, tunnel_csum, little_endian);
}

/* Safety: the caller owns the packet. */
int rust_helper_skb_orphan(struct sk_buff *skb)
{
	int err = skb_orphan_frags(skb, GFP_ATOMIC);

	skb_orphan(skb);
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	return err;
}

/* Safety: the packet is valid. */
bool rust_helper_netif_needs_gso(struct sk_buff *skb, netdev_features_t features)
{
	return netif_needs_gso(skb, features);
}
