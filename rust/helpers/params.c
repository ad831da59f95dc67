// SPDX-License-Identifier: GPL-2.0
/* The module! macro gives parameters no place in sysfs, and knows no weak dependencies. */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include "helpers.h"

int vnr_napi_weight = NAPI_POLL_WEIGHT;
module_param_named(napi_weight, vnr_napi_weight, int, 0444);

bool vnr_csum = true, vnr_gso = true, vnr_napi_tx = true;
module_param_named(csum, vnr_csum, bool, 0444);
module_param_named(gso, vnr_gso, bool, 0444);
module_param_named(napi_tx, vnr_napi_tx, bool, 0644);

/* Taken where a device is a failover standby; an initramfs may want to have it. */
MODULE_WEAKDEP("net_failover");
