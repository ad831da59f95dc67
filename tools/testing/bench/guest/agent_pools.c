// SPDX-License-Identifier: GPL-2.0
/* What an interface's page pools have given out, by the netdev family of netlink. */
#include <linux/genetlink.h>
#include <linux/netdev.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "agent.h"

struct request {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	uint8_t attributes[64];
};

typedef void (*visit)(const struct nlattr *attr, void *data);

static void each_attribute(const struct nlmsghdr *nl, visit visit, void *data)
{
	const uint8_t *at = (const uint8_t *)nl + NLMSG_HDRLEN + GENL_HDRLEN;
	const uint8_t *end = (const uint8_t *)nl + nl->nlmsg_len;

	while (end - at >= NLA_HDRLEN) {
		const struct nlattr *attr = (const struct nlattr *)at;

		if (attr->nla_len < NLA_HDRLEN)
			break;
		visit(attr, data);
		at += NLA_ALIGN(attr->nla_len);
	}
}

static uint64_t value(const struct nlattr *attr)
{
	uint64_t value = 0;
	size_t len = attr->nla_len - NLA_HDRLEN;

	memcpy(&value, (const uint8_t *)attr + NLA_HDRLEN, len < sizeof(value) ? len : sizeof(value));
	return value;
}

/* One message of an answer, until the answer is at its end: then true. A dump's has a last one. */
static bool take(const struct nlmsghdr *nl, bool dump, void (*message)(const struct nlmsghdr *nl, void *data), void *data)
{
	if (nl->nlmsg_type == NLMSG_DONE)
		return true;
	if (nl->nlmsg_type == NLMSG_ERROR) {
		fprintf(stderr, "agent: netlink: error %d\n", *(const int *)NLMSG_DATA(nl));
		exit(1);
	}
	message(nl, data);
	return !dump;
}

static void ask(int sock, struct request *request, void (*message)(const struct nlmsghdr *nl, void *data), void *data)
{
	static uint8_t buf[32768] __attribute__((aligned(8)));
	bool dump = (request->nl.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP, done = false;

	if (send(sock, request, request->nl.nlmsg_len, 0) < 0)
		fail("netlink");
	while (!done) {
		ssize_t len = recv(sock, buf, sizeof(buf), 0);
		struct nlmsghdr *nl = (struct nlmsghdr *)buf;

		if (len < 0)
			fail("netlink");
		for (; !done && NLMSG_OK(nl, len); nl = NLMSG_NEXT(nl, len))
			done = take(nl, dump, message, data);
	}
}

static void family_attribute(const struct nlattr *attr, void *family)
{
	if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
		*(uint64_t *)family = value(attr);
}

static void family_message(const struct nlmsghdr *nl, void *family)
{
	each_attribute(nl, family_attribute, family);
}

static int family_of(int sock, const char *name)
{
	struct request request = {
		.nl = { .nlmsg_type = GENL_ID_CTRL, .nlmsg_flags = NLM_F_REQUEST },
		.genl = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 },
	};
	struct nlattr *attr = (struct nlattr *)request.attributes;
	uint64_t family = 0;

	attr->nla_type = CTRL_ATTR_FAMILY_NAME;
	attr->nla_len = NLA_HDRLEN + strlen(name) + 1;
	strcpy((char *)request.attributes + NLA_HDRLEN, name);
	request.nl.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN + NLA_ALIGN(attr->nla_len);
	ask(sock, &request, family_message, &family);
	return family;
}

struct pools {
	uint64_t interface, bytes;	/* asked for; counted */
	uint64_t of, inflight;		/* of the message under way */
};

static void pool_attribute(const struct nlattr *attr, void *data)
{
	struct pools *pools = data;

	if (attr->nla_type == NETDEV_A_PAGE_POOL_IFINDEX)
		pools->of = value(attr);
	if (attr->nla_type == NETDEV_A_PAGE_POOL_INFLIGHT_MEM)
		pools->inflight = value(attr);
}

static void pool_message(const struct nlmsghdr *nl, void *data)
{
	struct pools *pools = data;

	pools->of = pools->inflight = 0;
	each_attribute(nl, pool_attribute, pools);
	if (pools->of == pools->interface)
		pools->bytes += pools->inflight;
}

/* page-pools INTERFACE: KiB. */
int cmd_page_pools(char **argv)
{
	struct request request = {
		.nl = { .nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.genl = { .cmd = NETDEV_CMD_PAGE_POOL_GET, .version = 1 },
	};
	struct pools pools = { .interface = if_nametoindex(argv[0]) };
	int sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);

	if (sock < 0 || !pools.interface)
		fail("netlink");
	request.nl.nlmsg_type = family_of(sock, NETDEV_FAMILY_NAME);
	ask(sock, &request, pool_message, &pools);
	printf("%llu\n", (unsigned long long)pools.bytes / 1024);
	return 0;
}
