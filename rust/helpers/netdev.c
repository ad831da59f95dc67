// SPDX-License-Identifier: GPL-2.0
#include <linux/bottom_half.h>
#include <linux/etherdevice.h>
#include <net/netdev_lock.h>
#include "helpers.h"

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
