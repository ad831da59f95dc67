// SPDX-License-Identifier: GPL-2.0
#include <linux/bottom_half.h>
#include <linux/etherdevice.h>
#include <net/netdev_lock.h>
#include "helpers.h"

/* Safety: the instance is not in use, and outlives its place in the device. */
void rust_helper_netif_napi_add_config(struct net_device *dev, struct napi_struct *napi,
				       int (*poll)(struct napi_struct *, int), int index)
{
	netif_napi_add_config(dev, napi, poll, index);
}

/* Safety: as above. */
void rust_helper_netif_napi_add_tx(struct net_device *dev, struct napi_struct *napi,
				   int (*poll)(struct napi_struct *, int))
{
	netif_napi_add_tx(dev, napi, poll);
}

/* Safety: the instance was added, and is disabled. */
void rust_helper___netif_napi_del(struct napi_struct *napi)
{
	__netif_napi_del(napi);
}

/* Safety: paired with the next. */
void rust_helper_local_bh_disable(void)
{
	local_bh_disable();
}

/* Safety: paired with the previous. */
void rust_helper_local_bh_enable(void)
{
	local_bh_enable();
}

/* Safety: the device is valid; process context. */
void rust_helper_netdev_lock(struct net_device *dev)
{
	netdev_lock(dev);
}

/* Safety: the caller holds the lock. */
void rust_helper_netdev_unlock(struct net_device *dev)
{
	netdev_unlock(dev);
}

/* Safety: the device is not registered. */
void rust_helper_netdev_add_priv_flags(struct net_device *dev, unsigned long flags)
{
	dev->priv_flags |= flags;
}

/* Safety: the device is not registered. */
void rust_helper_eth_hw_addr_random(struct net_device *dev)
{
	eth_hw_addr_random(dev);
}
