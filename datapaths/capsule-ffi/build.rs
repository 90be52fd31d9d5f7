//! Binds the DPDK that pkg-config finds.

use bindgen::callbacks::{EnumVariantValue, ParseCallbacks};
use std::path::PathBuf;

/// The oldest version whose interface is the one that is bound, and the first that has another: in 24.03 fields of an mbuf
/// went into unions, where capsule does not find them. Of those between, 22.11 was tried.
const FROM: &str = "22.11";
const BELOW: &str = "24.0";

/// Functions that are bound; nothing else is needed.
const FUNCTIONS: &[&str] = &[
    "_rte_.*",
    "numa_node_of_cpu",
    "rte_eal_cleanup",
    "rte_eth_(allmulticast|promiscuous)_(en|dis)able",
    "rte_eth_dev_(adjust_nb_rx_tx_desc|close|configure|get_port_by_name|info_get|socket_id|start|stop)",
    "rte_eth_(add_[rt]x_callback|link_get_nowait|macaddr_get|[rt]x_queue_setup|stats_get)",
    "rte_mempool_(free|in_use_count)",
    "rte_pktmbuf_pool_create",
    "rte_socket_(count|id|id_by_idx)",
    "rte_strerror",
    "rte_thread_set_affinity",
    "rte_vhost_get_(ifname|mem_table|negotiated_features|vhost_vring|vring_base)",
];
const CONSTANTS: &[&str] = &[
    "DEV_TX_OFFLOAD_MBUF_FAST_FREE",
    "ETH_RSS_.*",
    "RTE_ETH_LINK_UP",
    "RTE_MBUF_DEFAULT_BUF_SIZE",
    "VIRTIO_F_RING_PACKED",
];
const TYPES: &[&str] = &["rte_cpuset_t", "rte_eth_.*mq_mode", "rte_eth_stats"];

/// Gives variants the names of DPDK 19.11, which capsule uses.
#[derive(Debug)]
struct OldNames;

impl ParseCallbacks for OldNames {
    fn enum_variant_name(
        &self,
        _enum: Option<&str>,
        variant: &str,
        _value: EnumVariantValue,
    ) -> Option<String> {
        let old = variant.strip_prefix("RTE_")?;
        old.starts_with("ETH_MQ_").then(|| old.to_owned())
    }
}

fn main() {
    println!("cargo::rerun-if-changed=src");
    let dpdk = pkg_config::Config::new()
        .range_version(FROM..BELOW)
        .probe("libdpdk")
        .unwrap_or_else(|error| {
            fail(&format!(
                "no DPDK from {FROM} to below {BELOW} (apt-get install libdpdk-dev): {error}"
            ))
        });
    // What pkg-config prints but does not parse: the processor, and the header that comes first.
    let output = std::process::Command::new("pkg-config")
        .args(["--cflags", "libdpdk"])
        .output()
        .unwrap_or_else(|error| fail(&format!("running pkg-config: {error}")));
    let flags: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .map(str::to_owned)
        .chain(["-D_GNU_SOURCE".to_owned()])
        .collect();

    let mut shim = cc::Build::new();
    for flag in &flags {
        shim.flag(flag);
    }
    shim.file("src/shim.c").compile("capsule_ffi_shim");
    println!("cargo::rustc-link-lib=numa");

    let mut bindings = bindgen::Builder::default()
        .header("src/wrapper.h")
        .clang_args(&flags)
        .default_enum_style(bindgen::EnumVariation::ModuleConsts)
        .parse_callbacks(Box::new(OldNames))
        .derive_default(true)
        .wrap_unsafe_ops(true)
        .generate_comments(false)
        // Layouts that Rust cannot express (packed and aligned at once); nobody looks into them.
        .opaque_type("rte_arp_.*|rte_l2tpv2_.*|rte_mbuf_sched|rte_ether_hdr|rte_gtp_psc_.*");
    for name in FUNCTIONS {
        bindings = bindings.allowlist_function(name);
    }
    for name in CONSTANTS {
        bindings = bindings.allowlist_var(name);
    }
    for name in TYPES {
        bindings = bindings.allowlist_type(name);
    }
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
    let out = out.unwrap_or_else(|| fail("cargo sets no OUT_DIR"));
    bindings
        .generate()
        .unwrap_or_else(|error| fail(&format!("binding DPDK {}: {error}", dpdk.version)))
        .write_to_file(out.join("bindings.rs"))
        .unwrap_or_else(|error| fail(&format!("writing the bindings: {error}")));
}

fn fail(why: &str) -> ! {
    println!("cargo::error={why}");
    std::process::exit(1);
}
