// SPDX-License-Identifier: GPL-2.0
#include "helpers.h"

/* Safety: the queue is valid; bottom halves are off. */
void rust_helper___netif_tx_lock(struct netdev_queue *txq)
{
	__netif_tx_lock(txq, raw_smp_processor_id());
}

/* Safety: as above. */
bool rust_helper___netif_tx_trylock(struct netdev_queue *txq)
{
	return __netif_tx_trylock(txq);
}

/* Safety: the caller holds the lock. */
void rust_helper___netif_tx_unlock(struct netdev_queue *txq)
{
	__netif_tx_unlock(txq);
}

/* Safety: the queue is valid. */
void rust_helper_netif_tx_stop_queue(struct netdev_queue *txq)
{
	netif_tx_stop_queue(txq);
}

/* Safety: the caller is the device's ndo_start_xmit. */
bool rust_helper___netdev_tx_sent_queue(struct netdev_queue *txq, unsigned int bytes)
{
	return __netdev_tx_sent_queue(txq, bytes, netdev_xmit_more());
}

/* Safety: the caller holds the queue's lock. */
void rust_helper_netdev_tx_completed_queue(struct netdev_queue *txq, unsigned int packets,
					   unsigned int bytes)
{
	netdev_tx_completed_queue(txq, packets, bytes);
}

/* Safety: the caller holds the queue's lock, or nobody uses it. */
void rust_helper_netdev_tx_reset_queue(struct netdev_queue *txq)
{
	netdev_tx_reset_queue(txq);
}

/* Safety: none. */
bool rust_helper_irqs_disabled(void)
{
	return irqs_disabled();
}
