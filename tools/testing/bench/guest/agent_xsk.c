// SPDX-License-Identifier: GPL-2.0
/*
 * AF_XDP clients that do as little as can be, and block once per batch: what is
 * counted is the kernel's. The socket's own queue is 0. MODE is "zc" or "copy",
 * with what it is to do besides: "zc@sg" may have several buffers, "zc@csum"
 * has the checksum of each frame completed by the device.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent.h"

#define SIZE 2048	/* entries of each ring, and chunks of the memory */
#define CHUNK 4096
#define BATCH 64
#define FRAME 60	/* bytes of a frame that is sent */
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
	if (sleeps(&xsk->tx) && sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
	    errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
		fail("sendto");
}

/* Puts the socket into the one map for sockets that there is. */
static void enter_map(int fd)
{
	struct bpf_map_info info = {};
	union bpf_attr attr = {};
	uint32_t key = 0;

	while (!syscall(SYS_bpf, BPF_MAP_GET_NEXT_ID, &attr, sizeof(attr))) {
		union bpf_attr get = { .map_id = attr.next_id };
		int map = syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &get, sizeof(get));
		union bpf_attr ask = { .info = { .bpf_fd = map, .info_len = sizeof(info),
						 .info = (uintptr_t)&info } };

		attr.start_id = attr.next_id;
		if (map < 0 || syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &ask, sizeof(ask)))
			fail("map");
		if (info.type == BPF_MAP_TYPE_XSKMAP) {
			union bpf_attr set = { .map_fd = map, .key = (uintptr_t)&key,
					       .value = (uintptr_t)&fd };

			if (syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &set, sizeof(set)))
				fail("map");
			close(map);
			return;
		}
		close(map);
	}
	fprintf(stderr, "agent: there is no map for sockets\n");
	exit(1);
}

static void xsk_open(struct xsk *xsk, const char *interface, const char *mode, bool receives, bool sends)
{
	struct xdp_mmap_offsets offsets;
	socklen_t len = sizeof(offsets);
	struct xdp_umem_reg registration = { .len = SIZE * CHUNK, .chunk_size = CHUNK };
	struct sockaddr_xdp address = { .sxdp_family = AF_XDP, .sxdp_ifindex = if_nametoindex(interface),
					.sxdp_flags = XDP_USE_NEED_WAKEUP };
	int size = SIZE;

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
	enter_map(xsk->fd);
}

static void wait_for_frames(const struct xsk *xsk)
{
	struct pollfd pollfd = { .fd = xsk->fd, .events = POLLIN };

	if (poll(&pollfd, 1, -1) < 0)
		fail("poll");
}

/* What was received is dropped. */
static uint32_t drop(struct xsk *xsk)
{
	uint32_t n = available(&xsk->rx);

	for (uint32_t i = 0; i < n; i++)
		*address_at(&xsk->fill, xsk->fill.at + i) = frame_at(&xsk->rx, xsk->rx.at + i)->addr & ~(CHUNK - 1ull);
	taken(&xsk->rx, n);
	given(&xsk->fill, n);
	wake_rx(xsk);
	return n;
}

/* What was sent can be received into again. */
static uint32_t refill(struct xsk *xsk)
{
	uint32_t n = available(&xsk->done);

	for (uint32_t i = 0; i < n; i++)
		*address_at(&xsk->fill, xsk->fill.at + i) = *address_at(&xsk->done, xsk->done.at + i) & ~(CHUNK - 1ull);
	taken(&xsk->done, n);
	given(&xsk->fill, n);
	return n;
}

/* What was received goes back; to an address that nobody has, which costs the guest nothing. */
static uint32_t forward(struct xsk *xsk)
{
	uint32_t sent = refill(xsk), n = available(&xsk->rx);

	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *frame = frame_at(&xsk->rx, xsk->rx.at + i);
		uint8_t *ethernet = xsk->memory + frame->addr;

		memcpy(ethernet + 6, ethernet, 6);
		memcpy(ethernet, "\x02\xfe\xed\0\0\1", 6);
		*frame_at(&xsk->tx, xsk->tx.at + i) = (struct xdp_desc){ .addr = frame->addr, .len = frame->len };
	}
	taken(&xsk->rx, n);
	given(&xsk->tx, n);
	wake_tx(xsk);
	wake_rx(xsk);
	return sent;
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
			got[1] += available(&xsk.rx);
			got[0] += step(&xsk);
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
	/* What was sent last waits for the next batch to be seen. */
	if (got[1] != sent && got[1])
		fprintf(stderr, "agent: received %llu of %llu\n", (unsigned long long)got[1], (unsigned long long)sent);
	report(got[1] ? got[1] : sent, ns);
	return 0;
}

/* xsk-rxdrop INTERFACE MODE SOURCE COUNT */
int cmd_xsk_rxdrop(char **argv)
{
	return receive(argv, drop);
}

/* xsk-l2fwd INTERFACE MODE SOURCE COUNT */
int cmd_xsk_l2fwd(char **argv)
{
	return receive(argv, forward);
}

static const uint8_t datagram[FRAME] = {
	0x02, 0xfe, 0xed, 0, 0, 1, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
	0x45, 0, 0, FRAME - 14, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2,
	0, 9, 0, 9, 0, FRAME - 34,
};

/* xsk-txonly INTERFACE MODE COUNT */
int cmd_xsk_txonly(char **argv)
{
	uint64_t count = number(argv[2]), sent = 0, done = 0, ns;
	uint32_t offset = 0;
	struct xsk xsk;

	xsk_open(&xsk, argv[0], argv[1], false, true);
	if (xsk.csum)
		offset = sizeof(struct xsk_tx_metadata);
	for (uint32_t i = 0; i < SIZE; i++) {
		struct xsk_tx_metadata *metadata = (void *)(xsk.memory + i * CHUNK);

		memcpy(xsk.memory + i * CHUNK + offset, datagram, FRAME);
		*frame_at(&xsk.tx, i) = (struct xdp_desc){ .addr = i * CHUNK + offset, .len = FRAME };
		if (!xsk.csum)
			continue;
		metadata->flags = XDP_TXMD_FLAGS_CHECKSUM;
		metadata->request.csum_start = 34;
		metadata->request.csum_offset = 6;
		frame_at(&xsk.tx, i)->options = XDP_TX_METADATA;
	}
	MARK_BEGIN();
	ns = now_ns();
	while (done < count) {
		uint32_t n = count - sent < BATCH ? count - sent : BATCH;

		given(&xsk.tx, n);
		sent += n;
		wake_tx(&xsk);
		usleep(PAUSE);
		n = available(&xsk.done);
		taken(&xsk.done, n);
		done += n;
	}
	ns = now_ns() - ns;
	MARK_END();
	report(done, ns);
	return 0;
}
