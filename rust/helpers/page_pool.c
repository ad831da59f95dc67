// SPDX-License-Identifier: GPL-2.0
#include "helpers.h"

/* Safety: the pool is live, and its user serialises allocation. */
struct page *rust_helper_page_pool_alloc(struct page_pool *pool, unsigned int *offset,
					 unsigned int *size, gfp_t gfp)
{
	return page_pool_alloc(pool, offset, size, gfp);
}

/* Safety: the caller gives up one reference to a page of the pool. */
void rust_helper_page_pool_put_full_page(struct page_pool *pool, struct page *page,
					 bool allow_direct)
{
	page_pool_put_full_page(pool, page, allow_direct);
}

/* Safety: the page is of the pool, which maps its pages. */
void rust_helper_page_pool_dma_sync_for_cpu(const struct page_pool *pool,
					    const struct page *page, u32 offset, u32 len)
{
	page_pool_dma_sync_for_cpu(pool, page, offset, len);
}

/* Safety: the page is valid. */
bool rust_helper_page_is_pfmemalloc(const struct page *page)
{
	return page_is_pfmemalloc(page);
}
