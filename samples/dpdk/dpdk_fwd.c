// SPDX-License-Identifier: GPL-2.0
/*
 * dpdk_fwd [EAL option...] -- rx|tx|macswap COUNT SECONDS [DESTINATION-MAC]
 *
 * A DPDK application on the first port that the EAL finds (a network device bound by
 * AF_XDP, or the device itself by its poll mode driver): receives and drops frames, sends
 * them, or sends back what it receives with the addresses swapped, until there were COUNT
 * or SECONDS have passed. Prints a line of JSON when it is ready, and one in the end: what was
 * received, sent and not sent, and what frames cost: `ticks` of the processor's clock for a burst
 * of BURST frames (the median: some have been interrupted), and `bursts`, how many there were.
 *
 * Its frames have the payload of the peer of the tests: a number of 4 bytes, then bytes
 * that count up from it.
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#define BURST ((uint64_t)32)
#define BURSTS ((uint64_t)4096)
#define RING 512
#define FRAMES 8191
#define LEN 60
#define ETHERTYPE 0x88b5 /* for experiments */
#define DRAIN_MS 2000

struct counts {
	uint64_t rx;
	uint64_t tx;
	uint64_t unsent;
	uint64_t bursts;
	uint64_t ticks[BURSTS]; /* of the last ones */
};

typedef void step_fn(uint16_t port, struct rte_mempool *pool, uint64_t left, struct counts *counts);

static volatile sig_atomic_t stopped;
static struct rte_ether_addr own, destination = { .addr_bytes = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static void stop(int signal)
{
	stopped = signal;
}

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "dpdk_fwd: %s: %s\n", what, rte_strerror(error < 0 ? -error : error));
	exit(1);
}

/* Sends all of a burst, as far as the ring takes it within a while. */
static void push(uint16_t port, struct rte_mbuf **bufs, uint16_t count, struct counts *counts)
{
	uint64_t end = rte_get_timer_cycles() + rte_get_timer_hz() * DRAIN_MS / 1000;
	uint16_t sent = 0;

	while (sent < count && rte_get_timer_cycles() < end && !stopped)
		sent += rte_eth_tx_burst(port, 0, bufs + sent, count - sent);
	counts->tx += sent;
	counts->unsent += count - sent;
	if (sent < count)
		rte_pktmbuf_free_bulk(bufs + sent, count - sent);
}

static void receive(uint16_t port, struct rte_mempool *pool, uint64_t left, struct counts *counts)
{
	struct rte_mbuf *bufs[BURST];
	uint16_t count = rte_eth_rx_burst(port, 0, bufs, RTE_MIN(left, BURST));

	(void)pool;
	counts->rx += count;
	if (count)
		rte_pktmbuf_free_bulk(bufs, count);
}

static void fill(struct rte_mbuf *buf, uint32_t number)
{
	struct rte_ether_hdr *eth = (void *)rte_pktmbuf_append(buf, LEN);
	uint8_t *payload = (uint8_t *)(eth + 1);
	unsigned int at;

	eth->dst_addr = destination;
	eth->src_addr = own;
	eth->ether_type = RTE_BE16(ETHERTYPE);
	for (at = 0; at < 4; at++)
		payload[at] = number >> (8 * (3 - at));
	for (; at < LEN - sizeof(*eth); at++)
		payload[at] = number + at;
}

static void transmit(uint16_t port, struct rte_mempool *pool, uint64_t left, struct counts *counts)
{
	struct rte_mbuf *bufs[BURST];
	uint16_t count = RTE_MIN(left, BURST), at;

	/* All buffers are in the ring: what was sent comes back as more is. */
	if (rte_pktmbuf_alloc_bulk(pool, bufs, count)) {
		rte_eth_tx_done_cleanup(port, 0, 0);
		return;
	}
	for (at = 0; at < count; at++)
		fill(bufs[at], counts->tx + at);
	push(port, bufs, count, counts);
}

static void swap(uint16_t port, struct rte_mempool *pool, uint64_t left, struct counts *counts)
{
	struct rte_mbuf *bufs[BURST];
	uint16_t count = rte_eth_rx_burst(port, 0, bufs, RTE_MIN(left, BURST)), at;

	(void)pool;
	counts->rx += count;
	for (at = 0; at < count; at++) {
		struct rte_ether_hdr *eth = rte_pktmbuf_mtod(bufs[at], void *);
		struct rte_ether_addr source = eth->src_addr;

		eth->src_addr = eth->dst_addr;
		eth->dst_addr = source;
	}
	if (count)
		push(port, bufs, count, counts);
}

static uint64_t moved(const struct counts *counts)
{
	return RTE_MAX(counts->rx, counts->tx);
}

/* One step, and what it cost, if it has moved a whole burst. */
static void measured(step_fn *step, uint16_t port, struct rte_mempool *pool, uint64_t wanted,
		     struct counts *counts)
{
	uint64_t before = moved(counts), begin = rte_rdtsc(), ticks;

	step(port, pool, wanted - before, counts);
	ticks = rte_rdtsc() - begin;
	if (moved(counts) - before == BURST)
		counts->ticks[counts->bursts++ % BURSTS] = ticks;
}

static int by_size(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return (a > b) - (a < b);
}

static uint64_t median(struct counts *counts)
{
	uint64_t number = RTE_MIN(counts->bursts, BURSTS);

	qsort(counts->ticks, number, sizeof(counts->ticks[0]), by_size);
	return counts->ticks[number / 2];
}

static struct rte_mempool *start(uint16_t port)
{
	struct rte_eth_conf conf = {};
	uint16_t rx = RING, tx = RING;
	struct rte_mempool *pool;
	int error;

	pool = rte_pktmbuf_pool_create("frames", FRAMES, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool)
		fail("no memory for frames", rte_errno);
	error = rte_eth_dev_configure(port, 1, 1, &conf);
	if (error)
		fail("the port takes no pair of queues", error);
	error = rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx);
	if (!error)
		error = rte_eth_rx_queue_setup(port, 0, rx, SOCKET_ID_ANY, NULL, pool);
	if (error)
		fail("no queue to receive by", error);
	error = rte_eth_tx_queue_setup(port, 0, tx, SOCKET_ID_ANY, NULL);
	if (error)
		fail("no queue to send by", error);
	error = rte_eth_dev_start(port);
	if (error)
		fail("the port does not start", error);
	rte_eth_macaddr_get(port, &own);
	return pool;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		step_fn *step;
	} modes[] = { { "rx", receive }, { "tx", transmit }, { "macswap", swap } };
	struct rte_eth_dev_info info;
	static struct counts counts;
	struct rte_mempool *pool;
	step_fn *step = NULL;
	uint64_t wanted, end;
	uint16_t port;
	int used = rte_eal_init(argc, argv);
	unsigned int mode;

	if (used < 0)
		fail("the EAL does not start", rte_errno);
	argc -= used;
	argv += used;
	for (mode = 0; argc >= 4 && mode < RTE_DIM(modes); mode++)
		if (!strcmp(argv[1], modes[mode].name))
			step = modes[mode].step;
	if (!step || (argc > 4 && rte_ether_unformat_addr(argv[4], &destination))) {
		fputs("usage: dpdk_fwd [EAL option...] -- rx|tx|macswap COUNT SECONDS [DESTINATION-MAC]\n", stderr);
		return 2;
	}
	wanted = strtoull(argv[2], NULL, 0);
	port = rte_eth_find_next_owned_by(0, RTE_ETH_DEV_NO_OWNER);
	if (port >= RTE_MAX_ETHPORTS)
		fail("no port; give the EAL a device (--vdev or -a)", ENODEV);
	if (rte_eth_dev_info_get(port, &info))
		fail("a port without information", ENODEV);
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	pool = start(port);
	printf("{\"ready\": true, \"driver\": \"%s\"}\n", info.driver_name);
	fflush(stdout);

	end = rte_get_timer_cycles() + rte_get_timer_hz() * strtoull(argv[3], NULL, 0);
	while (!stopped && rte_get_timer_cycles() < end && moved(&counts) < wanted)
		measured(step, port, pool, wanted, &counts);
	/* What is in the ring leaves before the port goes. */
	end = rte_get_timer_cycles() + rte_get_timer_hz() / 2;
	while (rte_get_timer_cycles() < end)
		rte_eth_tx_burst(port, 0, NULL, 0);

	printf("{\"rx\": %" PRIu64 ", \"tx\": %" PRIu64 ", \"unsent\": %" PRIu64 ", \"ticks\": %" PRIu64
	       ", \"bursts\": %" PRIu64 "}\n", counts.rx, counts.tx, counts.unsent, median(&counts), counts.bursts);
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
	rte_eal_cleanup();
	return 0;
}
