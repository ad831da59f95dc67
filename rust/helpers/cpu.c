// SPDX-License-Identifier: GPL-2.0
#include <linux/cpumask.h>
#include "helpers.h"

/* Safety: none needed. */
unsigned int rust_helper_num_online_cpus(void)
{
	return num_online_cpus();
}
