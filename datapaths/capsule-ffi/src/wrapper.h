/* What is bound of DPDK. */

#include <numa.h>
#include <rte_config.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_version.h>
#include <rte_vhost.h>

/*
 * Names of DPDK 19.11 that capsule uses, for what has other names since 21.11. The old ones are macros that only warn,
 * and none of them is anything that a constant can be made of.
 */
#undef ETH_RSS_IP
#undef ETH_RSS_TCP
#undef ETH_RSS_UDP
#undef ETH_RSS_SCTP
#undef DEV_TX_OFFLOAD_MBUF_FAST_FREE
static const uint64_t ETH_RSS_IP = RTE_ETH_RSS_IP;
static const uint64_t ETH_RSS_TCP = RTE_ETH_RSS_TCP;
static const uint64_t ETH_RSS_UDP = RTE_ETH_RSS_UDP;
static const uint64_t ETH_RSS_SCTP = RTE_ETH_RSS_SCTP;
static const uint64_t DEV_TX_OFFLOAD_MBUF_FAST_FREE = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;

/* Functions that headers define inline, and so no library has; see shim.c. */
int _rte_errno(void);
uint16_t _rte_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t count);
uint16_t _rte_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t count);
void _rte_mempool_put_bulk(struct rte_mempool *pool, void *const *objects, unsigned int count);
struct rte_mbuf *_rte_pktmbuf_alloc(struct rte_mempool *pool);
int _rte_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **packets, unsigned int count);
void _rte_pktmbuf_free(struct rte_mbuf *packet);
uint64_t _rte_rdtsc(void);
const char *_rte_version(void);
