// SPDX-License-Identifier: GPL-2.0
#include <linux/bpf_trace.h>
#include <linux/filter.h>
#include "helpers.h"

/* Safety: the program is live, the frame valid, and this is a NAPI poll. */
u32 rust_helper_bpf_prog_run_xdp(const struct bpf_prog *prog, struct xdp_buff *xdp)
{
	return bpf_prog_run_xdp(prog, xdp);
}

/* Safety: device and program are live. */
void rust_helper_trace_xdp_exception(const struct net_device *dev,
				     const struct bpf_prog *prog, u32 act)
{
	trace_xdp_exception(dev, prog, act);
}

/* Safety: the program has just run on the frame, in this poll. Returns 1 if no socket is meant. */
int rust_helper_xdp_redirect_to_socket(struct xdp_buff *xdp, const struct bpf_prog *prog)
{
	if (bpf_net_ctx_get_ri()->map_type != BPF_MAP_TYPE_XSKMAP)
		return 1;
	return xdp_do_redirect(xdp->rxq->dev, xdp, prog);
}
