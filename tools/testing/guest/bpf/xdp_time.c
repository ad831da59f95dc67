// SPDX-License-Identifier: GPL-2.0
/* The time of received frames, as a program that is bound to the device asks for it. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *time) __ksym;

struct report {
	__u64 before, time, after, error, frames;
};

/* What was said of the last frame. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct report);
} reports SEC(".maps");

SEC("xdp")
int timestamp(struct xdp_md *ctx)
{
	__u32 index = 0;
	struct report *report = bpf_map_lookup_elem(&reports, &index);

	if (!report)
		return XDP_ABORTED;
	report->before = bpf_ktime_get_tai_ns();
	report->error = -bpf_xdp_metadata_rx_timestamp(ctx, &report->time);
	report->after = bpf_ktime_get_tai_ns();
	report->frames++;
	return XDP_PASS;
}
