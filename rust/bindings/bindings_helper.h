/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads. Types and functions that the kernel crate's bindings
 * already have are left out of the result, so that they stay one type.
 */
#include <linux/async.h>
#include <linux/bpf.h>
#include <linux/bpf_trace.h>
#include <linux/cpuhotplug.h>
#include <linux/dim.h>
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_vlan.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/u64_stats_sync.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <net/busy_poll.h>
#include <net/gro.h>
#include <net/ip.h>
#include <net/net_failover.h>
#include <net/netdev_lock.h>
#include <net/netdev_queues.h>
#include <net/netdev_rx_queue.h>
#include <net/page_pool/helpers.h>
#include <net/xdp.h>
#include <net/xdp_sock_drv.h>
#include <uapi/linux/virtio_ids.h>
#include <uapi/linux/virtio_net.h>
#include <uapi/linux/virtio_ring.h>

#include "../helpers/helpers.h"

/*
 * Macros that bindgen does not evaluate by itself. RUST_CONST_HELPER_X becomes
 * X. What is no constant for clang at file scope has its place in layout.c.
 */
const size_t RUST_CONST_HELPER_MAX_SKB_FRAGS = MAX_SKB_FRAGS;
const size_t RUST_CONST_HELPER_NET_IP_ALIGN = NET_IP_ALIGN;
const size_t RUST_CONST_HELPER_SMP_CACHE_BYTES = SMP_CACHE_BYTES;
const size_t RUST_CONST_HELPER_SKB_SHINFO_SIZE = SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
const size_t RUST_CONST_HELPER_XDP_PACKET_HEADROOM = XDP_PACKET_HEADROOM;
const unsigned int RUST_CONST_HELPER_XDP_UMEM_SG_FLAG = XDP_UMEM_SG_FLAG;
const unsigned int RUST_CONST_HELPER_ETH_MAX_MTU = ETH_MAX_MTU;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_SG = NETIF_F_SG;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_HW_CSUM = NETIF_F_HW_CSUM;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_CSUM_MASK = NETIF_F_CSUM_MASK;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_RXCSUM = NETIF_F_RXCSUM;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_RXHASH = NETIF_F_RXHASH;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_HIGHDMA = NETIF_F_HIGHDMA;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_TSO = NETIF_F_TSO;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_TSO6 = NETIF_F_TSO6;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_TSO_ECN = NETIF_F_TSO_ECN;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_GSO_UDP_L4 = NETIF_F_GSO_UDP_L4;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_GSO_ROBUST = NETIF_F_GSO_ROBUST;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_GRO_HW = NETIF_F_GRO_HW;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_LRO = NETIF_F_LRO;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_NTUPLE = NETIF_F_NTUPLE;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_HW_VLAN_CTAG_FILTER = NETIF_F_HW_VLAN_CTAG_FILTER;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_GSO_UDP_TUNNEL = NETIF_F_GSO_UDP_TUNNEL;
const netdev_features_t RUST_CONST_HELPER_NETIF_F_GSO_UDP_TUNNEL_CSUM = NETIF_F_GSO_UDP_TUNNEL_CSUM;

const unsigned int RUST_CONST_HELPER_PP_FLAG_DMA_MAP = PP_FLAG_DMA_MAP;
const unsigned int RUST_CONST_HELPER_PP_FLAG_DMA_SYNC_DEV = PP_FLAG_DMA_SYNC_DEV;
const unsigned int RUST_CONST_HELPER_PP_FLAG_SYSTEM_POOL = PP_FLAG_SYSTEM_POOL;
const unsigned int RUST_CONST_HELPER_PP_FLAG_ALLOW_UNREADABLE_NETMEM =
	PP_FLAG_ALLOW_UNREADABLE_NETMEM;

const unsigned int RUST_CONST_HELPER_ETHTOOL_OP_NEEDS_RTNL_GLINK =
	ETHTOOL_OP_NEEDS_RTNL_GLINK;
const unsigned int RUST_CONST_HELPER_ETHTOOL_OP_NEEDS_RTNL_SCHANNELS =
	ETHTOOL_OP_NEEDS_RTNL_SCHANNELS;
const unsigned int RUST_CONST_HELPER_ETHTOOL_OP_NEEDS_RTNL_SPFLAGS =
	ETHTOOL_OP_NEEDS_RTNL_SPFLAGS;
const unsigned int RUST_CONST_HELPER_ETHTOOL_COALESCE_USECS = ETHTOOL_COALESCE_USECS;
const unsigned int RUST_CONST_HELPER_ETHTOOL_COALESCE_MAX_FRAMES = ETHTOOL_COALESCE_MAX_FRAMES;
const unsigned int RUST_CONST_HELPER_ETHTOOL_COALESCE_USE_ADAPTIVE =
	ETHTOOL_COALESCE_USE_ADAPTIVE;
