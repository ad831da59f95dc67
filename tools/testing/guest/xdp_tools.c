// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into Debian's xdp-bench and xdp-trafficgen, which do not start without two tracepoints
 * that the kernel has had nothing to say by for long, and now lacks: what is for them is put to
 * one of the same form. It is that of errors, so that the programs count none but these twice.
 */
#define _GNU_SOURCE
#include <bpf/libbpf.h>
#include <dlfcn.h>
#include <string.h>

static void attach_elsewhere(struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object) {
		const char *name = bpf_program__name(program);

		if (!strcmp(name, "tp_xdp_redirect_map") || !strcmp(name, "tp_xdp_redirect_map_err"))
			bpf_program__set_attach_target(program, 0, "xdp_redirect_err");
	}
}

int bpf_object__load(struct bpf_object *object)
{
	int (*load)(struct bpf_object *object) = dlsym(RTLD_NEXT, __func__);

	attach_elsewhere(object);
	return load(object);
}

int bpf_object__load_skeleton(struct bpf_object_skeleton *skeleton)
{
	int (*load)(struct bpf_object_skeleton *skeleton) = dlsym(RTLD_NEXT, __func__);

	attach_elsewhere(*skeleton->obj);
	return load(skeleton);
}
