// SPDX-License-Identifier: GPL-2.0
/*
 * AF_XDP clients that do as little as can be, and block once per batch: what is
 * counted is the kernel's. The socket's own queue is 0. MODE is "zc" or "copy",
 * with what it is to do besides: with "@sg" a frame may have several buffers,
 * with "@csum" its checksum is completed by the device.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent.h"

#define SIZE 2048	/* entries of each ring, and chunks of the memory */
#define CHUNK 4096
#define BATCH 64
#define SHORTEST 60	/* bytes of a frame */
/* Longer than the device takes to tell what it has sent, in microseconds. */
#define PAUSE 250

struct ring {
	uint32_t *producer, *consumer, *flags;
	void *entries;
	uint32_t at;	/* of ours, the next */
};

struct xsk {
	int fd;
	bool csum;
	bool within;	/* the last buffer received was not the last one of its frame */
	uint8_t *memory;
	struct ring rx, tx, fill, done;
};

static void option(int fd, int name, const void *value, socklen_t len)
{
	if (setsockopt(fd, SOL_XDP, name, value, len))
		fail("setsockopt");
}

static void map_ring(int fd, struct ring *ring, const struct xdp_ring_offset *offset, size_t entry, off_t page)
{
	uint8_t *start = mmap(NULL, offset->desc + SIZE * entry, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_POPULATE, fd, page);

	if (start == MAP_FAILED)
		fail("ring");
	ring->producer = (uint32_t *)(start + offset->producer);
	ring->consumer = (uint32_t *)(start + offset->consumer);
	ring->flags = (uint32_t *)(start + offset->flags);
	ring->entries = start + offset->desc;
}

/* Entries that the kernel has put there, of a ring that we take from. */
static uint32_t available(const struct ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - ring->at;
}

static struct xdp_desc *frame_at(const struct ring *ring, uint32_t at)
{
	return (struct xdp_desc *)ring->entries + (at & (SIZE - 1));
}

static uint64_t *address_at(const struct ring *ring, uint32_t at)
{
	return (uint64_t *)ring->entries + (at & (SIZE - 1));
}

static void taken(struct ring *ring, uint32_t n)
{
	ring->at += n;
	__atomic_store_n(ring->consumer, ring->at, __ATOMIC_RELEASE);
}

static void given(struct ring *ring, uint32_t n)
{
	ring->at += n;
	__atomic_store_n(ring->producer, ring->at, __ATOMIC_RELEASE);
}

static bool sleeps(const struct ring *ring)
{
	return __atomic_load_n(ring->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
}

static void wake_rx(const struct xsk *xsk)
{
	if (sleeps(&xsk->fill))
		recvfrom(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void wake_tx(const struct xsk *xsk)
{
	while (sleeps(&xsk->tx) && sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0) {
		if (errno == EBUSY || errno == ENOBUFS)
			return;
		/* Copy mode sends so many at a time, and there are more. */
		if (errno != EAGAIN)
			fail("sendto");
	}
}

static void xsk_open(struct xsk *xsk, const char *interface, const char *mode, bool receives, bool sends)
{
	struct xdp_mmap_offsets offsets;
	socklen_t len = sizeof(offsets);
	struct xdp_umem_reg registration = { .len = SIZE * CHUNK, .chunk_size = CHUNK };
	struct sockaddr_xdp address = { .sxdp_family = AF_XDP, .sxdp_ifindex = if_nametoindex(interface),
					.sxdp_flags = XDP_USE_NEED_WAKEUP };
	int size = SIZE, room = SIZE * CHUNK;

	memset(xsk, 0, sizeof(*xsk));
	xsk->csum = strstr(mode, "csum");
	address.sxdp_flags |= strstr(mode, "zc") ? XDP_ZEROCOPY : XDP_COPY;
	if (strstr(mode, "sg"))
		address.sxdp_flags |= XDP_USE_SG;
	if (xsk->csum) {
		registration.flags |= XDP_UMEM_TX_METADATA_LEN;
		registration.tx_metadata_len = sizeof(struct xsk_tx_metadata);
	}
	xsk->memory = mmap(NULL, SIZE * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	xsk->fd = socket(AF_XDP, SOCK_RAW, 0);
	if (xsk->memory == MAP_FAILED || xsk->fd < 0)
		fail("socket");
	/* Copies of all frames may be on their way. */
	if (setsockopt(xsk->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		fail("SO_SNDBUFFORCE");
	registration.addr = (uintptr_t)xsk->memory;
	option(xsk->fd, XDP_UMEM_REG, &registration, sizeof(registration));
	option(xsk->fd, XDP_UMEM_FILL_RING, &size, sizeof(size));
	option(xsk->fd, XDP_UMEM_COMPLETION_RING, &size, sizeof(size));
	if (sends)
		option(xsk->fd, XDP_TX_RING, &size, sizeof(size));
	if (receives)
		option(xsk->fd, XDP_RX_RING, &size, sizeof(size));
	if (getsockopt(xsk->fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &len))
		fail("offsets");
	map_ring(xsk->fd, &xsk->fill, &offsets.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING);
	map_ring(xsk->fd, &xsk->done, &offsets.cr, sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING);
	if (sends)
		map_ring(xsk->fd, &xsk->tx, &offsets.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING);
	if (receives)
		map_ring(xsk->fd, &xsk->rx, &offsets.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING);
	for (uint32_t i = 0; receives && i < SIZE; i++)
		*address_at(&xsk->fill, i) = (uint64_t)i * CHUNK;
	given(&xsk->fill, receives ? SIZE : 0);
	if (bind(xsk->fd, (struct sockaddr *)&address, sizeof(address)))
		fail("bind");
	if (!receives)
		return;
	wake_rx(xsk);
	enter_map(BPF_MAP_TYPE_XSKMAP, xsk->fd);
}

static void wait_for_frames(const struct xsk *xsk)
{
	struct pollfd pollfd = { .fd = xsk->fd, .events = POLLIN };

	if (poll(&pollfd, 1, -1) < 0)
		fail("poll");
}

/* What was received is dropped. Returns the number of frames. */
static uint32_t drop(struct xsk *xsk)
{
	uint32_t n = available(&xsk->rx), frames = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *part = frame_at(&xsk->rx, xsk->rx.at + i);

		*address_at(&xsk->fill, xsk->fill.at + i) = part->addr & ~(CHUNK - 1ull);
		frames += !(part->options & XDP_PKT_CONTD);
	}
	taken(&xsk->rx, n);
	given(&xsk->fill, n);
	wake_rx(xsk);
	return frames;
}

/* What was sent can be received into again. */
static void refill(struct xsk *xsk)
{
	uint32_t n = available(&xsk->done);

	for (uint32_t i = 0; i < n; i++)
		*address_at(&xsk->fill, xsk->fill.at + i) = *address_at(&xsk->done, xsk->done.at + i) & ~(CHUNK - 1ull);
	taken(&xsk->done, n);
	given(&xsk->fill, n);
}

/* What was received goes back; to an address that nobody has, which costs the guest nothing. */
static uint32_t forward(struct xsk *xsk)
{
	uint32_t n = available(&xsk->rx), frames = 0;

	refill(xsk);
	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *part = frame_at(&xsk->rx, xsk->rx.at + i);
		uint8_t *ethernet = xsk->memory + part->addr;

		if (!xsk->within) {
			memcpy(ethernet + 6, ethernet, 6);
			memcpy(ethernet, "\x02\xfe\xed\0\0\1", 6);
		}
		xsk->within = part->options & XDP_PKT_CONTD;
		frames += !xsk->within;
		*frame_at(&xsk->tx, xsk->tx.at + i) = (struct xdp_desc){
			.addr = part->addr, .len = part->len, .options = part->options & XDP_PKT_CONTD,
		};
	}
	taken(&xsk->rx, n);
	given(&xsk->tx, n);
	wake_tx(xsk);
	wake_rx(xsk);
	return frames;
}

/* A child with a socket takes what pktgen sends from SOURCE. */
static int receive(char **argv, uint32_t (*step)(struct xsk *xsk))
{
	int pgctrl = open("/proc/net/pktgen/pgctrl", O_WRONLY);
	volatile uint64_t *got = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t sent, ns;
	pid_t child;

	if (pgctrl < 0 || got == MAP_FAILED)
		fail("pgctrl");
	child = fork();
	if (child < 0)
		fail("fork");
	if (!child) {
		struct xsk xsk;

		xsk_open(&xsk, argv[0], argv[1], true, step == forward);
		for (;;) {
			wait_for_frames(&xsk);
			*got += step(&xsk);
		}
	}
	/* Let it block before counting begins. */
	usleep(50000);
	if (waitpid(child, NULL, WNOHANG))
		exit(1);
	MARK_BEGIN();
	pktgen_start(pgctrl);
	usleep(5000);
	MARK_END();
	kill(child, 9);
	waitpid(child, NULL, 0);
	sent = pktgen_result(argv[2], number(argv[3]), &ns);
	if (!number(argv[4])) {
		report(sent, ns);
		return 0;
	}
	if (*got != sent)
		fprintf(stderr, "agent: received %llu of %llu\n", (unsigned long long)*got, (unsigned long long)sent);
	report(*got, ns);
	return 0;
}

/* xsk-rxdrop INTERFACE MODE SOURCE COUNT EXPECTED: of which so many are for the socket, all or none. */
int cmd_xsk_rxdrop(char **argv)
{
	return receive(argv, drop);
}

/* xsk-l2fwd INTERFACE MODE SOURCE COUNT EXPECTED */
int cmd_xsk_l2fwd(char **argv)
{
	return receive(argv, forward);
}

static const uint8_t headers[] = {
	0x02, 0xfe, 0xed, 0, 0, 1, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
	0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2,
	0, 9, 0, 9, 0, 0, 0, 0,
};

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* What is sent, each frame in as many chunks as it takes. */
struct frames {
	uint32_t size, parts, offset;
};

static void write_frames(const struct xsk *xsk, const struct frames *frames)
{
	for (uint32_t i = 0; i + frames->parts <= SIZE; i += frames->parts) {
		uint8_t *frame = xsk->memory + i * CHUNK + frames->offset;
		struct xsk_tx_metadata *metadata = (void *)(xsk->memory + i * CHUNK);

		memcpy(frame, headers, sizeof(headers));
		put16(frame + 16, frames->size - 14);
		put16(frame + 38, frames->size - 34);
		if (!xsk->csum)
			continue;
		metadata->flags = XDP_TXMD_FLAGS_CHECKSUM;
		metadata->request.csum_start = 34;
		metadata->request.csum_offset = 6;
	}
}

/* Puts the N-th frame into the ring. */
static void describe(const struct xsk *xsk, const struct frames *frames, uint32_t n)
{
	for (uint32_t part = 0; part < frames->parts; part++) {
		uint32_t at = n * frames->parts + part, chunk = at % (SIZE - SIZE % frames->parts);
		bool last = part + 1 == frames->parts;

		*frame_at(&xsk->tx, at) = (struct xdp_desc){
			.addr = chunk * CHUNK + frames->offset,
			.len = last ? frames->size - part * CHUNK : CHUNK,
			.options = (last ? 0 : XDP_PKT_CONTD) | (xsk->csum ? XDP_TX_METADATA : 0),
		};
	}
}

/* How many more frames the kernel is given now. */
static uint32_t next_batch(const struct ring *tx, const struct frames *frames, uint64_t left)
{
	uint32_t room = SIZE - (tx->at - __atomic_load_n(tx->consumer, __ATOMIC_ACQUIRE));
	uint32_t n = (room < BATCH ? room : BATCH) / frames->parts;

	return left < n ? left : n;
}

/* Frames that went without what was asked for them: 0 where that is not counted. */
static uint64_t refused(const char *interface)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_gstrings *names;
	struct ethtool_stats *stats;
	uint64_t found = 0;

	ethtool(interface, &info, "number of counters");
	names = calloc(1, sizeof(*names) + (size_t)info.n_stats * ETH_GSTRING_LEN);
	stats = calloc(1, sizeof(*stats) + info.n_stats * sizeof(*stats->data));
	if (!names || !stats)
		fail("counters");
	*names = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = info.n_stats };
	*stats = (struct ethtool_stats){ .cmd = ETHTOOL_GSTATS, .n_stats = info.n_stats };
	ethtool(interface, names, "names of counters");
	ethtool(interface, stats, "counters");
	for (uint32_t i = 0; i < info.n_stats; i++)
		if (!strcmp((char *)names->data + i * ETH_GSTRING_LEN, "tx_xsk_metadata_errors"))
			found = stats->data[i];
	free(names);
	free(stats);
	return found;
}

/* xsk-txonly INTERFACE MODE SIZE COUNT */
int cmd_xsk_txonly(char **argv)
{
	uint64_t count = number(argv[3]), sent = 0, done = 0, ns;
	struct frames frames = { .size = number(argv[2]) };
	struct xsk xsk;

	xsk_open(&xsk, argv[0], argv[1], false, true);
	frames.parts = (frames.size + CHUNK - 1) / CHUNK;
	frames.offset = xsk.csum ? sizeof(struct xsk_tx_metadata) : 0;
	if (frames.size < SHORTEST || frames.parts > BATCH ||
	    (frames.offset && frames.offset + frames.size > CHUNK)) {
		errno = EMSGSIZE;
		fail("frames");
	}
	write_frames(&xsk, &frames);
	/* Frames of one chunk stay where they are. */
	for (uint32_t i = 0; frames.parts == 1 && i < SIZE; i++)
		describe(&xsk, &frames, i);
	MARK_BEGIN();
	ns = now_ns();
	while (done < count * frames.parts) {
		uint32_t n = next_batch(&xsk.tx, &frames, count - sent);

		for (uint32_t i = 0; frames.parts > 1 && i < n; i++)
			describe(&xsk, &frames, sent + i);
		given(&xsk.tx, n * frames.parts);
		sent += n;
		wake_tx(&xsk);
		usleep(PAUSE);
		n = available(&xsk.done);
		taken(&xsk.done, n);
		done += n;
	}
	ns = now_ns() - ns;
	MARK_END();
	if (xsk.csum && refused(argv[0])) {
		errno = EOPNOTSUPP;
		fail("checksums");
	}
	report(done / frames.parts, ns);
	return 0;
}
