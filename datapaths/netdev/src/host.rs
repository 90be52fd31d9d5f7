//! A device as a host has it: in a namespace of its choice, with an MTU, and with networks that it reaches.

use crate::link::{change, netlink, on_netlink};
use crate::{Error, Interface, Namespace, device};
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::{LinkUnspec, RouteMessageBuilder};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

/// Moves a device to another namespace, where it has the same name and is down.
///
/// # Errors
/// Where the kernel refuses.
pub fn move_to(interface: &Interface, namespace: &Arc<Namespace>) -> Result<Interface, Error> {
    interface.namespace().run(|| {
        on_netlink(async |handle| {
            let moved = LinkUnspec::new_with_index(interface.index())
                .setns_by_fd(namespace.as_fd().as_raw_fd())
                .build();
            let doing = || format!("moving {} to its namespace", interface.name());
            change(&handle, moved, doing).await
        })
    })??;
    device(namespace, interface.name())
}

/// Sets the MTU of a device, in bytes of an IP packet.
///
/// # Errors
/// Where the kernel refuses.
pub fn set_mtu(interface: &Interface, mtu: u32) -> Result<(), Error> {
    interface.namespace().run(|| {
        on_netlink(async |handle| {
            let with_mtu = LinkUnspec::new_with_index(interface.index())
                .mtu(mtu)
                .build();
            let doing = || format!("setting the MTU of {} to {mtu}", interface.name());
            change(&handle, with_mtu, doing).await
        })
    })?
}

/// Has addresses with this prefix of `length` bits reached through a device, without a router between. The device must be
/// up.
///
/// # Errors
/// Where the kernel refuses.
pub fn add_route(interface: &Interface, prefix: Ipv4Addr, length: u8) -> Result<(), Error> {
    interface.namespace().run(|| {
        on_netlink(async |handle| {
            let route = RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(prefix, length)
                .output_interface(interface.index())
                .scope(RouteScope::Link)
                .build();
            let doing = || format!("routing {prefix}/{length} through {}", interface.name());
            let added = handle.route().add(route).execute().await;
            added.map_err(|e| netlink(doing(), e))
        })
    })?
}
