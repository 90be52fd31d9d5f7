//! The kernel network interface of DPDK 19.11, which DPDK has given up and Debian never built: what capsule names of
//! it, with every call failing.

use crate::{rte_mbuf, rte_mempool};
use std::ffi::{c_char, c_int, c_uint};

/// A device; there is none.
#[derive(Debug)]
#[repr(C)]
pub struct rte_kni {
    _opaque: [u8; 0],
}

/// What a device shall be like.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct rte_kni_conf {
    /// Its name.
    pub name: [c_char; 32],
    /// The port it belongs to.
    pub group_id: u16,
    /// Bytes of a buffer.
    pub mbuf_size: c_uint,
    /// Its Ethernet address.
    pub mac_addr: [u8; 6],
}

impl Default for rte_kni_conf {
    fn default() -> Self {
        Self {
            name: [0; 32],
            group_id: 0,
            mbuf_size: 0,
            mac_addr: [0; 6],
        }
    }
}

/// What a device calls.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct rte_kni_ops {
    /// The port it belongs to.
    pub port_id: u16,
    /// Its MTU shall change.
    pub change_mtu: Option<unsafe extern "C" fn(u16, c_uint) -> c_int>,
    /// It shall go up or down.
    pub config_network_if: Option<unsafe extern "C" fn(u16, u8) -> c_int>,
    /// Its address shall change.
    pub config_mac_address: Option<unsafe extern "C" fn(u16, *mut u8) -> c_int>,
    /// It shall take every frame, or no longer.
    pub config_promiscusity: Option<unsafe extern "C" fn(u16, u8) -> c_int>,
}

/// Fails.
///
/// # Safety
/// Always safe.
pub unsafe fn rte_kni_init(_devices: c_uint) -> c_int {
    -1
}

/// Makes none.
///
/// # Safety
/// Always safe.
pub unsafe fn rte_kni_alloc(
    _pool: *mut rte_mempool,
    _conf: *const rte_kni_conf,
    _ops: *mut rte_kni_ops,
) -> *mut rte_kni {
    std::ptr::null_mut()
}

/// Fails.
///
/// # Safety
/// Always safe.
pub unsafe fn rte_kni_release(_device: *mut rte_kni) -> c_int {
    -1
}

/// Fails.
///
/// # Safety
/// Always safe.
pub unsafe fn rte_kni_handle_request(_device: *mut rte_kni) -> c_int {
    -1
}

/// An empty name.
///
/// # Safety
/// Always safe.
pub unsafe fn rte_kni_get_name(_device: *const rte_kni) -> *const c_char {
    c"".as_ptr()
}

/// Receives nothing.
///
/// # Safety
/// Always safe.
pub unsafe fn rte_kni_rx_burst(
    _device: *mut rte_kni,
    _packets: *mut *mut rte_mbuf,
    _count: c_uint,
) -> c_uint {
    0
}

/// Sends nothing.
///
/// # Safety
/// Always safe.
pub unsafe fn rte_kni_tx_burst(
    _device: *mut rte_kni,
    _packets: *mut *mut rte_mbuf,
    _count: c_uint,
) -> c_uint {
    0
}

/// Does nothing.
///
/// # Safety
/// Always safe.
pub unsafe fn rte_kni_close() {}
