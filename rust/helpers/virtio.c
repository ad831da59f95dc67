// SPDX-License-Identifier: GPL-2.0
#include "helpers.h"

/* Safety: the device is valid, and probe has begun. */
void rust_helper_virtio_device_ready(struct virtio_device *vdev)
{
	virtio_device_ready(vdev);
}
