/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prototypes of the C helpers, for their definitions and for bindgen, which
 * takes rust_helper_ off the names.
 */
#ifndef VNR_RUST_HELPERS_H
#define VNR_RUST_HELPERS_H

#include <linux/netdevice.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <net/page_pool/helpers.h>
#include <net/xdp.h>

/* cpu.c */
unsigned int rust_helper_num_online_cpus(void);

/* dma.c */
bool rust_helper_is_swiotlb_force_bounce(struct device *dev);

/* params.c */
extern int vnr_napi_weight;
extern bool vnr_csum, vnr_gso, vnr_napi_tx;

/* virtio.c */
void rust_helper_virtio_device_ready(struct virtio_device *vdev);

/* page_pool.c */
struct page *rust_helper_page_pool_alloc(struct page_pool *pool, unsigned int *offset,
					 unsigned int *size, gfp_t gfp);
void rust_helper_page_pool_put_full_page(struct page_pool *pool, struct page *page,
					 bool allow_direct);
void rust_helper_page_pool_dma_sync_for_cpu(const struct page_pool *pool,
					    const struct page *page, u32 offset, u32 len);
bool rust_helper_page_is_pfmemalloc(const struct page *page);

/* skb.c */
struct sk_buff *rust_helper_alloc_skb(unsigned int size, gfp_t gfp);
int rust_helper_virtio_net_handle_csum_offload(struct sk_buff *skb, struct virtio_net_hdr *hdr,
					       bool tunnel_csum);
int rust_helper_virtio_net_hdr_tnl_to_skb(struct sk_buff *skb,
					  const struct virtio_net_hdr_v1_hash_tunnel *hdr,
					  bool tunnel, bool tunnel_csum, bool little_endian);
int rust_helper_skb_orphan(struct sk_buff *skb);
bool rust_helper_netif_needs_gso(struct sk_buff *skb, netdev_features_t features);

/* xdp.c */
u32 rust_helper_bpf_prog_run_xdp(const struct bpf_prog *prog, struct xdp_buff *xdp);
void rust_helper_trace_xdp_exception(const struct net_device *dev,
				     const struct bpf_prog *prog, u32 act);
int rust_helper_xdp_redirect_to_socket(struct xdp_buff *xdp, const struct bpf_prog *prog);

/* netdev.c */
void rust_helper_local_bh_disable(void);
void rust_helper_local_bh_enable(void);
void rust_helper_netdev_lock(struct net_device *dev);
void rust_helper_netdev_unlock(struct net_device *dev);
void rust_helper_netdev_add_priv_flags(struct net_device *dev, unsigned long flags);
void rust_helper_eth_hw_addr_random(struct net_device *dev);

/* txq.c */
void rust_helper___netif_tx_lock(struct netdev_queue *txq);
bool rust_helper___netif_tx_trylock(struct netdev_queue *txq);
void rust_helper___netif_tx_unlock(struct netdev_queue *txq);
void rust_helper_netif_tx_stop_queue(struct netdev_queue *txq);
bool rust_helper___netdev_tx_sent_queue(struct netdev_queue *txq, unsigned int bytes);
void rust_helper_netdev_tx_completed_queue(struct netdev_queue *txq, unsigned int packets,
					   unsigned int bytes);
void rust_helper_netdev_tx_reset_queue(struct netdev_queue *txq);
bool rust_helper_irqs_disabled(void);

#endif
