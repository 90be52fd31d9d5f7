/* Functions that DPDK's headers define inline, as functions that can be linked. */

#include "wrapper.h"

int _rte_errno(void)
{
	return rte_errno;
}

uint16_t _rte_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, packets, count);
}

uint16_t _rte_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, packets, count);
}

void _rte_mempool_put_bulk(struct rte_mempool *pool, void *const *objects, unsigned int count)
{
	rte_mempool_put_bulk(pool, objects, count);
}

struct rte_mbuf *_rte_pktmbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

int _rte_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **packets, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, packets, count);
}

void _rte_pktmbuf_free(struct rte_mbuf *packet)
{
	rte_pktmbuf_free(packet);
}

uint64_t _rte_rdtsc(void)
{
	return rte_rdtsc();
}

const char *_rte_version(void)
{
	return rte_version();
}
