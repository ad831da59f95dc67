// SPDX-License-Identifier: GPL-2.0
/*
 * Verified traffic for the guest tests, fast enough under emulation.
 *
 *   traffic serve PORT                          echo, sink and source, IPv4 and IPv6
 *   traffic echo udp|tcp|icmp ADDR PORT FROM TO STEP
 *                                               every size there and back, compared
 *   traffic stream send|recv ADDR PORT BYTES    one way by TCP, compared where it ends
 *   traffic burst ADDR PORT COUNT SIZE GAP_US [SEGMENT]
 *                                               one way by UDP, counted where it ends
 *   traffic tsc                                 the time stamp counter's kHz, by the clock
 *
 * A client prints one line of JSON and exits with 0 only if nothing was lost or
 * changed. burst loses packets by design: there the numbers are the result.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_MESSAGE 65536
#define CHUNK 65536
#define COUNTED 0xf00d5a17u
#define REPORT 0xf00d5a18u

enum mode { ECHO, SINK, SOURCE };

struct request {
	uint32_t mode, seed;
	uint64_t length;
};

struct counted {
	uint32_t magic, number, size, run;
};

struct report {
	uint32_t magic, run;
	uint64_t received, repeated, changed;
};

static uint8_t buffer[CHUNK], expected[CHUNK];

static void fail(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* Position-dependent, so that exchanged or repeated pieces do not compare equal. */
static void fill(uint8_t *to, size_t length, uint64_t offset, uint32_t seed)
{
	for (size_t i = 0; i < length; i++) {
		uint64_t at = offset + i;

		to[i] = (uint8_t)(at * 7 + (at >> 8) * 13 + (at >> 16) * 29 + seed * 31);
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static int read_all(int fd, void *to, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = recv(fd, (char *)to + done, length - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

static int write_all(int fd, const void *from, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = send(fd, (const char *)from + done, length - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += n;
	}
	return 0;
}

static int send_pattern(int fd, uint64_t length, uint32_t seed)
{
	for (uint64_t at = 0; at < length;) {
		size_t n = length - at < CHUNK ? length - at : CHUNK;

		fill(buffer, n, at, seed);
		if (write_all(fd, buffer, n))
			return -1;
		at += n;
	}
	return 0;
}

/* The first wrong offset, length if all is right, or -1 if the peer went away. */
static int64_t check_pattern(int fd, uint64_t length, uint32_t seed)
{
	int64_t wrong = -1;

	for (uint64_t at = 0; at < length;) {
		size_t n = length - at < CHUNK ? length - at : CHUNK;

		if (read_all(fd, buffer, n))
			return -1;
		fill(expected, n, at, seed);
		if (wrong < 0 && memcmp(buffer, expected, n))
			for (size_t i = 0; i < n && wrong < 0; i++)
				if (buffer[i] != expected[i])
					wrong = at + i;
		at += n;
	}
	return wrong < 0 ? (int64_t)length : wrong;
}

static void serve_connection(int fd)
{
	struct request request;
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (read_all(fd, &request, sizeof(request)))
		return;
	if (request.mode == SOURCE) {
		send_pattern(fd, request.length, request.seed);
		shutdown(fd, SHUT_WR);
		while (recv(fd, buffer, CHUNK, 0) > 0)
			;
	} else if (request.mode == SINK) {
		int64_t end = check_pattern(fd, request.length, request.seed);

		write_all(fd, &end, sizeof(end));
	} else {
		ssize_t n;

		while ((n = recv(fd, buffer, CHUNK, 0)) > 0)
			if (write_all(fd, buffer, n))
				break;
	}
}

static void serve_datagrams(int fd)
{
	static uint8_t seen[1 << 20];
	struct report report = { .magic = REPORT };
	struct sockaddr_storage from;

	for (;;) {
		socklen_t length = sizeof(from);
		ssize_t n = recvfrom(fd, buffer, CHUNK, 0, (void *)&from, &length);
		struct counted *head = (void *)buffer;

		if (n < 0)
			continue;
		if (n < (ssize_t)sizeof(*head) ||
		    (head->magic != COUNTED && head->magic != REPORT)) {
			sendto(fd, buffer, n, 0, (void *)&from, length);
			continue;
		}
		if (head->run != report.run) {
			report = (struct report){ .magic = REPORT, .run = head->run };
			memset(seen, 0, sizeof(seen));
		}
		if (head->magic == REPORT) {
			sendto(fd, &report, sizeof(report), 0, (void *)&from, length);
			continue;
		}
		report.received++;
		if (head->number / 8 < sizeof(seen)) {
			uint8_t *byte = &seen[head->number / 8], bit = 1 << head->number % 8;

			report.repeated += !!(*byte & bit);
			*byte |= bit;
		}
		fill(expected, n - sizeof(*head), 0, head->number);
		if (n != head->size || memcmp(buffer + sizeof(*head), expected, n - sizeof(*head)))
			report.changed++;
	}
}

/* bind(), tried for five seconds while the port is taken. */
static int bind_soon(int fd, const struct sockaddr_in6 *address)
{
	for (int tries = 0; tries < 100; tries++) {
		if (!bind(fd, (const void *)address, sizeof(*address)))
			return 0;
		if (errno != EADDRINUSE)
			break;
		usleep(50000);
	}
	return -1;
}

/* Ends this process with its parent, which may have ended already. */
static void end_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

static int serve(int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int tcp = socket(AF_INET6, SOCK_STREAM, 0), udp = socket(AF_INET6, SOCK_DGRAM, 0);
	int one = 1, zero = 0, room = 16 << 20;
	pid_t server = getpid();

	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(tcp, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(udp, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	/* A server that was just killed may have children that are still going. */
	if (bind_soon(tcp, &any) || bind_soon(udp, &any) || listen(tcp, 64))
		fail("bind");
	signal(SIGCHLD, SIG_IGN);
	if (!fork()) {
		end_with(server);
		serve_datagrams(udp);
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int fd = accept(tcp, NULL, NULL);

		if (fd < 0)
			continue;
		if (!fork()) {
			end_with(server);
			serve_connection(fd);
			exit(0);
		}
		close(fd);
	}
}

static int open_to(const char *address, const char *port, int type, int icmp)
{
	struct addrinfo hints = { .ai_socktype = type, .ai_flags = AI_NUMERICHOST }, *found;
	struct timeval patience = { .tv_sec = type == SOCK_STREAM ? 30 : 2 };
	int fd, one = 1, room = 4 << 20;

	if (getaddrinfo(address, port, &hints, &found))
		fail("address");
	if (icmp)
		icmp = found->ai_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	fd = socket(found->ai_family, type, icmp);
	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	else
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	/* A machine that goes to sleep interrupts it; asked again, it goes on. */
	while (connect(fd, found->ai_addr, found->ai_addrlen))
		if (errno != EINTR)
			fail("connect");
	return fd;
}

enum kind { UDP, TCP, ICMP };

struct icmp_head {
	uint8_t type, code;
	uint16_t checksum, id, sequence;
};

/* One echo request of the kernel's own; the answer has another type and our id. */
static int echo_icmp(int fd, const char *address, size_t size)
{
	static uint8_t packet[CHUNK];
	struct icmp_head *head = (void *)packet;
	static uint16_t sequence;

	*head = (struct icmp_head){ .type = strchr(address, ':') ? 128 : 8,
				    .sequence = htons(++sequence) };
	memcpy(packet + sizeof(*head), expected, size);
	if (send(fd, packet, sizeof(*head) + size, 0) < 0)
		return 2;
	for (;;) {
		ssize_t n = recv(fd, packet, CHUNK, 0);

		if (n < 0)
			return 2;
		if (head->sequence == htons(sequence))
			return n != (ssize_t)(sizeof(*head) + size) ||
			       memcmp(packet + sizeof(*head), expected, size);
	}
}

/* 0 same, 1 changed, 2 lost. */
static int echo_one(int fd, enum kind kind, const char *address, size_t size)
{
	if (kind == ICMP)
		return echo_icmp(fd, address, size);
	if (kind == TCP) {
		if (write_all(fd, expected, size))
			return 2;
		if (read_all(fd, buffer, size))
			return 2;
		return !!memcmp(buffer, expected, size);
	}
	if (send(fd, expected, size, 0) != (ssize_t)size)
		return 2;
	for (;;) {
		ssize_t n = recv(fd, buffer, CHUNK, 0);

		if (n < 0)
			return 2;
		/* An answer that came too late for the size before is not this one's. */
		if (n == (ssize_t)size)
			return !!memcmp(buffer, expected, size);
	}
}

static int echo(enum kind kind, const char *address, const char *port, int from, int to, int step)
{
	int fd = open_to(address, port, kind == TCP ? SOCK_STREAM : SOCK_DGRAM, kind == ICMP);
	struct request request = { .mode = ECHO };
	int bad[3] = { 0 }, first[3] = { -1, -1, -1 };

	if (to > MAX_MESSAGE)
		to = MAX_MESSAGE;
	if (kind == TCP && write_all(fd, &request, sizeof(request)))
		fail("send");
	for (int size = from; size <= to; size += step) {
		int result;

		fill(expected, size, 0, size + 1);
		result = echo_one(fd, kind, address, size);
		if (first[result] < 0)
			first[result] = size;
		bad[result]++;
		if (result && (kind == TCP || bad[1] + bad[2] > 5))
			break;
	}
	printf("{\"same\": %d, \"changed\": %d, \"lost\": %d, \"first_changed\": %d, \"first_lost\": %d}\n",
	       bad[0], bad[1], bad[2], first[1], first[2]);
	return bad[1] || bad[2];
}

static int stream(int send, const char *address, const char *port, uint64_t length)
{
	int fd = open_to(address, port, SOCK_STREAM, 0);
	struct request request = { .mode = send ? SINK : SOURCE, .seed = getpid(), .length = length };
	double start = now();
	int64_t end = -1;

	if (write_all(fd, &request, sizeof(request)))
		fail("send");
	if (send) {
		if (send_pattern(fd, length, request.seed) || read_all(fd, &end, sizeof(end)))
			end = -1;
	} else {
		end = check_pattern(fd, length, request.seed);
	}
	printf("{\"bytes\": %llu, \"right\": %lld, \"seconds\": %.3f}\n",
	       (unsigned long long)length, (long long)end, now() - start);
	return end != (int64_t)length;
}

static int burst(const char *address, const char *port, uint32_t count, uint32_t size, int gap,
		 uint16_t segment)
{
	int fd = open_to(address, port, SOCK_DGRAM, 0);
	struct counted ask = { .magic = REPORT, .run = getpid() };
	struct report report = { 0 };
	uint32_t pack = segment ? 60000 / segment : 1, sent = 0;
	int answered = 0;
	struct timespec pause = { .tv_nsec = gap * 1000L };

	if (segment) {
		int value = segment;

		size = segment;
		if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &value, sizeof(value)))
			fail("UDP_SEGMENT");
		if (pack > 64)
			pack = 64;
	}
	if (size < sizeof(struct counted) || (uint64_t)size * pack > CHUNK)
		size = sizeof(struct counted);
	while (sent < count) {
		uint32_t n = count - sent < pack ? count - sent : pack;

		for (uint32_t i = 0; i < n; i++) {
			uint8_t *at = buffer + (size_t)i * size;
			struct counted head = { COUNTED, sent + i, size, ask.run };

			memcpy(at, &head, sizeof(head));
			fill(at + sizeof(head), size - sizeof(head), 0, sent + i);
		}
		if (send(fd, buffer, (size_t)n * size, 0) < 0) {
			if (errno == ENOBUFS || errno == EAGAIN)
				continue;
			if (!sent && (errno == EMSGSIZE || errno == EINVAL))
				fail("send");
			/* The way is cut, or its device is on its way out: lost. */
		}
		sent += n;
		if (gap)
			nanosleep(&pause, NULL);
	}
	/*
	 * A fresh socket: the question must not be one datagram that segments. It
	 * may overtake what is still in a queue, so ask until the count rests.
	 */
	close(fd);
	fd = open_to(address, port, SOCK_DGRAM, 0);
	pause.tv_nsec = 100 * 1000000L;
	for (int resting = 0, silent = 0; resting < 15 && silent < 5;) {
		uint64_t before = report.received;

		send(fd, &ask, sizeof(ask), 0);
		if (recv(fd, &report, sizeof(report), 0) != sizeof(report)) {
			silent++;
			continue;
		}
		answered = 1;
		if (report.received >= sent)
			break;
		resting = report.received == before ? resting + 1 : 0;
		nanosleep(&pause, NULL);
	}
	if (!answered)
		fail("no report from the other end");
	printf("{\"sent\": %u, \"received\": %llu, \"repeated\": %llu, \"changed\": %llu}\n", sent,
	       (unsigned long long)report.received, (unsigned long long)report.repeated,
	       (unsigned long long)report.changed);
	return report.received != sent || report.repeated || report.changed;
}

static int tsc(void)
{
	double start = now(), end;
	uint64_t first = __builtin_ia32_rdtsc(), last;

	while ((end = now()) < start + 0.2)
		;
	last = __builtin_ia32_rdtsc();
	printf("%llu\n", (unsigned long long)((last - first) / (end - start) / 1000));
	return 0;
}

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc == 2 && !strcmp(argv[1], "tsc"))
		return tsc();
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]));
	if (argc == 8 && !strcmp(argv[1], "echo"))
		return echo(argv[2][0] == 't' ? TCP : argv[2][0] == 'i' ? ICMP : UDP, argv[3], argv[4], atoi(argv[5]), atoi(argv[6]),
			    atoi(argv[7]));
	if (argc == 6 && !strcmp(argv[1], "stream"))
		return stream(!strcmp(argv[2], "send"), argv[3], argv[4], strtoull(argv[5], NULL, 0));
	if ((argc == 7 || argc == 8) && !strcmp(argv[1], "burst"))
		return burst(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]), atoi(argv[6]),
			     argc == 8 ? atoi(argv[7]) : 0);
	fprintf(stderr, "traffic: usage: see the head of traffic.c\n");
	return 2;
}
