// SPDX-License-Identifier: GPL-2.0
/*
 * Entries of the maps of xdp.c. Each program that is attached brings maps of
 * its own, and those of the one before it may not have gone yet.
 */
#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "agent.h"

static int bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* The map of this type that was made last. */
static int find_map(uint32_t type)
{
	union bpf_attr attr = {};
	int found = -1;

	/* In the order in which they were made. */
	while (!bpf(BPF_MAP_GET_NEXT_ID, &attr)) {
		struct bpf_map_info info = {};
		union bpf_attr get = { .map_id = attr.next_id };
		int map = bpf(BPF_MAP_GET_FD_BY_ID, &get);
		union bpf_attr ask = { .info = { .bpf_fd = map, .info_len = sizeof(info),
						 .info = (uintptr_t)&info } };

		attr.start_id = attr.next_id;
		if (map < 0)
			continue;
		if (bpf(BPF_OBJ_GET_INFO_BY_FD, &ask))
			fail("map");
		if (info.type != type) {
			close(map);
			continue;
		}
		if (found >= 0)
			close(found);
		found = map;
	}
	if (found < 0) {
		fprintf(stderr, "agent: there is no map of type %u\n", type);
		exit(1);
	}
	return found;
}

void enter_map(uint32_t type, uint32_t value)
{
	uint32_t key = 0;
	int map = find_map(type);
	union bpf_attr set = { .map_fd = map, .key = (uintptr_t)&key, .value = (uintptr_t)&value };

	if (bpf(BPF_MAP_UPDATE_ELEM, &set))
		fail("map");
	close(map);
}

/* redirect-to INTERFACE: that is where to_device has frames sent. */
int cmd_redirect_to(char **argv)
{
	uint32_t index = if_nametoindex(argv[0]);

	if (!index)
		fail(argv[0]);
	enter_map(BPF_MAP_TYPE_DEVMAP, index);
	return 0;
}
