// SPDX-License-Identifier: GPL-2.0
#include "helpers.h"

/* Safety: the device is valid, and probe has begun. */
bool rust_helper_virtio_has_feature(const struct virtio_device *vdev, unsigned int fbit)
{
	return virtio_has_feature(vdev, fbit);
}
