// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that the cases of XDP attach; each there once for frames in one buffer, and once,
 * called NAME_frags, for frames over several. All count what they see in `seen`.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/in.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

extern int bpf_xdp_pull_data(struct xdp_md *ctx, __u32 len) __ksym;

char _license[] SEC("license") = "GPL";

/* What was seen, by number. */
enum { FRAMES, BYTES, LONGEST, RIGHT, WRONG, FRAGS, REFUSED, SEEN };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SEEN);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

/* What the cases tell the programs, by number. */
enum { TARGET, HEAD, TAIL, PORT, SETTINGS };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SETTINGS);
	__type(key, __u32);
	__type(value, __u64);
} settings SEC(".maps");

/* The two kinds of programs cannot share such maps. */
#define MAP(name, kind)                        \
	struct {                               \
		__uint(type, kind);            \
		__uint(max_entries, 4);        \
		__type(key, __u32);            \
		__type(value, __u32);          \
	} name SEC(".maps")

MAP(devices, BPF_MAP_TYPE_DEVMAP);
MAP(devices_frags, BPF_MAP_TYPE_DEVMAP);
MAP(processors, BPF_MAP_TYPE_CPUMAP);
MAP(processors_frags, BPF_MAP_TYPE_CPUMAP);

/* Sockets of processes, by the queue that they are bound to. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

static __always_inline void count(__u32 what, __u64 n)
{
	__u64 *value = bpf_map_lookup_elem(&seen, &what);

	if (value)
		__sync_fetch_and_add(value, n);
}

static __always_inline __u64 setting(__u32 what)
{
	__u64 *value = bpf_map_lookup_elem(&settings, &what);

	return value ? *value : 0;
}

static __always_inline void look(struct xdp_md *ctx)
{
	__u32 longest = LONGEST;
	__u64 len = bpf_xdp_get_buff_len(ctx);
	__u64 *value = bpf_map_lookup_elem(&seen, &longest);

	count(FRAMES, 1);
	count(BYTES, len);
	if (value && *value < len)
		*value = len;
	if (len > ctx->data_end - ctx->data)
		count(FRAGS, 1);
}

/* Whether the frame is for whom the case means: UDP or TCP over IPv4 to the port that it set,
 * or anything if it set none.
 */
static __always_inline int is_meant(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct udphdr *udp = (void *)(ip + 1);
	__u64 port = setting(PORT);

	if (!port)
		return 1;
	if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return 0;
	/* Both begin with their ports. */
	return ip->ihl == 5 && (ip->protocol == IPPROTO_UDP || ip->protocol == IPPROTO_TCP) &&
	       udp->dest == bpf_htons(port);
}

static __always_inline void swap_addresses(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u8 address[ETH_ALEN];

	if ((void *)(eth + 1) > end)
		return;
	__builtin_memcpy(address, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, address, ETH_ALEN);
}

static __always_inline int do_pass(struct xdp_md *ctx)
{
	look(ctx);
	return XDP_PASS;
}

static __always_inline int do_drop(struct xdp_md *ctx)
{
	if (!is_meant(ctx))
		return XDP_PASS;
	look(ctx);
	return XDP_DROP;
}

static __always_inline int do_aborted(struct xdp_md *ctx)
{
	if (!is_meant(ctx))
		return XDP_PASS;
	look(ctx);
	return XDP_ABORTED;
}

/* No verdict. */
static __always_inline int do_nonsense(struct xdp_md *ctx)
{
	if (!is_meant(ctx))
		return XDP_PASS;
	look(ctx);
	return 77;
}

static __always_inline int do_tx(struct xdp_md *ctx)
{
	if (!is_meant(ctx))
		return XDP_PASS;
	look(ctx);
	swap_addresses(ctx);
	return XDP_TX;
}

static __always_inline int do_redirect(struct xdp_md *ctx)
{
	if (!is_meant(ctx))
		return XDP_PASS;
	look(ctx);
	return bpf_redirect(setting(TARGET), 0);
}

static __always_inline int do_map(struct xdp_md *ctx, void *map)
{
	if (!is_meant(ctx))
		return XDP_PASS;
	look(ctx);
	return bpf_redirect_map(map, 0, XDP_PASS);
}

/* What is meant is the process's, if it has bound the queue; with another end, if the case says so. */
static __always_inline int do_socket(struct xdp_md *ctx)
{
	int tail = setting(TAIL);

	if (!is_meant(ctx))
		return XDP_PASS;
	look(ctx);
	if (tail && bpf_xdp_adjust_tail(ctx, tail)) {
		count(REFUSED, 1);
		return XDP_DROP;
	}
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

/* Moves head and tail of what is meant as the case says, and gives it a header of its own. */
static __always_inline int adjusted(struct xdp_md *ctx, int verdict)
{
	int head = setting(HEAD), tail = setting(TAIL);
	struct ethhdr *eth, old;
	void *data, *end;

	if (!is_meant(ctx))
		return XDP_PASS;
	look(ctx);
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + sizeof(old) > end)
		return XDP_ABORTED;
	__builtin_memcpy(&old, data, sizeof(old));
	if (head && bpf_xdp_adjust_head(ctx, head)) {
		count(REFUSED, 1);
		return XDP_DROP;
	}
	if (tail && bpf_xdp_adjust_tail(ctx, tail)) {
		count(REFUSED, 1);
		return XDP_DROP;
	}
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	eth = data;
	if ((void *)(eth + 1) > end)
		return XDP_ABORTED;
	__builtin_memcpy(eth->h_dest, old.h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, old.h_dest, ETH_ALEN);
	/* What follows is no packet of the old kind any more. */
	eth->h_proto = bpf_htons(0x88b5);
	return verdict;
}

static __always_inline int do_adjust(struct xdp_md *ctx)
{
	return adjusted(ctx, XDP_TX);
}

static __always_inline int do_prepend(struct xdp_md *ctx)
{
	return adjusted(ctx, XDP_PASS);
}

/* Wants so many bytes in the first buffer as the case says, or all there are. */
static __always_inline int pulled(struct xdp_md *ctx)
{
	__u32 len = setting(HEAD), all = bpf_xdp_get_buff_len(ctx);

	look(ctx);
	if (bpf_xdp_pull_data(ctx, len < all ? len : all))
		count(REFUSED, 1);
	return XDP_PASS;
}

SEC("xdp.frags")
int pull_frags(struct xdp_md *ctx)
{
	return pulled(ctx);
}

/* Writes metadata in front of the frame, which must stay as it is. */
static __always_inline int do_meta(struct xdp_md *ctx)
{
	__u32 *meta;

	look(ctx);
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta))) {
		count(REFUSED, 1);
		return XDP_PASS;
	}
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return XDP_ABORTED;
	*meta = 0x12345678;
	return XDP_PASS;
}

static __always_inline __u16 fold(__u64 sum)
{
	int i;

	for (i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

#define CHUNK 256

struct chunk {
	__u8 bytes[CHUNK];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct chunk);
} scratch SEC(".maps");

struct sum {
	struct xdp_md *ctx;
	struct chunk *chunk;
	__u32 at, end;
	__s64 sum;
};

static long add_chunk(__u32 index, struct sum *sum)
{
	__u32 n = sum->end - sum->at;

	(void)index;
	if (sum->at >= sum->end)
		return 1;
	if (n < CHUNK)
		__builtin_memset(sum->chunk->bytes, 0, CHUNK);
	else
		n = CHUNK;
	if (n < 1 || n > CHUNK || bpf_xdp_load_bytes(sum->ctx, sum->at, sum->chunk->bytes, n))
		return 1;
	sum->sum = bpf_csum_diff(0, 0, (void *)sum->chunk->bytes, CHUNK, sum->sum);
	sum->at += n;
	return 0;
}

/* Verifies the checksum of TCP and UDP over IPv4. */
static __always_inline int do_verify(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	__u32 zero = 0, addresses[2], len;
	struct sum sum = {};

	look(ctx);
	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
		return XDP_PASS;
	sum.ctx = ctx;
	sum.chunk = bpf_map_lookup_elem(&scratch, &zero);
	if (!sum.chunk)
		return XDP_PASS;
	addresses[0] = ip->saddr;
	addresses[1] = ip->daddr;
	len = bpf_ntohs(ip->tot_len) - sizeof(*ip);
	sum.at = sizeof(*eth) + sizeof(*ip);
	sum.end = sum.at + len;
	sum.sum = bpf_csum_diff(0, 0, addresses, sizeof(addresses),
				bpf_htons(ip->protocol) + bpf_htons(len));
	bpf_loop(300, add_chunk, &sum, 0);
	if (fold(sum.sum) == 0xffff)
		count(RIGHT, 1);
	else
		count(WRONG, 1);
	return XDP_PASS;
}

#define BOTH(name)                             \
	SEC("xdp")                             \
	int name(struct xdp_md *ctx)           \
	{                                      \
		return do_##name(ctx);         \
	}                                      \
	SEC("xdp.frags")                       \
	int name##_frags(struct xdp_md *ctx)   \
	{                                      \
		return do_##name(ctx);         \
	}

BOTH(pass)
BOTH(drop)
BOTH(aborted)
BOTH(nonsense)
BOTH(tx)
BOTH(redirect)
BOTH(socket)
BOTH(adjust)
BOTH(prepend)
BOTH(meta)
BOTH(verify)

#define BOTH_MAPS(name, map)                     \
	SEC("xdp")                               \
	int name(struct xdp_md *ctx)             \
	{                                        \
		return do_map(ctx, &map);        \
	}                                        \
	SEC("xdp.frags")                         \
	int name##_frags(struct xdp_md *ctx)     \
	{                                        \
		return do_map(ctx, &map##_frags); \
	}

/* To each device of the map. */
SEC("xdp")
int broadcast(struct xdp_md *ctx)
{
	if (!is_meant(ctx))
		return XDP_PASS;
	return bpf_redirect_map(&devices, 0, BPF_F_BROADCAST);
}

BOTH_MAPS(devmap, devices)
BOTH_MAPS(cpumap, processors)
