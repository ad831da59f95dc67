// SPDX-License-Identifier: GPL-2.0
#include <linux/swiotlb.h>
#include "helpers.h"

/* Safety: the device is valid. */
bool rust_helper_is_swiotlb_force_bounce(struct device *dev)
{
	return is_swiotlb_force_bounce(dev);
}
