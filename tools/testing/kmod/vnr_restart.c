// SPDX-License-Identifier: GPL-2.0
/*
 * Restarts receive queues as the core's own users of queue management do:
 *   echo "dut 0" > /sys/module/vnr_restart/parameters/restart
 * for queue 0 of an interface in the first network namespace. The error is that of
 * netdev_rx_queue_restart().
 */
#include <linux/module.h>
#include <linux/netdevice.h>
#include <net/net_namespace.h>
#include <net/netdev_lock.h>
#include <net/netdev_rx_queue.h>

static int restart(const char *text, const struct kernel_param *param)
{
	struct net_device *dev;
	char name[IFNAMSIZ];
	unsigned int queue;
	int err = -EINVAL;

	if (sscanf(text, "%15s %u", name, &queue) != 2)
		return -EINVAL;
	dev = dev_get_by_name(&init_net, name);
	if (!dev)
		return -ENODEV;
	netdev_lock(dev);
	/* The core leaves this to its users. */
	if (!dev->queue_mgmt_ops)
		err = -EOPNOTSUPP;
	else if (queue < dev->real_num_rx_queues)
		err = netdev_rx_queue_restart(dev, queue);
	netdev_unlock(dev);
	dev_put(dev);
	return err;
}

static const struct kernel_param_ops ops = {
	.set = restart,
};
module_param_cb(restart, &ops, NULL, 0200);
MODULE_PARM_DESC(restart, "\"INTERFACE QUEUE\": restarts the queue");

MODULE_IMPORT_NS("NETDEV_INTERNAL");
MODULE_DESCRIPTION("Restarts receive queues, for tests");
MODULE_LICENSE("GPL");
