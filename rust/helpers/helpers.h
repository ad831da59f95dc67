/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prototypes of the C helpers, for their definitions and for bindgen, which
 * takes rust_helper_ off the names.
 */
#ifndef VNR_RUST_HELPERS_H
#define VNR_RUST_HELPERS_H

#include <linux/netdevice.h>
#include <linux/virtio_config.h>

bool rust_helper_virtio_has_feature(const struct virtio_device *vdev, unsigned int fbit);

#endif
